//! The endpoint over real HTTP: what it does with requests of every kind, and with a fleet behind it.
mod asking;
mod bad_input;
mod client;
mod customers;
mod faults;
mod fleet;
mod live;
mod operators;
mod pages;
mod positions;
mod pressure;
mod server;
mod service;
mod socket;
mod sockets;
mod telling;
mod transport;
