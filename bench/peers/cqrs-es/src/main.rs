//! cqrs-es on Postgres, as its documentation has it: an aggregate, `postgres_cqrs`, a `GenericQuery` for a view.
//!
//! - `append --database-url … --writers 64 --seconds 5`: invitations, each on an aggregate of its own
//! - `view …`: the same with one view, in its own way: in the same call, after the commit
//! - `hot …`: changes of one aggregate; a conflict is tried again
mod customer;

use common::{Arguments, email, print};
use cqrs_es::{AggregateError, persist::GenericQuery};
use customer::{Command, Customer, CustomerView};
use postgres_es::{PostgresCqrs, PostgresViewRepository, postgres_cqrs};
use sqlx::PgPool;
use std::sync::Arc;
use uuid::Uuid;

/// Tables of `db/init.sql` in its package.
const TABLES: [&str; 2] = [
    "create table if not exists events (
        aggregate_type text not null, aggregate_id text not null, sequence bigint check (sequence >= 0) not null,
        event_type text not null, event_version text not null, payload json not null, metadata json not null,
        primary key (aggregate_type, aggregate_id, sequence))",
    "create table if not exists customer_view (
        view_id text not null, version bigint check (version >= 0) not null, payload json not null,
        primary key (view_id))",
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read()?;
    let writers: u32 = arguments.or("writers", 64)?;
    // A connection for each writer: fewer would make them wait for each other.
    let pool = arguments.pool("peer_cqrs_es", writers).await?;
    for table in TABLES {
        sqlx::query(table).execute(&pool).await?;
    }
    print(&match arguments.verb() {
        "append" => append(&arguments, cqrs(&pool, false)).await?,
        "view" => append(&arguments, cqrs(&pool, true)).await?,
        "hot" => hot(&arguments, cqrs(&pool, false)).await?,
        verb => anyhow::bail!("{verb} is not among append, view, hot"),
    });
    Ok(())
}

fn cqrs(pool: &PgPool, with_view: bool) -> Arc<PostgresCqrs<Customer>> {
    let mut queries: Vec<Box<dyn cqrs_es::Query<Customer>>> = Vec::new();
    if with_view {
        let views = PostgresViewRepository::<CustomerView, Customer>::new("customer_view", pool.clone());
        let mut query = GenericQuery::new(Arc::new(views));
        query.use_error_handler(Box::new(|error| panic!("the view: {error}")));
        queries.push(Box::new(query));
    }
    Arc::new(postgres_cqrs(pool.clone(), queries, ()))
}

async fn append(
    arguments: &Arguments,
    cqrs: Arc<PostgresCqrs<Customer>>,
) -> anyhow::Result<serde_json::Value> {
    common::writers(arguments, move |_| {
        let cqrs = Arc::clone(&cqrs);
        async move {
            let id = Uuid::now_v7();
            let invite = Command::Invite { customer_id: id, email: email(id) };
            cqrs.execute(&id.to_string(), invite).await?;
            Ok(1)
        }
    })
    .await
}

async fn hot(
    arguments: &Arguments,
    cqrs: Arc<PostgresCqrs<Customer>>,
) -> anyhow::Result<serde_json::Value> {
    let id = Uuid::now_v7();
    cqrs.execute(&id.to_string(), Command::Invite { customer_id: id, email: email(id) }).await?;
    common::writers(arguments, move |_| {
        let cqrs = Arc::clone(&cqrs);
        async move {
            let change = Command::ChangeEmail { email: email(Uuid::now_v7()) };
            match cqrs.execute(&id.to_string(), change).await {
                Ok(()) => Ok(1),
                // Tried again, with the next address, by the same writer at once.
                Err(AggregateError::AggregateConflict) => Ok(0),
                Err(error) => Err(error.into()),
            }
        }
    })
    .await
}
