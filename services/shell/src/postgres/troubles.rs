//! What a context keeps aside, counted.
use crate::status::{ContextReport, DeadLetters, ParkedEvents};
use chrono::{DateTime, Utc};
use sqlx::PgPool;

/// Dead letters by code about which something is left to do, and the parked events of what is read of each view's newest
/// version, also where there are none.
pub(super) async fn troubles(pool: &PgPool) -> Result<ContextReport, sqlx::Error> {
    let letters: Vec<(String, i64, DateTime<Utc>, String)> = sqlx::query_as(
        "select code, count(*), max(at), min(reason)
         from write.dead_letter where resolved_at is null group by code order by code",
    )
    .fetch_all(pool)
    .await?;
    // What waits in other generations is nobody's business (any more, or yet).
    let parked: Vec<(String, i64, i64, String)> = sqlx::query_as(
        "select view, count(stream), count(distinct stream), coalesce(min(reason), '')
         from (select distinct on (view) view, hash, generation from read.live order by view, since desc) newest
         left join read.parked_event using (view, hash, generation)
         group by view order by view",
    )
    .fetch_all(pool)
    .await?;
    let letter = |(code, count, latest, reason)| DeadLetters { code, count, latest, reason };
    let event = |(view, events, streams, reason)| ParkedEvents { view, events, streams, reason };
    Ok(ContextReport {
        dead_letters: letters.into_iter().map(letter).collect(),
        parked: parked.into_iter().map(event).collect(),
        error: None,
    })
}
