//! A fleet on real servers: names of its own on servers that it shares with other tests.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
pub(crate) use crate::client::mutation;
use crate::{
    process::Process,
    server::{Server, Services, until_some},
    servers::sql_of,
};
use ::fleet::{
    stack::{Addresses, free_port, shared},
    up::{Settings, migrate},
};
use clap::Parser as _;
use customers::Customers;
use shell::{Service, Shell, ids, names::Names};
use std::net::SocketAddr;
use tokio_util::sync::CancellationToken;

/// Topics, groups and databases of one test.
pub(crate) struct Fleet {
    pub(crate) addresses: Addresses,
    namespace: String,
}

impl Fleet {
    /// On the servers that all tests of this process share.
    pub(crate) async fn new() -> Self {
        let it = Self::bare(&shared().await.unwrap());
        it.migrate().await;
        it
    }

    /// Names only: nothing is there yet.
    pub(crate) fn bare(addresses: &Addresses) -> Self {
        let random = ids::new_id().simple().to_string();
        Self { addresses: addresses.clone(), namespace: format!("t{}_", &random[20..]) }
    }

    /// The same fleet, for whoever signs in to Postgres as another role.
    pub(crate) fn signed_in_as(&self, role: &str) -> Self {
        let database_url =
            self.addresses.database_url.replacen("flotilla@", &format!("{role}@"), 1);
        let addresses = Addresses { database_url, ..self.addresses.clone() };
        Self { addresses, namespace: self.namespace.clone() }
    }

    pub(crate) async fn migrate(&self) {
        migrate(&self.settings().shell).await.unwrap();
    }

    /// The options of every program that is part of this fleet.
    pub(crate) fn options(&self) -> Vec<String> {
        let Addresses { kafka_brokers, schema_registry_url, database_url } = &self.addresses;
        let options = [
            ("--kafka-brokers", kafka_brokers.as_str()),
            ("--schema-registry-url", schema_registry_url),
            ("--database-url", database_url),
            ("--namespace", &self.namespace),
            ("--partitions", "3"),
        ];
        options.into_iter().flat_map(|(name, value)| [name.to_owned(), value.to_owned()]).collect()
    }

    fn settings(&self) -> Settings {
        let program = ["flotilla".to_owned()].into_iter();
        Settings::try_parse_from(program.chain(self.options())).unwrap()
    }

    pub(crate) fn config(&self) -> shell::Config {
        self.settings().shell
    }

    pub(crate) fn names(&self) -> Names {
        Names::new(&self.namespace)
    }

    /// Something in this process that talks to this fleet.
    pub(crate) fn shell(&self) -> Shell {
        Shell::new(self.config(), CancellationToken::new()).unwrap()
    }

    /// Services in this process, until it is dropped. They are not ready yet.
    pub(crate) fn here(&self, services: Vec<Service>) -> Services {
        Services::start(self.shell(), services)
    }

    /// All services in this process.
    pub(crate) async fn whole(&self) -> Server {
        let services = vec![shell::handler::<Customers>(), shell::aggregator::<Customers>()];
        self.serve(services, bff::Config::default()).await
    }

    /// These services and a BFF in this process.
    pub(crate) async fn serve(&self, mut services: Vec<Service>, config: bff::Config) -> Server {
        let http = free_address();
        services.push(bff::service(bff::Config { http, ..config }));
        let services = self.here(services);
        let server = Server::new(http, Some(services));
        server.ready().await;
        server
    }

    /// Services in a process of their own; not ready yet.
    pub(crate) fn process(&self, services: &[&str]) -> Process {
        self.process_with(services, &[])
    }

    /// The same, told something more.
    pub(crate) fn process_with(&self, services: &[&str], more: &[&str]) -> Process {
        let more = more.iter().map(|it| (*it).to_owned());
        let options: Vec<String> = self.options().into_iter().chain(more).collect();
        Process::start(services, &options, free_address())
    }

    /// The same, ready.
    pub(crate) async fn ready_process(&self, services: &[&str]) -> Process {
        let process = self.process(services);
        process.server().ready().await;
        process
    }

    /// Asks the database of the customers.
    pub(crate) fn sql(&self, statement: &str) -> String {
        sql_of(&self.addresses, &self.names().database("customers"), statement)
    }

    pub(crate) fn json(&self, statement: &str) -> serde_json::Value {
        serde_json::from_str(&self.sql(statement)).unwrap()
    }

    /// Asks again and again, until the answer is this one.
    pub(crate) async fn until_sql(&self, statement: &str, expected: &str) {
        let is_so = async || (self.sql(statement) == expected).then_some(());
        until_some(&format!("{statement} is {expected}"), is_so).await;
    }
}

pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()))
}

/// Runs a test with a whole fleet, and a server.
pub(crate) async fn whole(test: impl AsyncFnOnce(Fleet, Server)) {
    let fleet = Fleet::new().await;
    let server = fleet.whole().await;
    test(fleet, server).await;
}

/// One more BFF.
pub(crate) async fn serve(fleet: &Fleet, config: bff::Config) -> Server {
    fleet.serve(Vec::new(), config).await
}

/// How many events there are.
pub(crate) fn events(fleet: &Fleet) -> usize {
    fleet.sql("select count(*) from write.event").parse().unwrap()
}
