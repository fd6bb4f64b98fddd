//! What the tables of the context hold in the end, read past all services.
use super::ground::{CONTEXT, Ground};
use crate::proof::Stored;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use customers::views;
use functions::View;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_events::Fingerprint;
use shell::{
    port::store::{ClaimChange, DeadLetter, EventRow, Holder, LedgerRow, OutcomeRow},
    view::ViewDefinition,
};
use uuid::Uuid;

type At = DateTime<Utc>;

/// All of them, but for the log.
pub(crate) async fn read(ground: &Ground) -> anyhow::Result<Stored> {
    Ok(Stored {
        ledger: ledger(ground).await?,
        events: events(ground).await?,
        outcomes: outcomes(ground).await?,
        claims: claims(ground).await?,
        dead_letters: dead_letters(ground).await?,
        customers: view::<views::Customer>(ground).await?,
        days: view::<views::InvitationsPerDay>(ground).await?,
        schemas: schemas(ground).await?,
        ..Stored::default()
    })
}

/// The schemas of all events that are stored: also of those that another build wrote.
async fn schemas(ground: &Ground) -> anyhow::Result<Vec<String>> {
    rows(ground, "select to_json(avsc) from write.schema").await
}

/// The rows of a statement that gives one JSON value a row.
pub(crate) async fn rows<T: DeserializeOwned>(
    ground: &Ground,
    statement: &str,
) -> anyhow::Result<Vec<T>> {
    let text = ground.query(statement).await?;
    let row = |line: &str| serde_json::from_str(line).with_context(|| format!("the row {line}"));
    text.lines().map(row).collect()
}

pub(crate) async fn ledger(ground: &Ground) -> anyhow::Result<Vec<LedgerRow>> {
    type Row = (i32, i64, i64, i64, i64, i64, i64);
    let sql = "select json_build_array(part, incarnation, epoch, next_offset, pseq, published, published_offset)
        from write.ledger order by part";
    let row = |(part, incarnation, epoch, next_offset, pseq, published, published_offset): Row| {
        LedgerRow { part, incarnation, epoch, next_offset, pseq, published, published_offset }
    };
    Ok(rows(ground, sql).await?.into_iter().map(row).collect())
}

async fn events(ground: &Ground) -> anyhow::Result<Vec<EventRow>> {
    type Row = (i32, i64, Uuid, i64, String, i64, String, String, At);
    let sql = "select json_build_array(part, pseq, stream, version, type, schema, encode(data, 'hex'), meta::text, at)
        from write.event order by part, pseq";
    let row = |(part, pseq, stream, version, record, schema, data, meta, at): Row| {
        let (schema, data) = (Fingerprint(schema.cast_unsigned()), bytes(&data)?);
        Ok(EventRow { part, pseq, stream, version, record, schema, data, meta, at })
    };
    rows(ground, sql).await?.into_iter().map(row).collect()
}

async fn outcomes(ground: &Ground) -> anyhow::Result<Vec<OutcomeRow>> {
    type Row = (Uuid, i32, String, String, At);
    let sql = "select json_build_array(command_id, part, encode(request_hash, 'hex'), encode(body, 'hex'), at)
        from write.outcome";
    let row = |(command_id, part, request_hash, body, at): Row| {
        let (request_hash, body) = (bytes(&request_hash)?, bytes(&body)?);
        Ok(OutcomeRow { command_id, part, request_hash, body, at })
    };
    rows(ground, sql).await?.into_iter().map(row).collect()
}

async fn claims(ground: &Ground) -> anyhow::Result<Vec<ClaimChange>> {
    type Row = (String, String, Uuid, i32, i64);
    let sql = "select json_build_array(kind, value, stream, part, pseq) from write.claim";
    let row = |(kind, value, stream, part, pseq): Row| {
        let next = Some(Holder { stream, part, pseq });
        ClaimChange { kind, value, expected: None, next }
    };
    Ok(rows(ground, sql).await?.into_iter().map(row).collect())
}

async fn dead_letters(ground: &Ground) -> anyhow::Result<Vec<DeadLetter>> {
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
    rows(ground, sql).await?.into_iter().map(row).collect()
}

/// The rows of a view that are read, in the version of this build, as the fleet itself writes them as JSON.
async fn view<V: View + DeserializeOwned + Serialize>(
    ground: &Ground,
) -> anyhow::Result<Vec<Value>> {
    let ViewDefinition { table, hash, .. } = ViewDefinition::of::<V>(CONTEXT);
    let read = format!(
        "select format('view_%s_%s_%s', view, hash, generation) from read.live
        where (view, hash) = ('{table}', '{hash}')"
    );
    let schema = ground.query(&read).await?;
    let sql = format!("select to_jsonb(t) from {schema}.{table} t order by 1");
    let rows: Vec<V> = rows(ground, &sql).await?;
    rows.iter().map(|it| Ok(serde_json::to_value(it)?)).collect()
}

/// How far the views of this build have come in each partition: the least of all of them.
pub(crate) async fn shown(ground: &Ground) -> anyhow::Result<Vec<(i32, i64)>> {
    let sql = format!(
        "select json_build_array(part, min(pseq)) from read.checkpoint
        where (view, hash) in ({}) group by part order by part",
        Ground::versions()
    );
    rows(ground, &sql).await
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
