//! Whole tables as streams of bytes, in Postgres' own text format, which every version reads.
use super::{
    connection::{Postgres, away},
    snapshot::Snapshot,
};
use crate::port::store::StoreError;
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, postgres::PgCopyIn};
use std::collections::BTreeMap;

/// A table and its columns, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// With its schema: `write.event`.
    pub name: String,
    /// Those that are written down; none that is computed.
    pub columns: Vec<String>,
}

impl Table {
    /// In SQL. Names come from the catalogue of the database.
    fn quoted(&self) -> String {
        self.name.split('.').map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(".")
    }

    fn columns(&self) -> String {
        self.columns.iter().map(|it| format!("\"{it}\"")).collect::<Vec<_>>().join(", ")
    }
}

/// All tables of the write side but snapshots, which are derived; and what operators have decided about events, which
/// no view can find out again.
const TABLES: &str = "
select n.nspname || '.' || c.relname,
    array(select a.attname::text from pg_attribute a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        order by a.attnum),
    coalesce((select string_agg(quote_ident(a.attname), ', ' order by k.n)
        from pg_index i, unnest(i.indkey::int[]) with ordinality k (attnum, n), pg_attribute a
        where i.indrelid = c.oid and i.indisprimary and a.attrelid = c.oid and a.attnum = k.attnum), '1')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and (n.nspname = 'write' and c.relname <> 'snapshot' or (n.nspname, c.relname) = ('read', 'discard'))
order by 1";

async fn tables(connection: &mut PgConnection) -> Result<Vec<(Table, String)>, sqlx::Error> {
    let rows: Vec<(String, Vec<String>, String)> =
        sqlx::query_as(TABLES).fetch_all(connection).await?;
    let table = |(name, columns, key)| (Table { name, columns }, key);
    Ok(rows.into_iter().map(table).collect())
}

impl Snapshot {
    /// The tables that a backup has.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn tables(&self) -> Result<Vec<Table>, StoreError> {
        let found = async { tables(&mut self.connect().await?).await };
        let found = found.await.map_err(|error| away(&error))?;
        Ok(found.into_iter().map(|it| it.0).collect())
    }

    /// Hands all rows of a table to `take`, a few at a time, in the order of its key.
    ///
    /// # Errors
    /// If the store does not answer; what `take` says ends it too.
    pub async fn copy_out(
        &self,
        table: &Table,
        mut take: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<(), StoreError> {
        let copied = async {
            let mut connection = self.connect().await?;
            let all = tables(&mut connection).await?;
            let key = all.iter().find(|it| it.0 == *table).map_or("1", |it| it.1.as_str());
            let (columns, name) = (table.columns(), table.quoted());
            let sql = format!("copy (select {columns} from {name} order by {key}) to stdout");
            let mut bytes = connection.copy_out_raw(&sql).await?;
            while let Some(bytes) = bytes.try_next().await? {
                take(&bytes)?;
            }
            Ok::<_, sqlx::Error>(())
        };
        copied.await.map_err(|error| away(&error))
    }
}

const LEDGER: &str = "write.ledger";
const SCHEMA: &str = "write.schema";

/// A write side that is being filled, in one transaction: all of it or nothing.
pub struct Restoration {
    connection: PgConnection,
    /// The epochs that were given out before.
    epochs: BTreeMap<i32, i64>,
}

/// What is done to a ledger that comes from a backup.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The life of the write side that begins; `None`: the old one goes on.
    pub incarnation: Option<i64>,
    /// Where the command topic ends, by partition: nothing was decided after that.
    pub ends: &'a BTreeMap<i32, i64>,
}

impl Postgres {
    /// Holds the write side of a context until it is filled. Whoever wants to write waits.
    ///
    /// # Errors
    /// If the store does not answer, or somebody does not let go of it.
    pub async fn restoration(&self, context: &str) -> Result<Restoration, StoreError> {
        let options = self.options(Some(context))?.options([
            ("statement_timeout", "0"),
            ("idle_in_transaction_session_timeout", "0"),
            ("lock_timeout", "30s"),
        ]);
        let begun = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            sqlx::raw_sql("begin").execute(&mut connection).await?;
            // The ledger first, as every batch does.
            let sql = "lock table write.ledger, write.event, write.outcome, write.claim in access exclusive mode";
            sqlx::raw_sql(sql).execute(&mut connection).await?;
            let rows: Vec<(i32, i64)> = sqlx::query_as("select part, epoch from write.ledger")
                .fetch_all(&mut connection)
                .await?;
            Ok::<_, sqlx::Error>(Restoration { connection, epochs: rows.into_iter().collect() })
        };
        begun.await.map_err(|error| away(&error))
    }
}

impl Restoration {
    /// The tables of the database as it is now.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn tables(&mut self) -> Result<Vec<Table>, StoreError> {
        let found = tables(&mut self.connection).await.map_err(|error| away(&error))?;
        Ok(found.into_iter().map(|it| it.0).collect())
    }

    /// What there is already, in words: a write side that has decided something, or views that show something.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn occupied_by(&mut self, tables: &[Table]) -> Result<Option<String>, StoreError> {
        for table in tables {
            let condition = match table.name.as_str() {
                // Handlers write these down when they start.
                SCHEMA => continue,
                LEDGER => "where pseq > 0",
                _ => "",
            };
            let sql = format!("select count(*) from {} {condition}", table.quoted());
            let count = self.count(sql).await?;
            if count > 0 {
                return Ok(Some(format!("{} has {count} rows", table.name)));
            }
        }
        let count =
            self.count("select count(*) from read.checkpoint where pseq > 0".into()).await?;
        Ok((count > 0).then(|| "views stand there that show another history".to_owned()))
    }

    async fn count(&mut self, sql: String) -> Result<i64, StoreError> {
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await;
        count.map_err(|error| away(&error))
    }

    /// Fills a table; how many rows it has then.
    ///
    /// # Errors
    /// If the store refuses a row, or does not answer; if `next` cannot be read. `next` gives the bytes, and none in
    /// the end.
    pub async fn copy_in(
        &mut self,
        table: &Table,
        mut next: impl FnMut(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Result<u64, StoreError> {
        let (name, columns) = (table.quoted(), table.columns());
        let copied = async {
            let it = &mut self.connection;
            // Those are not empty once a handler has started; all others are.
            if [LEDGER, SCHEMA].contains(&table.name.as_str()) {
                let keep = format!(
                    "create temporary table kept on commit drop as table {name}; delete from {name}"
                );
                sqlx::raw_sql(AssertSqlSafe(keep)).execute(&mut *it).await?;
            }
            let sql = format!("copy {name} ({columns}) from stdin");
            let mut copy: PgCopyIn<&mut PgConnection> = it.copy_in_raw(&sql).await?;
            let mut bytes = Vec::new();
            loop {
                bytes.clear();
                if let Err(error) = next(&mut bytes) {
                    copy.abort("the backup cannot be read").await?;
                    return Err(error.into());
                }
                if bytes.is_empty() {
                    break;
                }
                copy.send(bytes.as_slice()).await?;
            }
            let rows = copy.finish().await?;
            if table.name == SCHEMA {
                // What those wrote down that started before, and the backup does not have.
                let sql = "insert into write.schema select * from kept on conflict do nothing";
                sqlx::raw_sql(sql).execute(&mut *it).await?;
            }
            sqlx::raw_sql("drop table if exists kept").execute(&mut *it).await?;
            for column in &table.columns {
                // Numbers that Postgres gives out go on after those that were given out.
                let sql = "select pg_get_serial_sequence($1, $2)";
                let sequence: Option<String> =
                    sqlx::query_scalar(sql).bind(&name).bind(column).fetch_one(&mut *it).await?;
                if let Some(sequence) = sequence {
                    let sql = format!(
                        "select setval($1, coalesce(max(\"{column}\"), 0) + 1, false) from {name}"
                    );
                    sqlx::query(AssertSqlSafe(sql)).bind(sequence).execute(&mut *it).await?;
                }
            }
            Ok::<_, sqlx::Error>(rows)
        };
        copied.await.map_err(|error| away(&error))
    }

    /// Makes the ledger go on where the backup ends, and all of it durable: nothing is published yet, and whoever
    /// owned a partition owns it no more.
    ///
    /// # Errors
    /// If the store does not answer: then nothing was changed.
    pub async fn commit(mut self, renewal: Renewal<'_>) -> Result<(), StoreError> {
        let (parts, epochs): (Vec<i32>, Vec<i64>) = self.epochs.iter().unzip();
        let (ended, ends): (Vec<i32>, Vec<i64>) = renewal.ends.iter().unzip();
        let committed = async {
            let sql = "update write.ledger l set
                    epoch = greatest(l.epoch, coalesce((select e.epoch from unnest($1::int[], $2::bigint[]) e (part, epoch)
                        where e.part = l.part), 0)) + 1,
                    next_offset = least(l.next_offset, coalesce((select e.high from unnest($3::int[], $4::bigint[]) e (part, high)
                        where e.part = l.part), 0)),
                    published = 0, published_offset = -1,
                    incarnation = case when $5::bigint is null then l.incarnation else greatest($5, l.incarnation + 1) end";
            sqlx::query(sql)
                .bind(&parts)
                .bind(&epochs)
                .bind(&ended)
                .bind(&ends)
                .bind(renewal.incarnation)
                .execute(&mut self.connection)
                .await?;
            sqlx::raw_sql("commit").execute(&mut self.connection).await?;
            sqlx::raw_sql("analyze").execute(&mut self.connection).await
        };
        committed.await.map(drop).map_err(|error| away(&error))
    }
}
