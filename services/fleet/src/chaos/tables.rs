//! What the tables of the context hold in the end, read past all services.
use super::stage::Stage;
use crate::proof::Stored;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use customers::views;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_events::Fingerprint;
use shell::port::store::{ClaimChange, DeadLetter, EventRow, Holder, LedgerRow, OutcomeRow};
use uuid::Uuid;

type At = DateTime<Utc>;

/// All of them, but for the log.
pub(super) async fn read(stage: &Stage) -> anyhow::Result<Stored> {
    Ok(Stored {
        ledger: ledger(stage).await?,
        events: events(stage).await?,
        outcomes: outcomes(stage).await?,
        claims: claims(stage).await?,
        dead_letters: dead_letters(stage).await?,
        customers: view::<views::Customer>(stage, "customer").await?,
        days: view::<views::InvitationsPerDay>(stage, "invitations_per_day").await?,
        ..Stored::default()
    })
}

/// The rows of a statement that gives one JSON value a row.
pub(super) async fn rows<T: DeserializeOwned>(
    stage: &Stage,
    statement: &str,
) -> anyhow::Result<Vec<T>> {
    let text = stage.query(statement).await?;
    let row = |line: &str| serde_json::from_str(line).with_context(|| format!("the row {line}"));
    text.lines().map(row).collect()
}

pub(super) async fn ledger(stage: &Stage) -> anyhow::Result<Vec<LedgerRow>> {
    type Row = (i32, i64, i64, i64, i64, i64, i64);
    let sql = "select json_build_array(part, incarnation, epoch, next_offset, pseq, published, published_offset)
        from write.ledger order by part";
    let row = |(part, incarnation, epoch, next_offset, pseq, published, published_offset): Row| {
        LedgerRow { part, incarnation, epoch, next_offset, pseq, published, published_offset }
    };
    Ok(rows(stage, sql).await?.into_iter().map(row).collect())
}

async fn events(stage: &Stage) -> anyhow::Result<Vec<EventRow>> {
    type Row = (i32, i64, Uuid, i64, String, i64, String, String, At);
    let sql = "select json_build_array(part, pseq, stream, version, type, schema, encode(data, 'hex'), meta::text, at)
        from write.event order by part, pseq";
    let row = |(part, pseq, stream, version, record, schema, data, meta, at): Row| {
        let (schema, data) = (Fingerprint(schema.cast_unsigned()), bytes(&data)?);
        Ok(EventRow { part, pseq, stream, version, record, schema, data, meta, at })
    };
    rows(stage, sql).await?.into_iter().map(row).collect()
}

async fn outcomes(stage: &Stage) -> anyhow::Result<Vec<OutcomeRow>> {
    type Row = (Uuid, i32, String, String, At);
    let sql = "select json_build_array(command_id, part, encode(request_hash, 'hex'), encode(body, 'hex'), at)
        from write.outcome";
    let row = |(command_id, part, request_hash, body, at): Row| {
        let (request_hash, body) = (bytes(&request_hash)?, bytes(&body)?);
        Ok(OutcomeRow { command_id, part, request_hash, body, at })
    };
    rows(stage, sql).await?.into_iter().map(row).collect()
}

async fn claims(stage: &Stage) -> anyhow::Result<Vec<ClaimChange>> {
    type Row = (String, String, Uuid, i32, i64);
    let sql = "select json_build_array(kind, value, stream, part, pseq) from write.claim";
    let row = |(kind, value, stream, part, pseq): Row| {
        let next = Some(Holder { stream, part, pseq });
        ClaimChange { kind, value, expected: None, next }
    };
    Ok(rows(stage, sql).await?.into_iter().map(row).collect())
}

async fn dead_letters(stage: &Stage) -> anyhow::Result<Vec<DeadLetter>> {
    type Bytes = Option<String>;
    type Row = (i32, i64, String, Option<Uuid>, String, String, Bytes, String, Bytes, At);
    let sql =
        "select json_build_array(part, position, encode(digest, 'hex'), command_id, code, reason,
            encode(key, 'hex'), headers, encode(payload, 'hex'), at)
        from write.dead_letter";
    let row = |(part, offset, digest, command_id, code, reason, key, headers, payload, at): Row| {
        let digest = bytes(&digest)?;
        let key = key.as_deref().map(bytes).transpose()?;
        let payload = payload.as_deref().map(bytes).transpose()?;
        Ok(DeadLetter { part, offset, digest, command_id, code, reason, key, headers, payload, at })
    };
    rows(stage, sql).await?.into_iter().map(row).collect()
}

/// The rows of the newest version of a view, as the fleet itself writes them as JSON.
async fn view<V: DeserializeOwned + Serialize>(
    stage: &Stage,
    table: &str,
) -> anyhow::Result<Vec<Value>> {
    let newest = format!(
        "select format('view_%s_%s_%s', view, hash, generation) from read.generation
        where view = '{table}' order by made_at desc, generation desc limit 1"
    );
    let schema = stage.query(&newest).await?;
    let sql = format!("select to_jsonb(t) from {schema}.{table} t order by 1");
    let rows: Vec<V> = rows(stage, &sql).await?;
    rows.iter().map(|it| Ok(serde_json::to_value(it)?)).collect()
}

/// How far the views have come in each partition: the least of all of them.
pub(super) async fn shown(stage: &Stage) -> anyhow::Result<Vec<(i32, i64)>> {
    let sql =
        "select json_build_array(part, min(pseq)) from read.checkpoint group by part order by part";
    rows(stage, sql).await
}

fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    let byte = |at: usize| {
        let digits = hex.get(at..at + 2).context("half a byte")?;
        Ok(u8::from_str_radix(digits, 16)?)
    };
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read() {
        assert_eq!(bytes("00ff10").expect("bytes"), [0, 255, 16]);
        assert!(bytes("0").is_err() && bytes("xy").is_err());
    }
}
