//! One row: a commit of it, and a read of it by its key.
use common::Arguments;
use serde_json::Value;
use sqlx::PgPool;
use uuid::Uuid;

/// As many connections as make no difference.
const CONNECTIONS: u32 = 16;

async fn table(arguments: &Arguments) -> anyhow::Result<PgPool> {
    let pool = arguments.pool("limits_row", CONNECTIONS).await?;
    let sql = "create table if not exists one (id uuid primary key, data bytea not null)";
    sqlx::query(sql).execute(&pool).await?;
    Ok(pool)
}

/// Inserts one row and commits it.
pub(super) async fn commit(arguments: &Arguments) -> anyhow::Result<Value> {
    let pool = table(arguments).await?;
    common::at_rate(arguments, || {
        let pool = pool.clone();
        async move {
            sqlx::query("insert into one values ($1, $2)")
                .bind(Uuid::now_v7())
                .bind([7u8; 200].as_slice())
                .execute(&pool)
                .await?;
            Ok(())
        }
    })
    .await
}

/// Reads one row by its key.
pub(super) async fn read(arguments: &Arguments) -> anyhow::Result<Value> {
    let pool = table(arguments).await?;
    let id = Uuid::now_v7();
    let insert = sqlx::query("insert into one values ($1, $2)").bind(id).bind([7u8; 200].as_slice());
    insert.execute(&pool).await?;
    common::at_rate(arguments, || {
        let pool = pool.clone();
        async move {
            let sql = "select id, data from one where id = $1";
            let _: (Uuid, Vec<u8>) = sqlx::query_as(sql).bind(id).fetch_one(&pool).await?;
            Ok(())
        }
    })
    .await
}
