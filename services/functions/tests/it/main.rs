//! The tests of what contexts are made of.
mod history;
mod parcels;
mod row;
mod spec;
