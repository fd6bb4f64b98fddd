//! The store on Postgres. Nothing outside this module names sqlx.
mod changes;
mod compare;
mod connection;
mod export;
mod gather;
mod generations;
mod ledger;
mod migrate;
mod news;
mod reads;
mod select;
mod table;
mod troubles;
mod versions;
mod views;
mod write;

pub use compare::{Differences, RowDifference};
pub use connection::Postgres;
pub use ledger::PostgresLedger;
pub use migrate::MigrateError;
pub use reads::PostgresReads;
pub use versions::Version;
pub use views::PostgresViews;
