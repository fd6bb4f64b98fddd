//! disintegrate on Postgres, as its documentation has it: a decision with a state query, and a listener for a view.
//!
//! - `append --database-url … --writers 64 --seconds 5`: invitations, each of another customer
//! - `rebuild --database-url … --events 5000`: a listener that makes a row of each event, from the first
mod customer;

use common::{Arguments, email, print};
use customer::{Event, Invite, Rows};
use disintegrate::{DecisionError, EventStore as _, NoSnapshot, serde::json::Json};
use disintegrate_postgres::{
    PgEventListener, PgEventListenerConfig, PgEventStore, decision_maker,
};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::time::{Duration, Instant};
use uuid::Uuid;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::read()?;
    let writers: u32 = arguments.or("writers", 64)?;
    let verb = arguments.verb();
    // A connection for each writer: fewer would make them wait for each other.
    let database = format!("peer_disintegrate_{verb}");
    allow_unchecked_functions(&arguments, &database).await?;
    let pool = arguments.pool(&database, writers).await?;
    let store = PgEventStore::try_new(pool.clone(), Json::<Event>::default()).await?;
    write_in_decimal(&pool).await?;
    print(&match verb {
        "append" => append(&arguments, store).await?,
        "rebuild" => rebuild(&arguments, pool, store).await?,
        verb => anyhow::bail!("{verb} is not among append, rebuild"),
    });
    Ok(())
}

/// Postgres reads `0xFFFFFFFF`, which one of disintegrate's functions has, from version 16 on: before, the function has to
/// be made unchecked…
async fn allow_unchecked_functions(arguments: &Arguments, database: &str) -> anyhow::Result<()> {
    let mut connection = arguments.connection(database).await?;
    let sql = format!("alter database \"{database}\" set check_function_bodies = off");
    sqlx::query(&sql).execute(&mut connection).await?;
    Ok(())
}

/// … and then with the same number in a form that every version reads.
async fn write_in_decimal(pool: &PgPool) -> anyhow::Result<()> {
    let sql = "do $$ begin execute replace(
        pg_get_functiondef('event_store_begin_epoch'::regproc), '0xFFFFFFFF', '4294967295'); end $$";
    sqlx::query(sql).execute(pool).await?;
    Ok(())
}

type Store = PgEventStore<Event, Json<Event>>;

async fn append(arguments: &Arguments, store: Store) -> anyhow::Result<Value> {
    let maker = std::sync::Arc::new(decision_maker(store, NoSnapshot));
    common::writers(arguments, move |_| {
        let maker = maker.clone();
        async move {
            let id = Uuid::now_v7();
            let invite = Invite::new(id, email(id));
            match maker.make(invite).await {
                Ok(_) => Ok(1),
                // Serializable transactions may fail for no fault of their own: the writer goes on with the next.
                Err(error) if is_conflict(&error) => Ok(0),
                Err(error) => Err(anyhow::anyhow!("{error:?}")),
            }
        }
    })
    .await
}

/// A conflict is an error of its own, or the database's word that two transactions cannot be put in an order.
fn is_conflict<E: std::error::Error + 'static>(error: &DecisionError<E>) -> bool {
    let (DecisionError::EventStore(error) | DecisionError::StateStore(error)) = error else { return false };
    match error.downcast_ref::<disintegrate_postgres::Error>() {
        Some(disintegrate_postgres::Error::Concurrency) => true,
        Some(disintegrate_postgres::Error::Database(sqlx::Error::Database(it))) => {
            it.code().as_deref() == Some("40001")
        }
        _ => false,
    }
}

async fn rebuild(arguments: &Arguments, pool: PgPool, store: Store) -> anyhow::Result<Value> {
    let events: i64 = arguments.get("events")?;
    for table in ["event_listener", "customer"] {
        sqlx::query(&format!("drop table if exists {table}")).execute(&pool).await?;
    }
    sqlx::query(customer::TABLE).execute(&pool).await?;
    let stored: i64 = sqlx::query_scalar("select count(*) from event").fetch_one(&pool).await?;
    let mut missing = usize::try_from((events - stored).max(0))?;
    while missing > 0 {
        let batch = missing.min(500);
        let invited = std::iter::repeat_with(Uuid::now_v7).take(batch);
        let invited = invited.map(|id| Event::Invited { customer_id: id, email: email(id) });
        store.append_without_validation(invited.collect()).await?;
        missing -= batch;
    }
    let total: i64 = sqlx::query_scalar("select count(*) from event").fetch_one(&pool).await?;
    let began = Instant::now();
    let listener = PgEventListener::builder(store).register_listener(
        Rows::new(pool.clone()),
        PgEventListenerConfig::poller(Duration::from_millis(50)).with_notifier(),
    );
    let limit = Duration::from_secs_f64(arguments.or("seconds", 60.0)?);
    let done = async {
        loop {
            let sql = "select count(*) from customer";
            let rows: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await?;
            if rows >= total || began.elapsed() > limit {
                return anyhow::Ok(rows);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let rows = tokio::select! {
        rows = done => rows?,
        end = listener.start() => { end?; anyhow::bail!("the listener ended") }
    };
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "count": rows, "seconds": seconds, "per_second": rows as f64 / seconds }))
}
