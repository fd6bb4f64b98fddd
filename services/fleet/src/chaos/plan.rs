//! Which faults come in which order: a matter of the seed alone.
use crate::{stack::Server, trial::Dice};
use anyhow::ensure;
use std::{collections::VecDeque, fmt, time::Duration};

/// What happens to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// It is killed (`SIGKILL`), and started again later.
    Kill,
    /// It stands still for longer than its group waits for it (`SIGSTOP`, `SIGCONT`).
    Freeze,
    /// It is asked to end, which it does in order, and started again.
    Stop,
    /// Postgres alone: it ends at once, in the middle of whatever is being committed (`SIGQUIT`).
    Abort,
    /// Connections to it take their time, and carry little.
    Slow,
    /// Connections to it carry nothing at all any more, and nobody is told.
    Silent,
    /// Requests reach it, and its answers reach nobody: what it did is unknown.
    Mute,
    /// Connections to it break again and again, in the middle of whatever they carry.
    Broken,
}

/// Who is harmed: a service (by its place in the list), or a server, or the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    /// A handler.
    Handler(usize),
    /// An aggregator.
    Aggregator(usize),
    /// A BFF.
    Bff(usize),
    /// A server, for everybody.
    Server(Server),
    /// The way to a server, for those processes that take it.
    Way(usize, Server),
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happens.
    pub harm: Harm,
    /// To whom.
    pub victim: Victim,
    /// When it begins, after the first of those that come together.
    pub after: Duration,
    /// How long it lasts.
    pub lasts: Duration,
}

/// How many there are of each service, and how many ways to the servers.
pub const EACH: usize = 2;

/// A list of faults without an end: at times several at once, and each kind before any comes again.
#[derive(Debug)]
pub struct Plan {
    dice: Dice,
    deck: VecDeque<(Harm, Victim)>,
    /// Only faults with this in their names.
    only: String,
}

impl Plan {
    /// The plan of a seed; of all faults only those with `only` in their names, such as "handler killed".
    ///
    /// # Errors
    /// There are none.
    pub fn try_new(seed: u64, only: &str) -> anyhow::Result<Self> {
        let mut all = shuffled(&mut Dice::new(seed)).into_iter();
        let none = !all.any(|(harm, victim)| victim.name(harm).contains(only));
        ensure!(!none, "no fault has {only:?} in its name: try \"handler killed\" or \"Postgres\"");
        Ok(Self { dice: Dice::new(seed), deck: VecDeque::new(), only: only.to_owned() })
    }

    fn draw(&mut self) -> (Harm, Victim) {
        if self.deck.is_empty() {
            self.deck = shuffled(&mut self.dice);
            self.deck.retain(|(harm, victim)| victim.name(*harm).contains(&self.only));
        }
        self.deck.pop_front().unwrap_or((Harm::Kill, Victim::Handler(0)))
    }
}

impl Iterator for Plan {
    type Item = Vec<Fault>;

    /// Those that come together: usually one.
    fn next(&mut self) -> Option<Vec<Fault>> {
        let count = if self.dice.percent(70) { 1 } else { self.dice.within(2..4) };
        let mut together: Vec<Fault> = Vec::new();
        for n in 0..count {
            let (harm, victim) = self.draw();
            if together.iter().any(|it| it.victim.meets(victim)) {
                self.deck.push_front((harm, victim));
                break;
            }
            let after = if n == 0 { 0 } else { self.dice.within(0..4000) };
            let lasts = self.dice.within(lasts_ms(harm));
            let (after, lasts) = (Duration::from_millis(after), Duration::from_millis(lasts));
            together.push(Fault { harm, victim, after, lasts });
        }
        Some(together)
    }
}

/// Every harm to everybody once, harms in turn: even the beginning of a plan has some of each.
fn shuffled(dice: &mut Dice) -> VecDeque<(Harm, Victim)> {
    let mut harms = Harm::ALL;
    dice.shuffle(&mut harms);
    let mut piles: Vec<(Harm, Vec<Victim>)> = Vec::new();
    for harm in harms {
        let mut victims = victims(harm, dice);
        dice.shuffle(&mut victims);
        piles.push((harm, victims));
    }
    let mut deck = VecDeque::new();
    while piles.iter().any(|(_, victims)| !victims.is_empty()) {
        for (harm, victims) in &mut piles {
            deck.extend(victims.pop().map(|victim| (*harm, victim)));
        }
    }
    deck
}

fn victims(harm: Harm, dice: &mut Dice) -> Vec<Victim> {
    let mut one = || dice.place(EACH);
    match harm {
        Harm::Kill | Harm::Freeze | Harm::Stop => {
            let services = [Victim::Handler(one()), Victim::Aggregator(one()), Victim::Bff(one())];
            services.into_iter().chain(Server::ALL.map(Victim::Server)).collect()
        }
        Harm::Abort => vec![Victim::Server(Server::Postgres)],
        Harm::Slow | Harm::Silent | Harm::Mute | Harm::Broken => {
            Server::ALL.into_iter().map(|it| Victim::Way(one(), it)).collect()
        }
    }
}

/// In milliseconds.
fn lasts_ms(harm: Harm) -> std::ops::Range<u64> {
    match harm {
        // Sometimes back before anybody has missed it, sometimes after.
        Harm::Kill | Harm::Abort => 100..9_000,
        Harm::Stop => 100..2_000,
        // Past the session of a member, which is six seconds.
        Harm::Freeze => 7_000..10_000,
        Harm::Slow | Harm::Broken => 4_000..9_000,
        Harm::Silent | Harm::Mute => 2_000..12_000,
    }
}

impl Harm {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kill,
        Self::Freeze,
        Self::Stop,
        Self::Abort,
        Self::Slow,
        Self::Silent,
        Self::Mute,
        Self::Broken,
    ];
}

impl Victim {
    /// Whether two faults would be about the same process, or about a server and the way to it.
    fn meets(self, other: Self) -> bool {
        let server = |it: Self| match it {
            Self::Server(server) | Self::Way(_, server) => Some(server),
            _ => None,
        };
        self == other || server(self).is_some() && server(self) == server(other)
    }

    /// What a fault is called, whoever of a kind suffers it.
    #[must_use]
    pub fn name(self, harm: Harm) -> String {
        format!("{} {harm}", self.kind())
    }

    /// What kind of thing it is, whichever of its kind.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Handler(_) => "handler",
            Self::Aggregator(_) => "aggregator",
            Self::Bff(_) => "BFF",
            Self::Server(Server::Kafka) => "Kafka",
            Self::Server(Server::Postgres) => "Postgres",
            Self::Server(Server::Registry) => "registry",
            Self::Way(_, Server::Kafka) => "way to Kafka",
            Self::Way(_, Server::Postgres) => "way to Postgres",
            Self::Way(_, Server::Registry) => "way to the registry",
        }
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "killed",
            Self::Freeze => "frozen",
            Self::Stop => "stopped",
            Self::Abort => "aborted",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::Mute => "mute",
            Self::Broken => "broken",
        })
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handler(n) | Self::Aggregator(n) | Self::Bff(n) | Self::Way(n, _) => {
                write!(f, "{} {}", self.kind(), n + 1)
            }
            Self::Server(_) => f.write_str(self.kind()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { harm, victim, lasts, .. } = self;
        write!(f, "{victim} {harm} for {:.1} s", lasts.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn plan(seed: u64, only: &str) -> Plan {
        Plan::try_new(seed, only).expect("a plan")
    }

    #[test]
    fn the_same_seed_makes_the_same_plan() {
        let plan = |seed| plan(seed, "").take(100).collect::<Vec<_>>();
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn everything_happens_to_everybody_before_anything_comes_again() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let kinds: BTreeSet<_> =
                shuffled(&mut dice).into_iter().map(|(harm, it)| (harm, it.kind())).collect();
            assert_eq!(kinds.len(), 3 * 6 + 1 + 4 * 3);
            let faults: Vec<Fault> = plan(seed, "").flatten().take(kinds.len()).collect();
            let first: BTreeSet<Harm> = faults.iter().take(8).map(|it| it.harm).collect();
            assert_eq!(first.len(), 8, "{first:?}");
            let all: BTreeSet<_> = faults.iter().map(|it| (it.harm, it.victim.kind())).collect();
            assert_eq!(all, kinds);
        }
    }

    #[test]
    fn a_plan_may_have_some_faults_only() {
        let killed = plan(1, "handler killed").flatten().take(20);
        assert!(killed.into_iter().all(|it| it.victim.name(it.harm) == "handler killed"));
        let error = Plan::try_new(1, "handler slow").expect_err("there is no such fault");
        assert!(error.to_string().contains("\"handler slow\""), "{error}");
    }

    #[test]
    fn whoever_is_frozen_is_missed() {
        let frozen = plan(3, "").flatten().filter(|it| it.harm == Harm::Freeze);
        assert!(frozen.take(50).all(|it| it.lasts > Duration::from_secs(6)));
    }

    #[test]
    fn faults_that_come_together_do_not_meet() {
        let mut several = 0;
        for together in plan(5, "").take(500) {
            several += usize::from(together.len() > 1);
            for (n, it) in together.iter().enumerate() {
                assert!(together[n + 1..].iter().all(|other| !it.victim.meets(other.victim)));
            }
        }
        assert!(several > 50, "{several}");
    }
}
