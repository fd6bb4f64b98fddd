//! Where it is measured: servers of its own, and a namespace for each measure.
use super::{Plan, peers::Peers, process::Process};
use crate::{
    stack::{Addresses, Progress, Stack, StackOptions, free_port, reset},
    up::{Settings, migrate},
};
use anyhow::Context as _;
use clap::Parser as _;
use shell::{Shell, clock::Clock, names::Names, wait_for_topics};
use std::{net::SocketAddr, path::PathBuf, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The servers, the peers, and what is measured on them.
pub(super) struct Stage {
    pub(super) plan: Plan,
    pub(super) peers: Peers,
    pub(super) clock: Clock,
    pub(super) progress: Arc<dyn Progress>,
    stack: Stack,
}

impl Stage {
    pub(super) async fn start(
        plan: &Plan,
        peers: Peers,
        progress: Arc<dyn Progress>,
    ) -> anyhow::Result<Self> {
        // What an earlier run has left would be in the way of the figures.
        reset(&plan.data)?;
        let options = StackOptions {
            data: plan.data.clone(),
            ports: crate::stack::Ports::Auto,
            ..StackOptions::default()
        };
        let stack = Stack::start(options, Arc::clone(&progress)).await?;
        Ok(Self { plan: plan.clone(), peers, clock: Clock::system(), progress, stack })
    }

    pub(super) fn addresses(&self) -> &Addresses {
        self.stack.addresses()
    }

    /// The servers themselves.
    pub(super) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// A fleet whose topics and databases nobody else uses: empty, and ready for its services.
    pub(super) async fn fleet(&self, name: &str) -> anyhow::Result<Fleet> {
        let Addresses { kafka_brokers, schema_registry_url, database_url } = self.addresses();
        let namespace = format!("{name}_");
        let options: Vec<String> = [
            ("--kafka-brokers", kafka_brokers.as_str()),
            ("--schema-registry-url", schema_registry_url),
            ("--database-url", database_url),
            ("--namespace", &namespace),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value.to_owned()])
        .collect();
        let program = ["flotilla".to_owned()].into_iter();
        let Settings { shell: config, .. } =
            Settings::try_parse_from(program.chain(options.clone()))?;
        migrate(&config).await.context("make the databases")?;
        let shell = Shell::new(config, CancellationToken::new())?;
        wait_for_topics(&shell, crate::services::CONTEXTS).await?;
        Ok(Fleet { shell, options, namespace, logs: self.stack.logs() })
    }

    /// A line of progress.
    pub(super) fn tell(&self, step: &str, detail: &str) {
        self.progress.goes_on(step, detail);
    }

    /// Ends the servers, and deletes their data.
    pub(super) async fn stop(self) {
        let Self { stack, progress, plan, .. } = self;
        stack.stop(progress).await;
        // It is of no use to anybody; what cannot be deleted now is at the next run.
        let _ = reset(&plan.data);
    }
}

/// Topics and databases of one measure, and its services.
pub(super) struct Fleet {
    pub(super) shell: Shell,
    namespace: String,
    options: Vec<String>,
    logs: PathBuf,
}

impl Fleet {
    pub(super) fn names(&self) -> Names {
        Names::new(&self.namespace)
    }

    /// What names it to a program of the fleet.
    pub(super) fn options(&self) -> &[String] {
        &self.options
    }

    /// The database of the customers.
    pub(super) fn database(&self) -> String {
        self.names().database("customers")
    }

    /// The same fleet, whose services are told more.
    pub(super) fn with(&self, options: &[&str]) -> Self {
        let more = options.iter().map(|it| (*it).to_owned());
        Self {
            shell: self.shell.clone(),
            namespace: self.namespace.clone(),
            options: self.options.iter().cloned().chain(more).collect(),
            logs: self.logs.clone(),
        }
    }

    /// Starts services in a process of their own, and waits until they are ready.
    pub(super) async fn start(&self, services: &[&str]) -> anyhow::Result<Process> {
        let mut process = self.begin(services)?;
        process.ready(&self.shell.clock).await?;
        Ok(process)
    }

    /// Starts services in a process of their own; they are not ready yet.
    pub(super) fn begin(&self, services: &[&str]) -> anyhow::Result<Process> {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        Process::start(services, &self.options, address, &self.logs)
    }
}
