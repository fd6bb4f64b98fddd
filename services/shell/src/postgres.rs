//! The store on Postgres. Nothing outside this module names sqlx.
mod connection;
mod export;
mod gather;
mod ledger;
mod migrate;
mod news;
mod reads;
mod select;
mod table;
mod troubles;
mod views;
mod write;

pub use connection::Postgres;
pub use ledger::PostgresLedger;
pub use migrate::MigrateError;
pub use reads::PostgresReads;
pub use views::PostgresViews;
