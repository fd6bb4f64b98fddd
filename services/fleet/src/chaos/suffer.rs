//! Carrying out a fault.
use super::{
    plan::{Fault, Harm, Victim},
    proxy::Weather,
    stage::Stage,
};
use crate::{
    stack::Server,
    trial::{Dice, Record},
};
use rustix::process::Signal;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A fault that has happened, with its times by the clients' clock.
#[derive(Clone, Debug)]
pub(super) struct Suffered {
    pub(super) fault: Fault,
    pub(super) begun: Duration,
    /// When a process that was asked to end had ended; else the same as `begun`.
    pub(super) ended: Duration,
    /// When it was over: what was harmed runs again, or is reached again.
    pub(super) over: Duration,
    /// The partitions of the handler that it was about.
    pub(super) parts: Vec<i32>,
}

/// What faults act on.
pub(super) struct World<'a> {
    pub(super) stage: &'a Stage,
    pub(super) record: &'a Record,
    /// Ends faults early.
    pub(super) stop: &'a CancellationToken,
}

impl World<'_> {
    /// Lets a fault happen, from its beginning to its end. `alone`: nothing else is wrong meanwhile.
    pub(super) async fn suffer(
        &self,
        fault: Fault,
        alone: bool,
        mut dice: Dice,
    ) -> anyhow::Result<Suffered> {
        self.wait(fault.after).await;
        let parts = match fault.victim {
            Victim::Handler(_) => self.stage.member(fault.victim)?.lock().await.parts().await,
            _ => Vec::new(),
        };
        let begun = self.record.now();
        let mut suffered = Suffered { fault, begun, ended: begun, over: begun, parts };
        match fault.victim {
            Victim::Handler(_) | Victim::Aggregator(_) | Victim::Bff(_) => {
                self.service(&mut suffered, alone).await?;
            }
            Victim::Server(server) => self.server(&mut suffered, server).await?,
            Victim::Way(n, server) => {
                let proxy = self.stage.way(n, server)?;
                proxy.set(weather(fault.harm, &mut dice));
                self.wait(fault.lasts).await;
                // Some connections have survived, some have not.
                if dice.percent(50) {
                    proxy.cut();
                }
                proxy.set(Weather::Clear);
            }
        }
        suffered.over = self.record.now();
        Ok(suffered)
    }

    async fn service(&self, it: &mut Suffered, alone: bool) -> anyhow::Result<()> {
        let Fault { harm, victim, lasts, .. } = it.fault;
        let mut member = self.stage.member(victim)?.lock().await;
        match harm {
            Harm::Freeze => {
                member.signal(Signal::STOP);
                self.wait(lasts).await;
                member.signal(Signal::CONT);
                return Ok(());
            }
            Harm::Stop => {
                let (status, took) = member.stop().await;
                it.ended = self.record.now();
                if alone && !status.is_some_and(|it| it.success()) {
                    let how =
                        status.map_or("was killed".to_owned(), |it| format!("ended with {it}"));
                    let seen = format!("{victim}, asked to end, {how} after {took:.1?}");
                    self.record.anomaly("a planned stop ends in good order", seen);
                }
            }
            _ => member.kill(),
        }
        self.wait(lasts).await;
        member.start()
    }

    async fn server(&self, it: &mut Suffered, server: Server) -> anyhow::Result<()> {
        let stack = &self.stage.stack;
        match it.fault.harm {
            Harm::Freeze => {
                stack.pause(server);
                self.wait(it.fault.lasts).await;
                stack.resume(server);
                return Ok(());
            }
            Harm::Abort => stack.end_by(server, Signal::QUIT).await,
            // In its usual way Postgres would wait until everybody has gone.
            Harm::Stop if server == Server::Postgres => stack.end_by(server, Signal::INT).await,
            Harm::Stop => stack.end_by(server, Signal::TERM).await,
            _ => stack.kill(server).await,
        }
        it.ended = self.record.now();
        self.wait(it.fault.lasts).await;
        Ok(stack.start_again(server).await?)
    }

    pub(super) async fn wait(&self, duration: Duration) {
        self.stage.ground.shell.clock.timeout(duration, self.stop.cancelled()).await;
    }
}

fn weather(harm: Harm, dice: &mut Dice) -> Weather {
    match harm {
        Harm::Slow => Weather::Slow {
            delay: Duration::from_millis(dice.within(2..80)),
            bytes_a_second: u32::try_from(dice.within(20_000..400_000)).unwrap_or(u32::MAX),
        },
        Harm::Silent => Weather::Silent,
        Harm::Mute => Weather::Mute,
        _ => Weather::Broken,
    }
}
