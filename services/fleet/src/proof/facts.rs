//! What is stored, decoded once for all checks.
use super::{
    Anomaly, Stored,
    model::{self, Customer},
    promise,
};
use customers::Customers;
use functions::{Context as _, Message as _};
use serde::Deserialize;
use shared_events::{
    Decoded, Fingerprint, WriterSchema,
    customers::CustomerEvent,
    fleet::{Reply, Verdict},
    known_schema,
};
use shell::{
    port::store::{EventRow, LedgerRow, OutcomeRow},
    position::Position,
};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What is stored, found by its ids. What is walked over is sorted, so that anomalies are told in the same words again.
pub(super) struct Facts<'a> {
    pub(super) stored: &'a Stored,
    /// In order of partition and `pseq`.
    pub(super) events: &'a [Event<'a>],
    /// By partition.
    pub(super) ledger: HashMap<i32, &'a LedgerRow>,
    /// By stream, in order of `pseq`.
    pub(super) streams: BTreeMap<Uuid, Vec<Step<'a>>>,
    /// By command: the first event that it made happen.
    pub(super) effects: HashMap<Uuid, &'a Event<'a>>,
    /// By command.
    pub(super) outcomes: BTreeMap<Uuid, Outcome>,
}

/// An event, and the command that made it happen.
pub(super) struct Event<'a> {
    pub(super) row: &'a EventRow,
    pub(super) happened: CustomerEvent,
    pub(super) cause: Uuid,
}

/// An event of a stream, and the customer after it.
pub(super) struct Step<'a> {
    pub(super) event: &'a Event<'a>,
    /// `None` if the event cannot have happened.
    pub(super) after: Option<Customer>,
}

/// What became of a command.
pub(super) struct Outcome {
    pub(super) part: i32,
    pub(super) accepted: bool,
    pub(super) code: Option<String>,
    pub(super) holder: Option<Uuid>,
    pub(super) version: i64,
    pub(super) position: Position,
    /// The number of events in its own partition when it was decided, as its position says.
    pub(super) own: i64,
}

#[derive(Deserialize)]
struct Meta {
    causation: Uuid,
}

#[derive(Deserialize)]
struct Details {
    customer_id: Uuid,
}

/// All events that can be read.
pub(super) fn events<'a>(stored: &'a Stored, found: &mut Vec<Anomaly>) -> Vec<Event<'a>> {
    let mut events = Vec::with_capacity(stored.events.len());
    let schemas = stored.schemas.iter().filter_map(|it| WriterSchema::parse(it).ok());
    let schemas: HashMap<Fingerprint, WriterSchema> =
        schemas.map(|it| (it.fingerprint(), it)).collect();
    for row in &stored.events {
        match event(row, &schemas) {
            Ok(it) => events.push(it),
            Err(why) => {
                let seen = format!("event {} of partition {}: {why}", row.pseq, row.part);
                found.push(Anomaly::new(promise::READABLE, seen));
            }
        }
    }
    events.sort_by_key(|it| (it.row.part, it.row.pseq));
    events
}

fn event<'a>(
    row: &'a EventRow,
    schemas: &HashMap<Fingerprint, WriterSchema>,
) -> Result<Event<'a>, String> {
    let schema = known_schema(row.schema)
        .or_else(|| schemas.get(&row.schema))
        .ok_or_else(|| format!("its schema {} is unknown", row.schema))?;
    let happened = match CustomerEvent::decode(schema, &row.data).map_err(|it| it.to_string())? {
        Decoded::Messages(mut events) if events.len() == 1 => events.remove(0),
        Decoded::Messages(events) => return Err(format!("it is {} events", events.len())),
        Decoded::FromTheFuture => return Err("it is from the future".to_owned()),
    };
    let meta: Meta = serde_json::from_str(&row.meta).map_err(|it| format!("its meta: {it}"))?;
    if happened.stream() != row.stream {
        return Err(format!("it is of stream {}, and stored in {}", happened.stream(), row.stream));
    }
    Ok(Event { row, happened, cause: meta.causation })
}

impl<'a> Facts<'a> {
    pub(super) fn new(
        stored: &'a Stored,
        events: &'a [Event<'a>],
        found: &mut Vec<Anomaly>,
    ) -> Self {
        let mut streams: BTreeMap<Uuid, Vec<Step>> = BTreeMap::new();
        let mut effects = HashMap::with_capacity(events.len());
        for event in events {
            let steps = streams.entry(event.row.stream).or_default();
            let before = steps.last().and_then(|it| it.after.clone());
            steps.push(Step { event, after: model::after(before, &event.happened) });
            effects.entry(event.cause).or_insert(event);
        }
        Self {
            stored,
            events,
            ledger: stored.ledger.iter().map(|it| (it.part, it)).collect(),
            streams,
            effects,
            outcomes: outcomes(stored, found),
        }
    }

    /// How many partitions there are.
    pub(super) fn partitions(&self) -> i32 {
        i32::try_from(self.stored.ledger.len()).unwrap_or(i32::MAX)
    }

    /// How much of a partition's history of today a position covers.
    pub(super) fn covered(&self, position: &Position, part: i32) -> i64 {
        let incarnation = self.ledger.get(&part).map_or(1, |it| it.incarnation);
        covered(position, incarnation, part)
    }

    /// The customer when its partition had so many events.
    pub(super) fn customer_at(&self, id: Uuid, pseq: i64) -> Option<&Customer> {
        let steps = self.streams.get(&id)?;
        let count = steps.partition_point(|it| it.event.row.pseq <= pseq);
        steps.get(count.checked_sub(1)?)?.after.as_ref()
    }
}

fn covered(position: &Position, incarnation: i64, part: i32) -> i64 {
    let mine = position.entries().find(|it| {
        (it.part, it.incarnation) == (part, incarnation) && it.context == Customers::NAME
    });
    mine.map_or(0, |it| it.pseq)
}

fn outcomes(stored: &Stored, found: &mut Vec<Anomaly>) -> BTreeMap<Uuid, Outcome> {
    let mut outcomes = BTreeMap::new();
    let incarnations: HashMap<i32, i64> =
        stored.ledger.iter().map(|it| (it.part, it.incarnation)).collect();
    for row in &stored.outcomes {
        match shell::read_outcome(&row.body) {
            Ok(reply) if reply.command_id == row.command_id => {
                let incarnation = incarnations.get(&row.part).copied().unwrap_or(1);
                if outcomes.insert(row.command_id, outcome(row, reply, incarnation)).is_some() {
                    let seen = format!("command {} has several", row.command_id);
                    found.push(Anomaly::new(promise::ONE_OUTCOME, seen));
                }
            }
            Ok(reply) => {
                let seen =
                    format!("command {} has the outcome of {}", row.command_id, reply.command_id);
                found.push(Anomaly::new(promise::ONE_OUTCOME, seen));
            }
            Err(error) => {
                let seen = format!("command {}: {error}", row.command_id);
                found.push(Anomaly::new(promise::READABLE, seen));
            }
        }
    }
    outcomes
}

fn outcome(row: &OutcomeRow, reply: Reply, incarnation: i64) -> Outcome {
    let details = reply.details.and_then(|it| serde_json::from_str::<Details>(&it).ok());
    let position: Position = reply.position.into_iter().collect();
    Outcome {
        part: row.part,
        accepted: reply.verdict == Verdict::Accepted,
        code: reply.code,
        holder: details.map(|it| it.customer_id),
        version: reply.version,
        own: covered(&position, incarnation, row.part),
        position,
    }
}
