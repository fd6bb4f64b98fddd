//! All rows of a view that a query asks for, as of one instant, a few at a time: a cursor in a transaction that sees
//! nothing of what is committed meanwhile.
use super::{
    connection::away,
    reads::Seen,
    select::{self, CHECKPOINTS, LIVE, Parameter, Statement},
    views::checkpoints as checkpoints_of,
};
use crate::{
    port::store::{Export, Generation, StoreError},
    reads::Query,
    view::ViewDefinition,
};
use futures::{StreamExt as _, stream::try_unfold};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgConnectOptions};

/// On a connection of its own: an export takes as long as whoever reads it.
pub(super) async fn export(
    options: PgConnectOptions,
    view: &ViewDefinition,
    of: Generation,
    query: &Query,
) -> Result<Seen<Export>, StoreError> {
    let failed = |error: sqlx::Error| away(&error);
    let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
    sqlx::raw_sql(BEGIN).execute(&mut connection).await.map_err(failed)?;
    let sql = format!("select {CHECKPOINTS}, {LIVE}");
    let (checkpoints, live): (String, Option<i32>) = sqlx::query_as(AssertSqlSafe(sql))
        .bind(of.table)
        .bind(&of.hash)
        .bind(of.generation)
        .fetch_one(&mut connection)
        .await
        .map_err(failed)?;
    let checkpoints = checkpoints_of(&checkpoints, view.table)?;
    if live != Some(of.generation) {
        let rows = futures::stream::empty().boxed();
        return Ok(Seen { it: Export { checkpoints, rows }, live });
    }
    let Statement { sql, parameters } = select::export(view, &of, query);
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    for it in parameters {
        statement = match it {
            Parameter::One(text) => statement.bind(text),
            Parameter::Many(texts) => statement.bind(texts),
        };
    }
    statement.execute(&mut connection).await.map_err(failed)?;
    let rows = try_unfold(connection, |mut connection| async move {
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(FETCH))
            .fetch_all(&mut connection)
            .await
            .map_err(|error| away(&error))?;
        Ok((!rows.is_empty()).then(|| (format!("[{}]", rows.join(",")), connection)))
    });
    Ok(Seen { it: Export { checkpoints, rows: rows.boxed() }, live })
}

/// A reader may be slow, but not for ever: old rows are kept for as long as it reads.
const BEGIN: &str = "begin isolation level repeatable read, read only;
    set local statement_timeout = '60s';
    set local idle_in_transaction_session_timeout = '60s'";
const FETCH: &str = "fetch 500 from rows";
