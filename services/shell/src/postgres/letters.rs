//! What operators do with dead letters, in Postgres.
use super::{connection::away, reads::PostgresReads};
use crate::{
    codec::hex,
    letters::{
        By, CommandPlace, Discard, EventPlace, Letter, LetterId, Listed, Operation, Resolution,
        Wanted,
    },
    port::store::{Letters, StoreError},
};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use sqlx::{FromRow, PgConnection, PgPool};
use uuid::Uuid;

/// The newest version of each view, and the newest that is read, all generations of them: what waits in others is nobody's
/// business any more.
macro_rules! newest {
    () => {
        "newest as (
            (select distinct on (view) view, hash from read.generation order by view, made_at desc, generation desc)
            union (select distinct on (view) view, hash from read.live order by view, since desc)
        )"
    };
}

#[derive(FromRow)]
struct CommandRow {
    part: i32,
    position: i64,
    digest: Vec<u8>,
    is_alone: bool,
    command_id: Option<Uuid>,
    code: String,
    reason: String,
    key: Option<Vec<u8>>,
    headers: String,
    payload: Option<Vec<u8>>,
    at: DateTime<Utc>,
    resolved_at: Option<DateTime<Utc>>,
    resolution: Option<String>,
    total: i64,
}

impl CommandRow {
    fn letter(self, context: &str) -> Letter {
        let digest = (!self.is_alone).then(|| hex(&self.digest)[..8].to_owned());
        let (part, offset) = (self.part, self.position);
        let context = context.to_owned();
        let resolution = self.resolved_at.zip(self.resolution);
        Letter {
            id: LetterId::Command(CommandPlace { context, part, offset, digest }),
            stream: self.key.and_then(|it| Uuid::try_parse_ascii(&it).ok()),
            command_id: self.command_id,
            code: self.code,
            reason: self.reason,
            behind: None,
            asked: false,
            headers: self.headers,
            payload: self.payload,
            at: self.at,
            resolution: resolution.map(|(at, what)| Resolution { at, what }),
        }
    }
}

#[derive(FromRow)]
struct EventRow {
    view: String,
    topic: String,
    part: i32,
    pseq: i64,
    stream: Uuid,
    reason: String,
    first: i64,
    asked: bool,
    headers: String,
    payload: Option<Vec<u8>>,
    at: DateTime<Utc>,
    total: i64,
}

impl EventRow {
    fn letter(self, context: &str) -> Letter {
        let Self { view, topic, part, pseq, .. } = self;
        let context = context.to_owned();
        Letter {
            id: LetterId::Event(EventPlace { context, view, topic, part, pseq }),
            stream: Some(self.stream),
            command_id: None,
            code: "PARKED".to_owned(),
            reason: self.reason,
            behind: (self.first != pseq).then_some(self.first),
            asked: self.asked,
            headers: self.headers,
            payload: self.payload,
            at: self.at,
            resolution: None,
        }
    }
}

async fn commands(
    pool: &PgPool,
    context: &str,
    wanted: &Wanted,
) -> Result<(Vec<Letter>, i64), sqlx::Error> {
    let place = match &wanted.place {
        Some(LetterId::Command(it)) => Some(it),
        Some(LetterId::Event(_)) | None => None,
    };
    let sql = "select d.part, d.position, d.digest, d.command_id, d.code, d.reason, d.key, d.headers, d.at,
            d.resolved_at, d.resolution, case when $3 is not null then d.payload end as payload, count(*) over () as total,
            not exists (select 1 from write.dead_letter o
                where (o.part, o.position) = (d.part, d.position) and o.digest <> d.digest) as is_alone
        from write.dead_letter d
        where ($1 or d.resolved_at is null)
            and ($2::text is null or d.key = convert_to($2, 'UTF8'))
            and ($3::int is null or (d.part, d.position) = ($3, $4))
            and ($5::text is null or starts_with(encode(d.digest, 'hex'), $5))
        order by d.at, d.part, d.position, d.digest limit $6";
    let rows: Vec<CommandRow> = sqlx::query_as(sql)
        .bind(wanted.all)
        .bind(wanted.stream.map(|it| it.to_string()))
        .bind(place.map(|it| it.part))
        .bind(place.map(|it| it.offset))
        .bind(place.and_then(|it| it.digest.as_deref()))
        .bind(wanted.limit)
        .fetch_all(pool)
        .await?;
    let total = rows.first().map_or(0, |it| it.total);
    Ok((rows.into_iter().map(|it| it.letter(context)).collect(), total))
}

async fn events(
    pool: &PgPool,
    context: &str,
    wanted: &Wanted,
) -> Result<(Vec<Letter>, i64), sqlx::Error> {
    let place = match &wanted.place {
        Some(LetterId::Event(it)) => Some(it),
        Some(LetterId::Command(_)) | None => None,
    };
    let sql = concat!(
        "with ",
        newest!(),
        ",
        letters as (
            select distinct on (p.view, p.topic, p.part, p.pseq) p.*, g.made_at
            from read.parked_event p join read.generation g using (view, hash, generation)
            where ($1 or (p.view, p.hash) in (select view, hash from newest))
                and ($2::text is null or p.view = $2)
                and ($3::uuid is null or p.stream = $3)
                and ($4::text is null or (p.topic, p.part, p.pseq) = ($4, $5, $6))
            order by p.view, p.topic, p.part, p.pseq, g.made_at desc, p.generation desc
        )
        select l.view, l.topic, l.part, l.pseq, l.stream, l.reason, l.headers, l.at,
            case when $4 is not null then l.payload end as payload, count(*) over () as total,
            (select min(o.pseq) from read.parked_event o
                where (o.view, o.hash, o.generation, o.topic, o.part, o.stream)
                    = (l.view, l.hash, l.generation, l.topic, l.part, l.stream)) as first,
            exists (select 1 from read.retry r
                where (r.view, r.hash, r.generation, r.topic, r.part, r.stream)
                    = (l.view, l.hash, l.generation, l.topic, l.part, l.stream)) as asked
        from letters l order by l.view, l.topic, l.part, l.pseq limit $7"
    );
    let rows: Vec<EventRow> = sqlx::query_as(sql)
        .bind(wanted.all)
        .bind(wanted.view())
        .bind(wanted.stream)
        .bind(place.map(|it| it.topic.as_str()))
        .bind(place.map(|it| it.part))
        .bind(place.map(|it| it.pseq))
        .bind(wanted.limit)
        .fetch_all(pool)
        .await?;
    let total = rows.first().map_or(0, |it| it.total);
    Ok((rows.into_iter().map(|it| it.letter(context)).collect(), total))
}

/// Asks for the streams of parked events; the numbers of the requests in the newest version of each view.
async fn ask(it: &mut PgConnection, wanted: &Wanted) -> Result<Vec<i64>, sqlx::Error> {
    let place = match &wanted.place {
        Some(LetterId::Event(it)) => Some(it),
        Some(LetterId::Command(_)) | None => None,
    };
    let sql = concat!(
        "with ",
        newest!(),
        ",
        asked as (
            insert into read.retry (view, hash, generation, topic, part, stream)
            select distinct view, hash, generation, topic, part, stream from read.parked_event p
            where ($1::text is null or p.view = $1)
                and ($2::uuid is null or p.stream = $2)
                and ($3::text is null or (p.topic, p.part, p.pseq) = ($3, $4, $5))
            returning id, view, hash
        )
        select id from asked join newest using (view, hash)"
    );
    sqlx::query_scalar(sql)
        .bind(wanted.view())
        .bind(wanted.stream)
        .bind(place.map(|it| it.topic.as_str()))
        .bind(place.map(|it| it.part))
        .bind(place.map(|it| it.pseq))
        .fetch_all(it)
        .await
}

async fn note(it: &mut PgConnection, operation: &Operation) -> Result<(), sqlx::Error> {
    let sql = "insert into write.operation (at, actor, action, letter, reason, result) values ($1, $2, $3, $4, $5, $6)";
    sqlx::query(sql)
        .bind(operation.at)
        .bind(&operation.by.actor)
        .bind(&operation.action)
        .bind(&operation.letter)
        .bind(&operation.by.reason)
        .bind(&operation.result)
        .execute(it)
        .await
        .map(drop)
}

/// Every loop that has read its discards before is fenced: its next write finds another epoch.
const FENCE: &str =
    "update read.checkpoint set epoch = epoch + 1 where (view, topic, part) = ($1, $2, $3)";

async fn discard(
    it: &mut PgConnection,
    event: &EventPlace,
    operation: &Operation,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let EventPlace { view, topic, part, pseq, .. } = event;
    sqlx::query(FENCE).bind(view).bind(topic).bind(part).execute(&mut *it).await?;
    // Whoever folded it meanwhile has moved a checkpoint before.
    let sql = "insert into read.discard (view, topic, part, pseq, reason, actor, at)
        select distinct view, topic, part, pseq, $5, $6, $7::timestamptz from read.parked_event
        where (view, topic, part, pseq) = ($1, $2, $3, $4)
        on conflict (view, topic, part, pseq) do update
            set reason = excluded.reason, actor = excluded.actor, at = excluded.at
        returning 1";
    let found: Option<i32> = sqlx::query_scalar(sql)
        .bind(view)
        .bind(topic)
        .bind(part)
        .bind(pseq)
        .bind(&operation.by.reason)
        .bind(&operation.by.actor)
        .bind(operation.at)
        .fetch_optional(&mut *it)
        .await?;
    if found.is_none() {
        return Ok(None);
    }
    let wanted = Wanted { place: Some(LetterId::Event(event.clone())), ..Wanted::default() };
    let ids = ask(&mut *it, &wanted).await?;
    note(it, operation).await?;
    Ok(Some(ids))
}

async fn resolve(
    it: &mut PgConnection,
    command: &CommandPlace,
    resolution: &str,
    operation: &Operation,
) -> Result<bool, sqlx::Error> {
    let sql = "update write.dead_letter set resolved_at = $4, resolution = $5
        where (part, position) = ($1, $2) and resolved_at is null
            and ($3::text is null or starts_with(encode(digest, 'hex'), $3))";
    let done = sqlx::query(sql)
        .bind(command.part)
        .bind(command.offset)
        .bind(command.digest.as_deref())
        .bind(operation.at)
        .bind(resolution)
        .execute(&mut *it)
        .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    note(it, operation).await?;
    Ok(true)
}

type DiscardRow = (String, String, i32, i64, String, String, DateTime<Utc>);
type OperationRow = (DateTime<Utc>, String, String, String, String, String);

fn operation((at, actor, action, letter, reason, result): OperationRow) -> Operation {
    Operation { at, by: By { actor, reason }, action, letter, result }
}

impl Letters for PostgresReads {
    fn list<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
    ) -> BoxFuture<'a, Result<Listed, StoreError>> {
        Box::pin(async move {
            let pool = self.pool(context)?;
            let mut listed = Listed::default();
            if wanted.commands() {
                let (letters, total) =
                    commands(&pool, context, wanted).await.map_err(|it| away(&it))?;
                listed.letters.extend(letters);
                listed.total += total;
            }
            if wanted.events() {
                let (letters, total) =
                    events(&pool, context, wanted).await.map_err(|it| away(&it))?;
                listed.letters.extend(letters);
                listed.total += total;
            }
            listed.letters.truncate(usize::try_from(wanted.limit).unwrap_or_default());
            Ok(listed)
        })
    }

    fn ask_again<'a>(
        &'a self,
        context: &'a str,
        wanted: &'a Wanted,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Vec<i64>, StoreError>> {
        Box::pin(async move {
            let mut transaction = self.pool(context)?.begin().await.map_err(|it| away(&it))?;
            let ids = ask(&mut transaction, wanted).await.map_err(|it| away(&it))?;
            if !ids.is_empty() {
                let result = format!("asked for {} streams", ids.len());
                let operation = Operation { result, ..operation.clone() };
                note(&mut transaction, &operation).await.map_err(|it| away(&it))?;
            }
            transaction.commit().await.map_err(|it| away(&it))?;
            Ok(ids)
        })
    }

    fn is_asked<'a>(
        &'a self,
        context: &'a str,
        requests: &'a [i64],
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let sql = "select exists (
                select 1 from read.retry r where id = any($1) and exists (select 1 from read.parked_event p
                    where (p.view, p.hash, p.generation, p.topic, p.part, p.stream)
                        = (r.view, r.hash, r.generation, r.topic, r.part, r.stream)))";
            let query = sqlx::query_scalar(sql).bind(requests);
            query.fetch_one(&self.pool(context)?).await.map_err(|it| away(&it))
        })
    }

    fn discard<'a>(
        &'a self,
        event: &'a EventPlace,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<Option<Vec<i64>>, StoreError>> {
        Box::pin(async move {
            let mut transaction =
                self.pool(&event.context)?.begin().await.map_err(|it| away(&it))?;
            let ids = discard(&mut transaction, event, operation).await.map_err(|it| away(&it))?;
            // Of what does not wait nothing is kept, and nobody is fenced.
            if ids.is_some() {
                transaction.commit().await.map_err(|it| away(&it))?;
            } else {
                transaction.rollback().await.map_err(|it| away(&it))?;
            }
            Ok(ids)
        })
    }

    fn resolve<'a>(
        &'a self,
        command: &'a CommandPlace,
        resolution: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut transaction =
                self.pool(&command.context)?.begin().await.map_err(|it| away(&it))?;
            let done = resolve(&mut transaction, command, resolution, operation).await;
            let done = done.map_err(|it| away(&it))?;
            transaction.commit().await.map_err(|it| away(&it))?;
            Ok(done)
        })
    }

    fn is_letter<'a>(
        &'a self,
        context: &'a str,
        command_id: Uuid,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let sql = "select exists (select 1 from write.dead_letter where command_id = $1)";
            let query = sqlx::query_scalar(sql).bind(command_id);
            query.fetch_one(&self.pool(context)?).await.map_err(|it| away(&it))
        })
    }

    fn note<'a>(
        &'a self,
        context: &'a str,
        operation: &'a Operation,
    ) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut connection = self.pool(context)?.acquire().await.map_err(|it| away(&it))?;
            note(&mut connection, operation).await.map_err(|it| away(&it))
        })
    }

    fn operations<'a>(
        &'a self,
        context: &'a str,
        letter: Option<&'a str>,
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<Operation>, StoreError>> {
        Box::pin(async move {
            let sql = "select at, actor, action, letter, reason, result from write.operation
                where $1::text is null or letter = $1 order by id desc limit $2";
            let query = sqlx::query_as(sql).bind(letter).bind(limit);
            let rows: Vec<OperationRow> =
                query.fetch_all(&self.pool(context)?).await.map_err(|it| away(&it))?;
            Ok(rows.into_iter().map(operation).collect())
        })
    }

    fn discards<'a>(
        &'a self,
        context: &'a str,
        view: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Discard>, StoreError>> {
        Box::pin(async move {
            let sql = "select view, topic, part, pseq, actor, reason, at from read.discard
                where view = $1 order by topic, part, pseq";
            let rows: Vec<DiscardRow> = sqlx::query_as(sql)
                .bind(view)
                .fetch_all(&self.pool(context)?)
                .await
                .map_err(|it| away(&it))?;
            let discard = |(view, topic, part, pseq, actor, reason, at)| {
                let by = By { actor, reason };
                Discard { view, topic, part, pseq, by, at }
            };
            Ok(rows.into_iter().map(discard).collect())
        })
    }
}
