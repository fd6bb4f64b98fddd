//! The measures by name.
use std::{fmt, str::FromStr};

/// One line of the table of measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Commands a second, each on a stream of its own.
    P1,
    /// Commands a second, all on one stream.
    P2,
    /// How long a mutation takes over HTTP.
    P3,
    /// Mutations a second over HTTP, each until its row is visible.
    P4,
    /// Events a second into a view.
    P5,
    /// How both change as events pile up.
    P6,
    /// What the fleet takes when nothing happens, and how long it takes to start and to recover.
    P7,
    /// How long a page out of a million rows takes.
    P8,
    /// How soon subscribers have a row that changed, and how many rows a BFF can push.
    P9,
    /// How fast all that is stored is compared with itself, beside a view that is built.
    P10,
    /// Events a second into a view that is built again, beside what is read.
    P11,
    /// What it costs that a collector is told of everything.
    P12,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::P1,
        Self::P2,
        Self::P3,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
        Self::P8,
        Self::P9,
        Self::P10,
        Self::P11,
        Self::P12,
    ];

    /// As it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
            Self::P6 => "P6",
            Self::P7 => "P7",
            Self::P8 => "P8",
            Self::P9 => "P9",
            Self::P10 => "P10",
            Self::P11 => "P11",
            Self::P12 => "P12",
        }
    }

    /// What it says.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::P1 => "durable commands/s through Kafka, disjoint streams",
            Self::P2 => "durable commands/s through Kafka, one hot stream",
            Self::P3 => "mutation latency over HTTP, one in flight, without view fields",
            Self::P4 => "mutations/s over HTTP to visible rows",
            Self::P5 => "events/s into a view of one row an event, live",
            Self::P6 => "commands/s with a million stored events",
            Self::P7 => "processors that the idle fleet takes",
            Self::P8 => "a filtered page of 50 out of a million rows",
            Self::P9 => "rows/s pushed to a thousand subscribers",
            Self::P10 => "events/s of an audit of all that is stored",
            Self::P11 => "events/s into a view built again beside what is read",
            Self::P12 => "mutations/s while a collector is told of them",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.name().eq_ignore_ascii_case(text.trim()));
        found.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("{text:?} is not among {}", all.join(", "))
        })
    }
}
