//! The stack, the services and the ways between them.
use super::{
    PARTITIONS,
    plan::{EACH, Victim},
    proxy::{Proxy, Weather},
};
use crate::{
    stack::{Addresses, Detour, Ports, Progress, Server, Stack, StackOptions, free_port},
    trial::{Bffs, Ground, Member, Service, options_for, prepare},
};
use anyhow::Context as _;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::Mutex;

/// Everything that can be harmed. Dropping it ends all of it at once.
pub(super) struct Stage {
    pub(super) members: Vec<Mutex<Member>>,
    ways: Vec<BTreeMap<Server, Proxy>>,
    pub(super) stack: Stack,
    /// Past all ways.
    pub(super) ground: Ground,
}

impl Stage {
    /// Starts the servers, makes ways to them and topics and tables in them, and starts the services.
    pub(super) async fn open(
        program: &Path,
        data: PathBuf,
        seed: u64,
        progress: Arc<dyn Progress>,
    ) -> anyhow::Result<Self> {
        let detours: Vec<Detour> = (0..EACH)
            .map(|_| Ok(Detour { port: free_port()?, advertised: free_port()? }))
            .collect::<anyhow::Result<_>>()?;
        let options = StackOptions {
            data,
            ports: Ports::Auto,
            detours: detours.clone(),
            ..StackOptions::default()
        };
        let stack = Stack::start(options, progress).await?;
        let direct = stack.addresses();
        let shell = prepare(direct, PARTITIONS).await?;
        let (mut ways, mut members, mut bffs) = (Vec::new(), Vec::new(), Vec::new());
        for (n, detour) in detours.into_iter().enumerate() {
            let (addresses, way) = way(direct, detour, seed.wrapping_add(n as u64)).await?;
            let options = options_for(&addresses, PARTITIONS);
            for who in [Victim::Handler(n), Victim::Aggregator(n), Victim::Bff(n)] {
                let service = match who {
                    Victim::Handler(_) => Service::Handler,
                    Victim::Aggregator(_) => Service::Aggregator,
                    _ => Service::Bff,
                };
                let (name, logs) = (who.to_string(), stack.logs());
                let mut member = Member::new(service, name, program, &options, &logs)?;
                member.start()?;
                if service == Service::Bff {
                    bffs.push(member.url());
                }
                members.push(Mutex::new(member));
            }
            ways.push(way);
        }
        let ground = Ground { shell, bffs: Bffs::new(bffs) };
        Ok(Self { members, ways, stack, ground })
    }

    /// A service.
    pub(super) fn member(&self, who: Victim) -> anyhow::Result<&Mutex<Member>> {
        let place = match who {
            Victim::Handler(n) => n * 3,
            Victim::Aggregator(n) => n * 3 + 1,
            Victim::Bff(n) => n * 3 + 2,
            Victim::Server(_) | Victim::Way(..) => usize::MAX,
        };
        self.members.get(place).with_context(|| format!("{who} is no service of this fleet"))
    }

    /// The way to a server that some of the services take.
    pub(super) fn way(&self, n: usize, server: Server) -> anyhow::Result<&Proxy> {
        let way = self.ways.get(n).and_then(|it| it.get(&server));
        way.with_context(|| format!("there is no way {n} to {server}"))
    }

    /// All ways are as they should be.
    pub(super) fn clears_up(&self) {
        for proxy in self.ways.iter().flat_map(BTreeMap::values) {
            proxy.set(Weather::Clear);
        }
    }

    /// What services are not ready.
    pub(super) async fn not_ready(&self) -> Vec<String> {
        let mut found = Vec::new();
        for it in &self.members {
            let it = it.lock().await;
            if !it.is_ready().await {
                found.push(it.name.clone());
            }
        }
        found
    }
}

/// A way to all three servers, and where it begins.
async fn way(
    direct: &Addresses,
    detour: Detour,
    seed: u64,
) -> anyhow::Result<(Addresses, BTreeMap<Server, Proxy>)> {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mut way = BTreeMap::new();
    let kafka = local(detour.advertised);
    way.insert(Server::Kafka, Proxy::open(kafka, local(detour.port), seed).await?);
    let mut by_way_of = async |server, url: &str| {
        let (begin, port) = port_of(url).with_context(|| format!("{url} has no port"))?;
        let ours = free_port()?;
        way.insert(server, Proxy::open(local(ours), local(port), seed).await?);
        // Without what follows the path: Postgres is reached by TCP then.
        let rest = &url[begin..].trim_start_matches(|it: char| it.is_ascii_digit());
        let path = rest.split('?').next().unwrap_or_default();
        anyhow::Ok(format!("{}{ours}{path}", &url[..begin]))
    };
    let addresses = Addresses {
        kafka_brokers: kafka.to_string(),
        schema_registry_url: by_way_of(Server::Registry, &direct.schema_registry_url).await?,
        database_url: by_way_of(Server::Postgres, &direct.database_url).await?,
    };
    Ok((addresses, way))
}

/// The port in an address, and where it begins.
fn port_of(url: &str) -> Option<(usize, u16)> {
    let host = url.find("://")? + 3;
    let begin = host + url[host..].find(':')? + 1;
    let digits: String = url[begin..].chars().take_while(char::is_ascii_digit).collect();
    Some((begin, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_of_an_address_is_found() {
        for (url, port) in [
            ("postgres://flotilla@127.0.0.1:15432/postgres?host=/tmp:1", Some(15432)),
            ("http://127.0.0.1:18081/apis", Some(18081)),
            ("http://registry/apis", None),
        ] {
            assert_eq!(port_of(url).map(|(_, port)| port), port, "{url}");
        }
    }
}
