//! The development stack, the command line, and the whole fleet, on real servers.
mod architecture;
/// Asking views: the same tests as on the fleet in memory.
#[path = "../../../bff/tests/it/asking.rs"]
mod asking;
mod assumptions;
mod audit;
mod auditing;
mod chaos;
#[path = "../../../bff/tests/it/client.rs"]
mod client;
mod command_line;
mod deployed;
mod drill;
mod facts;
/// What customers can do: the same tests as on the fleet in memory.
#[path = "../../../bff/tests/it/customers.rs"]
mod features;
mod fleet;
mod fleet_page;
mod handlers;
mod hostile;
mod hostile_input;
mod instances;
mod letters;
/// Following what changes: the same tests as on the fleet in memory.
#[path = "../../../bff/tests/it/live.rs"]
mod live;
mod live_log;
mod load;
mod mutations;
mod operators_day;
mod options;
mod outages;
mod process;
mod proof;
mod queries;
mod rebuild;
mod records;
mod republish;
mod roles;
mod security;
mod server;
mod servers;
mod settings;
mod simulation;
#[path = "../../../bff/tests/it/socket.rs"]
mod socket;
mod stack;
mod telemetry;
/// What the write side tells: the same tests as on the fleet in memory.
#[path = "../../../bff/tests/it/telling.rs"]
mod telling;
mod topics;
mod transfers;
mod views;
