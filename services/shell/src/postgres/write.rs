//! The one statement that writes a batch down (protocol.md W1–W3).
use crate::port::store::Batch;
use sqlx::PgConnection;

/// One statement, one transaction, one round trip, all or nothing. The ledger rows are compared and set first:
/// everything else depends on `gate`, which ends the transaction unless all of them matched. Claims are compared
/// and set as well: taken with an insert, passed on (or held still, for a decision that rests on it) with an update,
/// given back with a delete.
const WRITE: &str = "
with own as (
    update write.ledger l
    set next_offset = m.to_offset, pseq = m.pseq,
        published = greatest(l.published, m.published),
        published_offset = greatest(l.published_offset, m.published_offset)
    from unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
        m (part, epoch, from_offset, to_offset, pseq, published, published_offset)
    where l.part = m.part and l.epoch = m.epoch and l.next_offset = m.from_offset
    returning 1
),
gate as materialized (select write.require(count(*), cardinality($1::int[]), 'FL001') as open from own),
change as materialized (
    select c.*
    from gate, unnest($22::text[], $23::text[], $24::uuid[], $25::uuid[], $26::int[], $27::bigint[])
        c (kind, value, expected, stream, part, pseq)
    where gate.open
    order by c.kind, c.value
),
given as (
    delete from write.claim k using change c
    where c.stream is null and c.expected is not null and (k.kind, k.value, k.stream) = (c.kind, c.value, c.expected)
    returning 1
),
passed as (
    update write.claim k set stream = c.stream, part = c.part, pseq = c.pseq from change c
    where c.stream is not null and c.expected is not null and (k.kind, k.value, k.stream) = (c.kind, c.value, c.expected)
    returning 1
),
taken as (
    insert into write.claim (kind, value, stream, part, pseq)
    select kind, value, stream, part, pseq from change where expected is null and stream is not null
    order by kind, value
    returning 1
),
free as (
    select from change c
    where c.stream is null and c.expected is null
    and not exists (select from write.claim k where (k.kind, k.value) = (c.kind, c.value))
),
claims as materialized (
    select write.require(
        (select count(*) from given) + (select count(*) from passed) + (select count(*) from taken)
            + (select count(*) from free),
        cardinality($22::text[]), 'FL002') as open
    from gate
),
events as (
    insert into write.event (part, pseq, stream, version, type, schema, data, meta, at)
    select e.part, e.pseq, e.stream, e.version, e.type, e.schema, e.data, e.meta::jsonb, e.at
    from claims, unnest($8::int[], $9::bigint[], $10::uuid[], $11::bigint[], $12::text[], $13::bigint[], $14::bytea[],
        $15::text[], $16::timestamptz[]) e (part, pseq, stream, version, type, schema, data, meta, at)
    where claims.open
),
outcomes as (
    insert into write.outcome (command_id, part, request_hash, body, at)
    select o.command_id, o.part, o.request_hash, o.body, o.at
    from claims, unnest($17::uuid[], $18::int[], $19::bytea[], $20::bytea[], $21::timestamptz[])
        o (command_id, part, request_hash, body, at)
    where claims.open
),
letters as (
    insert into write.dead_letter (part, position, digest, command_id, code, reason, key, headers, payload, at)
    select d.* from claims, unnest($28::int[], $29::bigint[], $30::bytea[], $31::uuid[], $32::text[], $33::text[],
        $34::bytea[], $35::text[], $36::bytea[], $37::timestamptz[])
        d (part, position, digest, command_id, code, reason, key, headers, payload, at)
    where claims.open
    on conflict do nothing
)
select open from claims";

pub(super) async fn write(connection: &mut PgConnection, batch: &Batch) -> Result<(), sqlx::Error> {
    macro_rules! column {
        ($rows:ident, $value:expr) => {
            batch.$rows.iter().map($value).collect::<Vec<_>>()
        };
    }
    sqlx::query(WRITE)
        .bind(column!(moves, |it| it.part))
        .bind(column!(moves, |it| it.epoch))
        .bind(column!(moves, |it| it.from_offset))
        .bind(column!(moves, |it| it.to_offset))
        .bind(column!(moves, |it| it.pseq))
        .bind(column!(moves, |it| it.published))
        .bind(column!(moves, |it| it.published_offset))
        .bind(column!(events, |it| it.part))
        .bind(column!(events, |it| it.pseq))
        .bind(column!(events, |it| it.stream))
        .bind(column!(events, |it| it.version))
        .bind(column!(events, |it| it.record.as_str()))
        .bind(column!(events, |it| it.schema.0.cast_signed()))
        .bind(column!(events, |it| it.data.as_slice()))
        .bind(column!(events, |it| it.meta.as_str()))
        .bind(column!(events, |it| it.at))
        .bind(column!(outcomes, |it| it.command_id))
        .bind(column!(outcomes, |it| it.part))
        .bind(column!(outcomes, |it| it.request_hash.as_slice()))
        .bind(column!(outcomes, |it| it.body.as_slice()))
        .bind(column!(outcomes, |it| it.at))
        .bind(column!(claims, |it| it.kind.as_str()))
        .bind(column!(claims, |it| it.value.as_str()))
        .bind(column!(claims, |it| it.expected))
        .bind(column!(claims, |it| it.next.map(|it| it.stream)))
        .bind(column!(claims, |it| it.next.map(|it| it.part)))
        .bind(column!(claims, |it| it.next.map(|it| it.pseq)))
        .bind(column!(dead_letters, |it| it.part))
        .bind(column!(dead_letters, |it| it.offset))
        .bind(column!(dead_letters, |it| it.digest.as_slice()))
        .bind(column!(dead_letters, |it| it.command_id))
        .bind(column!(dead_letters, |it| it.code.as_str()))
        .bind(column!(dead_letters, |it| it.reason.as_str()))
        .bind(column!(dead_letters, |it| it.key.as_deref()))
        .bind(column!(dead_letters, |it| it.headers.as_str()))
        .bind(column!(dead_letters, |it| it.payload.as_deref()))
        .bind(column!(dead_letters, |it| it.at))
        .fetch_one(connection)
        .await?;
    Ok(())
}
