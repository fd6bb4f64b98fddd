//! Databases and their tables, made or brought up to date. Only what cannot be rebuilt is migrated, and the logs of what
//! changed.
use super::connection::Postgres;
use sqlx::{Connection as _, PgConnection, migrate::Migrator};

static MIGRATIONS: Migrator = sqlx::migrate!();
const ROLES: &str = include_str!("roles.sql");

/// A database that could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The server does not answer, or refuses.
    #[error("postgres at {server}: {reason}")]
    Away {
        /// Its address, without a password.
        server: String,
        /// Its words.
        reason: String,
    },
    /// A migration failed; it was rolled back.
    #[error("the database {database} cannot be migrated: {reason}")]
    Failed {
        /// The database.
        database: String,
        /// What failed.
        reason: String,
    },
}

impl Postgres {
    /// Makes the database of a context if it is missing, and brings its tables up to date.
    ///
    /// # Errors
    /// If the server does not answer, or a migration fails.
    pub async fn migrate(&self, context: &str) -> Result<(), MigrateError> {
        let database = self.names().database(context);
        let away = |reason: String| MigrateError::Away { server: self.to_string(), reason };
        let options = self.options(Some(context)).map_err(|error| away(error.to_string()))?;
        let mut connection = match PgConnection::connect_with(&options).await {
            Ok(it) => it,
            Err(error) if is(&error, "3D000") => {
                self.create(&database).await.map_err(|error| away(error.to_string()))?;
                PgConnection::connect_with(&options)
                    .await
                    .map_err(|error| away(error.to_string()))?
            }
            Err(error) => return Err(away(error.to_string())),
        };
        let failed = |reason: String| MigrateError::Failed { database: database.clone(), reason };
        MIGRATIONS.run(&mut connection).await.map_err(|error| failed(error.to_string()))?;
        sqlx::raw_sql(ROLES)
            .execute(&mut connection)
            .await
            .map_err(|error| failed(format!("what roles may do cannot be granted: {error}")))?;
        let _ = connection.close().await;
        Ok(())
    }

    /// Whether the database of a context has all the tables that this build needs: made by whoever may, and looked at by
    /// whoever may read.
    ///
    /// # Errors
    /// If the server does not answer, or the database is not there or cannot be read.
    pub async fn is_migrated(&self, context: &str) -> Result<bool, MigrateError> {
        let away = |reason: String| MigrateError::Away { server: self.to_string(), reason };
        let options = self.options(Some(context)).map_err(|error| away(error.to_string()))?;
        let query = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            let sql = "select max(version) from _sqlx_migrations where success";
            let newest: Option<i64> = sqlx::query_scalar(sql).fetch_one(&mut connection).await?;
            let _ = connection.close().await;
            Ok(newest)
        };
        let newest = query.await.map_err(|error: sqlx::Error| away(error.to_string()))?;
        Ok(newest >= MIGRATIONS.iter().map(|it| it.version).max())
    }

    async fn create(&self, database: &str) -> Result<(), sqlx::Error> {
        let options =
            self.options(None).map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
        let mut connection = PgConnection::connect_with(&options).await?;
        let sql = sqlx::AssertSqlSafe(format!("create database \"{database}\""));
        match sqlx::query(sql).execute(&mut connection).await {
            // Another process was faster.
            Err(error) if is(&error, "42P04") || is(&error, "23505") => Ok(()),
            other => other.map(drop),
        }
    }
}

impl std::fmt::Display for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.url().fmt(f)
    }
}

fn is(error: &sqlx::Error, code: &str) -> bool {
    error.as_database_error().is_some_and(|it| it.code().as_deref() == Some(code))
}
