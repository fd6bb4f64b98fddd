//! Every service of the fleet, in this process.
use crate::{services, stack::Addresses};
use clap::Parser;
use shell::{Service, Shell, postgres::Postgres, registry::HttpRegistry};
use std::{net::SocketAddr, path::PathBuf, time::Duration};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Where a fleet runs.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// The servers.
    pub addresses: Addresses,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// The folder with the files of the `GraphiQL` page, if it was fetched.
    pub web: Option<PathBuf>,
}

/// What services can be told, beyond where they are: from the environment.
#[derive(Clone, Debug, Parser)]
#[command(name = "flotilla")]
pub struct Settings {
    /// Of every service.
    #[command(flatten)]
    pub shell: shell::Config,
    /// Of the BFF.
    #[command(flatten)]
    pub bff: bff::Config,
}

impl Fleet {
    /// The settings of services that run here.
    ///
    /// # Errors
    /// If a variable of the environment is malformed; the message names it.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        let Addresses { kafka_brokers, schema_registry_url, database_url } = &self.addresses;
        let http = self.http.to_string();
        let mut arguments = vec!["flotilla", "--kafka-brokers", kafka_brokers, "--http", &http];
        arguments.extend(["--schema-registry-url", schema_registry_url]);
        arguments.extend(["--database-url", database_url]);
        let web = self.web.as_ref().map(|it| it.display().to_string());
        if let Some(web) = &web {
            arguments.extend(["--assets", web]);
        }
        Ok(Settings::try_parse_from(arguments)?)
    }
}

/// Runs every service until `shutdown`, and tells `ready` once all of them are.
///
/// # Errors
/// The first service that fails ends all of them.
pub async fn services(
    fleet: Fleet,
    ready: oneshot::Sender<()>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let Settings { shell: config, bff } = fleet.settings()?;
    shell::start_logging();
    migrate(&config).await?;
    let shell = Shell::new(config, shutdown)?;
    let services: Vec<Service> = services::all(bff);
    let running = {
        let shell = shell.clone();
        tokio::task::spawn_blocking(move || shell::supervise(&shell, services))
    };
    let watched = async {
        // Each service appears among those that report once it has begun.
        loop {
            let services = shell.status.services();
            if services.len() > 1 && shell.status.not_ready().is_empty() {
                let _ = ready.send(());
                return std::future::pending().await;
            }
            shell.clock.sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        end = running => end?,
        () = watched => Ok(()),
    }
}

/// Databases and the rules of the schema registry: what has to be there before any service.
///
/// # Errors
/// If a server does not answer, or refuses.
pub async fn migrate(config: &shell::Config) -> anyhow::Result<()> {
    let postgres = Postgres::new(config);
    for context in services::CONTEXTS {
        postgres.migrate(context).await?;
    }
    let registry = HttpRegistry::new(config.schema_registry_url.as_str())?;
    crate::schemas::register(&registry).await?;
    Ok(())
}
