//! What happened, read from the event table.
use super::{
    PostgresReads,
    connection::away,
    ledger::{EVENT, Event},
};
use crate::port::store::{EventRow, Past, StoreError, Versions};
use futures::future::BoxFuture;
use shared_events::Fingerprint;
use sqlx::AssertSqlSafe;
use uuid::Uuid;

impl Past for PostgresReads {
    fn events_of<'a>(
        &'a self,
        context: &'a str,
        stream: Uuid,
        versions: Versions,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>> {
        Box::pin(async move {
            let Versions { first, last, newest_first, limit } = versions;
            let direction = if newest_first { "desc" } else { "asc" };
            let sql = format!(
                "select {EVENT} from write.event
                where stream = $1 and version between $2 and $3 order by version {direction} limit $4"
            );
            let query = sqlx::query_as::<_, Event>(AssertSqlSafe(sql));
            let query = query.bind(stream).bind(first).bind(last).bind(limit);
            let rows = query.fetch_all(&self.pool(context)?).await;
            Ok(rows.map_err(|error| away(&error))?.into_iter().map(EventRow::from).collect())
        })
    }

    fn length<'a>(
        &'a self,
        context: &'a str,
        stream: Uuid,
    ) -> BoxFuture<'a, Result<i64, StoreError>> {
        Box::pin(async move {
            // Versions have no gaps.
            let sql = "select coalesce(max(version), 0) from write.event where stream = $1";
            let query = sqlx::query_scalar(sql).bind(stream);
            query.fetch_one(&self.pool(context)?).await.map_err(|error| away(&error))
        })
    }

    fn events_after<'a>(
        &'a self,
        context: &'a str,
        (stream, version): (Uuid, i64),
        limit: i64,
    ) -> BoxFuture<'a, Result<Vec<EventRow>, StoreError>> {
        Box::pin(async move {
            let sql = format!(
                "select {EVENT} from write.event where (stream, version) > ($1, $2)
                order by stream, version limit $3"
            );
            let query = sqlx::query_as::<_, Event>(AssertSqlSafe(sql));
            let query = query.bind(stream).bind(version).bind(limit);
            let rows = query.fetch_all(&self.pool(context)?).await;
            Ok(rows.map_err(|error| away(&error))?.into_iter().map(EventRow::from).collect())
        })
    }

    fn schema<'a>(
        &'a self,
        context: &'a str,
        fingerprint: Fingerprint,
    ) -> BoxFuture<'a, Result<Option<String>, StoreError>> {
        Box::pin(async move {
            let sql = "select avsc from write.schema where fingerprint = $1";
            let query = sqlx::query_scalar(sql).bind(fingerprint.0.cast_signed());
            query.fetch_optional(&self.pool(context)?).await.map_err(|error| away(&error))
        })
    }
}
