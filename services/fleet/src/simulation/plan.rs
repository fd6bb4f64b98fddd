//! What a seed means: how large the fleet and its load are, and what goes wrong how often.
use super::random::Random;
use shell::defect::Defect;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A run, fully described: the same plan, the same run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What everything else was drawn from, and every choice in the run is.
    pub seed: u64,
    /// Clients that each send one request after another.
    pub clients: usize,
    /// Commands of all clients together.
    pub commands: usize,
    /// Customers that the commands are about; few make for many conflicts.
    pub customers: u64,
    /// E-mail addresses that they fight for.
    pub emails: u64,
    /// Partitions of every topic.
    pub partitions: i32,
    /// The most records that a transaction takes in.
    pub batch_max: usize,
    /// Memory of a handler's cache.
    pub cache_bytes: usize,
    /// The longest that a call takes when nothing is wrong, in microseconds.
    pub latency_us: u64,
    /// The longest that a client thinks between two requests, in microseconds.
    pub thinking_us: u64,
    /// How often each kind strikes: so many times in a million calls, or so many times in a million of those moments
    /// at which something happens to the world.
    pub rates: BTreeMap<Kind, u64>,
    /// Faults that are left out, by their numbers.
    pub without: BTreeSet<u32>,
    /// A deliberate mistake in the code under test.
    pub defect: Option<Defect>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A call of the store, the registry or the log fails, and has no effect.
    CallFails,
    /// It has its effect, and its answer is lost.
    AnswerLost,
    /// It takes up to 1.5 s.
    CallSlow,
    /// The process dies right before it.
    DiesBeforeCall,
    /// The process dies right after it took effect.
    DiesAfterCall,
    /// A record is lost on its way to the log, and its sender is told so.
    SendLost,
    /// A record arrives, and its sender is told that it did not.
    SendDenied,
    /// A record arrives up to 4 s late, whatever became of its sender.
    SendLate,
    /// A record arrives, and its sender is told so up to 4 s later.
    ReportLate,
    /// A record arrives twice.
    SendTwice,
    /// The producer's queue is full.
    SendFull,
    /// The producer does not take a record.
    SendRefused,
    /// A process dies wherever it is.
    Dies,
    /// A process is stopped in good order.
    Stops,
    /// A process is frozen past its session: it goes on later, as a zombie.
    Freezes,
    /// A process loses its partitions to others, and works on without knowing.
    Expelled,
    /// The group gives every partition to another process.
    Rebalance,
    /// The end of a partition of events is lost.
    EventsTruncated,
    /// All of the event topic is lost.
    EventsRecreated,
    /// All of the command topic is lost.
    CommandsRecreated,
    /// The store fails over: views lose their last commits.
    ViewsLost,
    /// The clock of a process is put forward or back.
    ClockJumps,
    /// All that a process does takes a hundred times as long.
    Slow,
    /// An operator has a view built again.
    Rebuilt,
    /// An operator goes back to an older generation of a view.
    RolledBack,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::CallFails,
        Self::AnswerLost,
        Self::CallSlow,
        Self::DiesBeforeCall,
        Self::DiesAfterCall,
        Self::SendLost,
        Self::SendDenied,
        Self::SendLate,
        Self::ReportLate,
        Self::SendTwice,
        Self::SendFull,
        Self::SendRefused,
        Self::Dies,
        Self::Stops,
        Self::Freezes,
        Self::Expelled,
        Self::Rebalance,
        Self::EventsTruncated,
        Self::EventsRecreated,
        Self::CommandsRecreated,
        Self::ViewsLost,
        Self::ClockJumps,
        Self::Slow,
        Self::Rebuilt,
        Self::RolledBack,
    ];

    /// How often it strikes at most, in a million.
    fn rate_max(self) -> u64 {
        match self {
            Self::Dies
            | Self::Stops
            | Self::Freezes
            | Self::Expelled
            | Self::Rebalance
            | Self::ViewsLost
            | Self::ClockJumps
            | Self::Slow => 100_000,
            Self::EventsTruncated | Self::Rebuilt | Self::RolledBack => 60_000,
            Self::SendTwice => 50_000,
            Self::CallFails
            | Self::AnswerLost
            | Self::CallSlow
            | Self::SendLost
            | Self::SendDenied
            | Self::SendLate
            | Self::ReportLate
            | Self::EventsRecreated
            | Self::CommandsRecreated => 20_000,
            Self::SendFull | Self::SendRefused => 10_000,
            Self::DiesBeforeCall | Self::DiesAfterCall => 3_000,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallFails => "call fails",
            Self::AnswerLost => "answer lost",
            Self::CallSlow => "call slow",
            Self::DiesBeforeCall => "dies before call",
            Self::DiesAfterCall => "dies after call",
            Self::SendLost => "record lost",
            Self::SendDenied => "delivery denied",
            Self::SendLate => "record late",
            Self::ReportLate => "report late",
            Self::SendTwice => "record twice",
            Self::SendFull => "queue full",
            Self::SendRefused => "record refused",
            Self::Dies => "dies",
            Self::Stops => "stops",
            Self::Freezes => "freezes",
            Self::Expelled => "expelled",
            Self::Rebalance => "rebalance",
            Self::EventsTruncated => "events truncated",
            Self::EventsRecreated => "events recreated",
            Self::CommandsRecreated => "commands recreated",
            Self::ViewsLost => "views lost",
            Self::ClockJumps => "clock jumps",
            Self::Slow => "slow",
            Self::Rebuilt => "view rebuilt",
            Self::RolledBack => "view rolled back",
        })
    }
}

impl Plan {
    /// What a seed means. Each leaves some kinds of faults out, so that the others are seen alone as well.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed, 1);
        let mut pick = |from: &[u64]| from.get(random.index(from.len())).copied().unwrap_or(1);
        let size = |it: u64| usize::try_from(it).unwrap_or(1);
        let mut plan = Self {
            seed,
            clients: size(pick(&[2, 4, 6, 8])),
            // Few enough, sometimes, for a search that does not trust the order of the commits.
            commands: size(pick(&[24, 100, 110, 120, 130, 140])),
            customers: pick(&[3, 10, 30]),
            emails: pick(&[2, 6, 20]),
            partitions: i32::try_from(pick(&[1, 2, 3, 4])).unwrap_or(1),
            batch_max: size(pick(&[1, 3, 10, 100])),
            cache_bytes: size(pick(&[600, 3000, 1 << 20])),
            latency_us: pick(&[50, 500, 5000]),
            thinking_us: pick(&[100, 10_000, 100_000]),
            rates: BTreeMap::new(),
            without: BTreeSet::new(),
            defect: None,
        };
        for kind in Kind::ALL {
            if random.below(2) == 0 {
                plan.rates.insert(kind, 1 + random.below(kind.rate_max()));
            }
        }
        plan
    }
}
