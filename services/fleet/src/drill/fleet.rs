//! A fleet of processes that is changed while it works.
use crate::{
    stack::{Addresses, Ports, Progress, Server, Stack, StackOptions},
    trial::{Bffs, Ground, Member, Service, Trial, options_for, prepare},
};
use anyhow::{Context as _, bail, ensure};
use rustix::process::Signal;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::process::Command;

/// Some for each of four handlers.
const PARTITIONS: i32 = 6;
/// How long a new process may take until it is ready: its view may have to be built first.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long it takes until everybody has heard that a BFF is about to go.
const HEARD: Duration = Duration::from_millis(500);

/// A build of the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) name: &'static str,
    pub(super) program: PathBuf,
}

/// The servers, and the processes that are there at the moment. Dropping it ends all of it at once.
pub(super) struct Fleet {
    members: Vec<Running>,
    pub(super) ground: Ground,
    pub(super) stack: Stack,
    /// How many processes there have been, for their names.
    started: usize,
}

struct Running {
    service: Service,
    release: &'static str,
    member: Member,
}

impl Fleet {
    /// Starts the servers and one of each service.
    pub(super) async fn open(
        release: &Release,
        data: PathBuf,
        progress: Arc<dyn Progress>,
    ) -> anyhow::Result<Self> {
        let options = StackOptions { data, ports: Ports::Auto, ..StackOptions::default() };
        let stack = Stack::start(options, progress).await?;
        let shell = prepare(stack.addresses(), PARTITIONS).await?;
        let ground = Ground { shell, bffs: Bffs::default() };
        let mut fleet = Self { members: Vec::new(), ground, stack, started: 0 };
        for service in Service::ALL {
            fleet.add(service, release).await?;
        }
        Ok(fleet)
    }

    fn addresses(&self) -> &Addresses {
        self.stack.addresses()
    }

    pub(super) fn count(&self, service: Service) -> usize {
        self.members.iter().filter(|it| it.service == service).count()
    }

    /// Starts one more, and waits until it is ready.
    pub(super) async fn add(&mut self, service: Service, release: &Release) -> anyhow::Result<()> {
        self.started += 1;
        let name = format!("{} {} of {}", service.name(), self.started, release.name);
        let options = options_for(self.addresses(), PARTITIONS);
        let logs = self.stack.logs();
        let mut member = Member::new(service, name, &release.program, &options, &logs)?;
        member.start()?;
        let clock = &self.ground.shell.clock;
        let ready = async {
            while !member.is_ready().await {
                if let Some(status) = member.ended_by_itself() {
                    bail!("{} ended with {status}: {}", member.name, last_lines(member.log()));
                }
                clock.sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        match clock.timeout(PATIENCE, ready).await {
            Some(ready) => ready?,
            None => bail!(
                "{} is not ready after {PATIENCE:.0?}: {}",
                member.name,
                last_lines(member.log())
            ),
        }
        self.members.push(Running { service, release: release.name, member });
        self.announce();
        Ok(())
    }

    /// Asks one to end, the oldest of its kind (of a release, if one is named), and waits until it has.
    pub(super) async fn remove(
        &mut self,
        service: Service,
        release: Option<&Release>,
        trial: &Trial<'_>,
    ) -> anyhow::Result<()> {
        let is_meant = |it: &Running| {
            it.service == service && release.is_none_or(|release| it.release == release.name)
        };
        let place = self.members.iter().position(is_meant);
        let place = place.with_context(|| format!("there is no {} to stop", service.name()))?;
        let mut gone = self.members.remove(place).member;
        if service == Service::Bff {
            self.announce();
            self.ground.shell.clock.sleep(HEARD).await;
        }
        let (status, took) = gone.stop().await;
        if !status.is_some_and(|it| it.success()) {
            let how = status.map_or("was killed".to_owned(), |it| format!("ended with {it}"));
            let seen = format!("{}, asked to end, {how} after {took:.1?}", gone.name);
            trial.record.anomaly("a planned stop ends in good order", seen);
        }
        Ok(())
    }

    /// Replaces each process of a service by one of `release`, one after another, the new one first.
    pub(super) async fn roll(
        &mut self,
        service: Service,
        release: &Release,
        trial: &Trial<'_>,
    ) -> anyhow::Result<()> {
        for _ in 0..self.count(service) {
            self.add(service, release).await?;
            self.remove(service, None, trial).await?;
            // The next one only when this one does its share: old and new work side by side meanwhile.
            trial.goes_on(trial.now(), async || self.not_ready().await).await;
        }
        Ok(())
    }

    /// Deploys a release as README's "Upgrade" says: what it adds to the servers, its views beside those of before,
    /// then handlers, then BFFs; the aggregators of before go last.
    pub(super) async fn deploy(
        &mut self,
        release: &Release,
        before: &Release,
        trial: &Trial<'_>,
    ) -> anyhow::Result<()> {
        self.command(release, &["migrate"]).await?;
        let aggregators = self.count(Service::Aggregator);
        for _ in 0..aggregators {
            self.add(Service::Aggregator, release).await?;
        }
        trial.tell(&format!("views of {} are built; handlers and BFFs follow", release.name));
        self.roll(Service::Handler, release, trial).await?;
        self.roll(Service::Bff, release, trial).await?;
        for _ in 0..aggregators {
            self.remove(Service::Aggregator, Some(before), trial).await?;
        }
        Ok(())
    }

    /// Forgets the versions of views that only another release knows.
    pub(super) async fn forget_versions(
        &self,
        release: &Release,
        trial: &Trial<'_>,
    ) -> anyhow::Result<()> {
        let others = format!(
            "select distinct view || ' ' || hash from read.generation where (view, hash) not in ({})",
            Ground::versions()
        );
        for line in self.ground.query(&others).await?.lines() {
            let (view, hash) = line.split_once(' ').context("a view and its version")?;
            self.command(release, &["views", "drop", view, "--version", hash]).await?;
            trial.tell(&format!("version {hash} of {view} is forgotten"));
        }
        Ok(())
    }

    /// Ends a server in its usual way, and starts it again.
    pub(super) async fn restart(&self, server: Server) -> anyhow::Result<()> {
        // In its usual way Postgres would wait until everybody has gone.
        let signal = if server == Server::Postgres { Signal::INT } else { Signal::TERM };
        self.stack.end_by(server, signal).await;
        Ok(self.stack.start_again(server).await?)
    }

    /// Runs a command of the program, which has to succeed; what it printed.
    pub(super) async fn command(
        &self,
        release: &Release,
        words: &[&str],
    ) -> anyhow::Result<String> {
        let mut command = Command::new(&release.program);
        command.args(words).args(options_for(self.addresses(), PARTITIONS)).kill_on_drop(true);
        let out = command.output().await?;
        let said = |text: &[u8]| String::from_utf8_lossy(text).trim().to_owned();
        ensure!(
            out.status.success(),
            "`{} {}` ended with {}: {}{}",
            release.program.display(),
            words.join(" "),
            out.status,
            said(&out.stdout),
            said(&out.stderr)
        );
        Ok(said(&out.stdout))
    }

    /// What services are not ready.
    pub(super) async fn not_ready(&self) -> Vec<String> {
        let mut found = Vec::new();
        for it in &self.members {
            if !it.member.is_ready().await {
                found.push(it.member.name.clone());
            }
        }
        found
    }

    /// Stops everything in good order.
    pub(super) async fn close(mut self, progress: Arc<dyn Progress>) {
        for it in &mut self.members {
            it.member.stop().await;
        }
        self.stack.stop(progress).await;
    }

    fn announce(&self) {
        let bffs = self.members.iter().filter(|it| it.service == Service::Bff);
        self.ground.bffs.set(bffs.map(|it| it.member.url()).collect());
    }
}

fn last_lines(log: &Path) -> String {
    let said = fs::read_to_string(log).unwrap_or_default();
    let last: Vec<&str> = said.lines().rev().take(3).collect();
    format!("it said last, the newest first: {}", last.join(" | "))
}
