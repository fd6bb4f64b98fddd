//! What a view has set aside, and what becomes of it when it is tried again, in Postgres.
use crate::port::store::{Aside, Asked, Generation, ParkedEvent, Tried};
use chrono::{DateTime, Utc};
use sqlx::{FromRow, PgConnection};
use std::collections::BTreeMap;
use uuid::Uuid;

pub(super) async fn aside(
    it: &mut PgConnection,
    of: &Generation,
    parts: &[(String, i32)],
) -> Result<Aside, sqlx::Error> {
    let (topics, numbers) = columns(parts);
    let sql = "select distinct on (topic, part, stream) topic, part, stream, reason from read.parked_event
        where (view, hash, generation) = ($1, $2, $3)
            and (topic, part) in (select * from unnest($4::text[], $5::int[]))
        order by topic, part, stream, pseq";
    let parked = sqlx::query_as(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .bind(&topics)
        .bind(&numbers)
        .fetch_all(&mut *it)
        .await?;
    let sql = "select topic, part, pseq from read.discard
        where view = $1 and (topic, part) in (select * from unnest($2::text[], $3::int[]))";
    let discarded: Vec<(String, i32, i64)> =
        sqlx::query_as(sql).bind(of.table).bind(&topics).bind(&numbers).fetch_all(it).await?;
    Ok(Aside { parked, discarded: discarded.into_iter().collect() })
}

/// A stream that is asked for, and one of its events that wait; none if there are none any more.
#[derive(FromRow)]
struct Row {
    topic: String,
    part: i32,
    stream: Uuid,
    requests: Vec<i64>,
    pseq: Option<i64>,
    reason: Option<String>,
    headers: Option<String>,
    payload: Option<Vec<u8>>,
    at: Option<DateTime<Utc>>,
}

impl Row {
    fn event(self) -> Option<ParkedEvent> {
        Some(ParkedEvent {
            topic: self.topic,
            part: self.part,
            pseq: self.pseq?,
            stream: self.stream,
            reason: self.reason?,
            headers: self.headers?,
            payload: self.payload,
            at: self.at?,
        })
    }
}

pub(super) async fn asked(
    it: &mut PgConnection,
    of: &Generation,
    parts: &[(String, i32)],
) -> Result<Vec<Asked>, sqlx::Error> {
    let (topics, numbers) = columns(parts);
    let sql =
        "select r.topic, r.part, r.stream, r.requests, e.pseq, e.reason, e.headers, e.payload, e.at
        from (
            select topic, part, stream, array_agg(id) as requests from read.retry
            where (view, hash, generation) = ($1, $2, $3)
                and (topic, part) in (select * from unnest($4::text[], $5::int[]))
            group by topic, part, stream order by topic, part, stream limit $6
        ) r
        left join lateral (
            select p.pseq, p.reason, p.headers, p.payload, p.at from read.parked_event p
            where (p.view, p.hash, p.generation) = ($1, $2, $3)
                and (p.topic, p.part, p.stream) = (r.topic, r.part, r.stream)
            order by p.pseq limit $7
        ) e on true
        order by r.topic, r.part, r.stream, e.pseq";
    let limit = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let rows: Vec<Row> = sqlx::query_as(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .bind(&topics)
        .bind(&numbers)
        .bind(limit(Asked::STREAMS_MAX))
        .bind(limit(Asked::EVENTS_MAX + 1))
        .fetch_all(it)
        .await?;
    let mut streams: BTreeMap<(String, i32, Uuid), Asked> = BTreeMap::new();
    for it in rows {
        let (topic, part, stream) = (it.topic.clone(), it.part, it.stream);
        let asked = streams.entry((topic.clone(), part, stream)).or_insert_with(|| Asked {
            topic,
            part,
            stream,
            requests: it.requests.clone(),
            events: Vec::new(),
            more: false,
        });
        if asked.events.len() == Asked::EVENTS_MAX {
            asked.more = true;
        } else {
            asked.events.extend(it.event());
        }
    }
    Ok(streams.into_values().collect())
}

/// Within the transaction that writes the rows.
pub(super) async fn settle(
    it: &mut PgConnection,
    of: &Generation,
    tried: &[Tried],
) -> Result<(), sqlx::Error> {
    let topics: Vec<&str> = tried.iter().map(|it| it.topic.as_str()).collect();
    let parts: Vec<i32> = tried.iter().map(|it| it.part).collect();
    let streams: Vec<Uuid> = tried.iter().map(|it| it.stream).collect();
    let uptos: Vec<i64> = tried.iter().map(|it| it.upto).collect();
    let reasons: Vec<Option<&str>> = tried.iter().map(|it| it.reason.as_deref()).collect();
    let requests: Vec<i64> = tried.iter().flat_map(|it| it.requests.iter().copied()).collect();
    let sql = "with tried as (
            select * from unnest($4::text[], $5::int[], $6::uuid[], $7::bigint[], $8::text[]) t (topic, part, stream, upto, reason)
        ),
        shown as (
            delete from read.parked_event p using tried t
            where (p.view, p.hash, p.generation) = ($1, $2, $3)
                and (p.topic, p.part, p.stream) = (t.topic, t.part, t.stream) and p.pseq <= t.upto
        ),
        dealt as (delete from read.retry where id = any($9))
        update read.parked_event p set reason = t.reason from tried t
        where (p.view, p.hash, p.generation) = ($1, $2, $3)
            and (p.topic, p.part, p.stream) = (t.topic, t.part, t.stream)
            and p.pseq > t.upto and t.reason is not null and p.reason <> t.reason";
    sqlx::query(sql)
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .bind(&topics)
        .bind(&parts)
        .bind(&streams)
        .bind(&uptos)
        .bind(&reasons)
        .bind(&requests)
        .execute(it)
        .await
        .map(drop)
}

fn columns(parts: &[(String, i32)]) -> (Vec<&str>, Vec<i32>) {
    parts.iter().map(|(topic, part)| (topic.as_str(), *part)).unzip()
}
