//! The fleet for its clients: GraphQL over HTTP. The only crate that knows either.
//!
//! A mutation becomes a command, and answers with what was decided; a query reads a view, and is never older than
//! what its reader has seen before ([`session`]); a subscription pushes rows as they change. Nothing is decided here.
//!
//! # Adding a command
//! 1. `customers.rs`: its input, its payload, a mutation of three lines;
//! 2. `UPDATE_SCHEMA=1 cargo test -p bff` writes `schema.graphql`;
//! 3. a test in `tests/it`.
//!
//! # Adding a context
//! 1. a file like `customers.rs`;
//! 2. its queries, mutations and subscriptions in the three lists of `schema.rs`, its name in the one of `commands.rs`.
mod commands;
mod config;
mod counts;
mod customers;
pub mod document;
pub mod errors;
mod export;
mod filter;
mod history;
pub mod http;
pub mod limits;
mod operator;
mod order;
mod registering;
pub mod relay;
pub mod scalars;
mod schema;
mod service;
pub mod session;

pub use config::Config;
pub use operator::Token;
pub use schema::{Mutation, Query, Schema, Subscription, schema, sdl};
pub use service::service;
