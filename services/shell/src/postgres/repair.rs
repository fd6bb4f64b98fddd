//! What is derived on the write side, made again while handlers are at work.
//!
//! Every batch of a handler compares and sets rows of the ledger before anything else. Whoever holds those rows is alone
//! with the write side: for as long as that takes, handlers wait, and decide again where a claim is another one then.
use super::{
    connection::{Postgres, away, in_time},
    ledger::Event,
};
use crate::port::store::{EventRow, Holder, StoreError};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

/// Who holds a unique value, by its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nobody.
    Nobody,
    /// This stream.
    One(Holder),
    /// Several: then the events themselves are wrong.
    Several(Vec<Uuid>),
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimRepair {
    /// It was right already.
    Right,
    /// It says so now.
    Changed(Option<Holder>),
    /// Several streams hold the value.
    Contradictory(Vec<Uuid>),
}

impl Postgres {
    /// Finds out anew who holds a unique value, among these streams and the one that is said to, and writes it down.
    /// `judge` is given the streams with all their events.
    ///
    /// # Errors
    /// If the store does not answer, or handlers do not let go of the ledger.
    pub async fn repair_claim(
        &self,
        context: &str,
        (kind, value): (&str, &str),
        streams: &[Uuid],
        judge: impl FnOnce(Vec<EventRow>) -> Verdict,
    ) -> Result<ClaimRepair, StoreError> {
        let options = self.options(Some(context))?;
        let repair = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let mut transaction = connection.begin().await?;
            sqlx::query(HOLD).execute(&mut *transaction).await?;
            let sql = "select stream, part, pseq from write.claim where (kind, value) = ($1, $2)";
            let now: Option<(Uuid, i32, i64)> = sqlx::query_as(sql)
                .bind(kind)
                .bind(value)
                .fetch_optional(&mut *transaction)
                .await?;
            let now = now.map(|(stream, part, pseq)| Holder { stream, part, pseq });
            let mut asked = streams.to_vec();
            asked.extend(now.map(|it| it.stream));
            let sql =
                "select part, pseq, stream, version, type, schema, data, meta::text as meta, at
                from write.event where stream = any($1) order by stream, version";
            let events: Vec<Event> =
                sqlx::query_as(sql).bind(&asked).fetch_all(&mut *transaction).await?;
            let holder = match judge(events.into_iter().map(EventRow::from).collect()) {
                Verdict::Nobody => None,
                Verdict::One(holder) => Some(holder),
                Verdict::Several(streams) => return Ok(ClaimRepair::Contradictory(streams)),
            };
            if holder == now {
                return Ok(ClaimRepair::Right);
            }
            let sql = "delete from write.claim where (kind, value) = ($1, $2)";
            sqlx::query(sql).bind(kind).bind(value).execute(&mut *transaction).await?;
            if let Some(Holder { stream, part, pseq }) = holder {
                let sql = "insert into write.claim (kind, value, stream, part, pseq) values ($1, $2, $3, $4, $5)";
                sqlx::query(sql)
                    .bind(kind)
                    .bind(value)
                    .bind(stream)
                    .bind(part)
                    .bind(pseq)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
            Ok(ClaimRepair::Changed(holder))
        };
        in_time(repair).await.map_err(|error| away(&error))
    }

    /// Replaces the state of a snapshot, or forgets it if there is none for its version. Whoever owns the partition has
    /// perhaps begun from the wrong one: it has to take the partition again, and forgets what it knew.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn repair_snapshot(
        &self,
        context: &str,
        (stream, fold, version): (Uuid, &str, i64),
        part: i32,
        state: Option<(&str, i64)>,
    ) -> Result<(), StoreError> {
        let options = self.options(Some(context))?;
        let repair = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let mut transaction = connection.begin().await?;
            let sql = "update write.ledger set epoch = epoch + 1 where part = $1";
            sqlx::query(sql).bind(part).execute(&mut *transaction).await?;
            if let Some((state, at)) = state {
                let sql = "update write.snapshot set state = $4, at = to_timestamp(0) + $5 * interval '1 microsecond'
                    where (stream, fold, version) = ($1, $2, $3)";
                let query = sqlx::query(sql).bind(stream).bind(fold).bind(version);
                query.bind(state).bind(at).execute(&mut *transaction).await?;
            } else {
                let sql = "delete from write.snapshot where (stream, fold, version) = ($1, $2, $3)";
                let query = sqlx::query(sql).bind(stream).bind(fold).bind(version);
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await
        };
        in_time(repair).await.map_err(|error| away(&error))
    }
}

/// In order, against deadlocks.
const HOLD: &str = "select part from write.ledger order by part for update";
