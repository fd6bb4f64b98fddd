//! A fleet in memory, with a server in front of it.
pub(crate) use crate::client::mutation;
use crate::server::Server;
use bff::Config;
use customers::Customers;
use shell::{
    clock::Clock,
    memory::{Fleet, FleetOptions},
};
use std::time::Duration;
use tokio::task::LocalSet;

/// Runs a test with a fleet without services, and without a server.
pub(crate) async fn bare(test: impl AsyncFnOnce(Fleet)) {
    let fleet = Fleet::new(FleetOptions::default(), Clock::system());
    LocalSet::new().run_until(test(fleet)).await;
}

/// Runs a test with a whole fleet, and a server.
pub(crate) async fn whole(test: impl AsyncFnOnce(Fleet, Server)) {
    bare(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let server = serve(&fleet, Config::default()).await;
        test(fleet, server).await;
    })
    .await;
}

/// A server, with a client of its own, as every instance has one.
pub(crate) async fn serve(fleet: &Fleet, config: Config) -> Server {
    let client = fleet.client::<Customers>();
    let exports = bff::http::exports(client.clone(), &config);
    Server::start_with(bff::schema(&config, client), config, exports).await
}

const SOON: Duration = Duration::from_millis(300);

/// Does not wait long for views.
pub(crate) fn hasty_to_read() -> Config {
    Config { read_time: SOON, ..Config::default() }
}

/// Does not wait long for answers to commands.
pub(crate) fn hasty_to_hear() -> Config {
    Config { command_time: SOON, ..Config::default() }
}

/// How many events there are.
pub(crate) fn events(fleet: &Fleet) -> usize {
    fleet.store.events("customers").len()
}
