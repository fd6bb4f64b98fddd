//! A world in which everything is as promised: the pure decider decides one command after another, and whatever the
//! shell would keep is kept.
#![expect(clippy::unwrap_used, reason = "only tests call this")]
use chrono::{DateTime, Utc};
use customers::{
    Customer,
    views::{self, InvitationsPerDay},
};
use fleet::proof::{Asked, Call, History, Published, ReadRow, Stored, Told, Vantage};
use functions::{
    Claim, Decider as _, Happened, Known, Message as _, Project, Rejection as _, Unique, View,
};
use serde_json::{Value, json};
use shared_events::{
    customers::{CustomerCommand, CustomerEvent},
    fleet::{PositionEntry, Reply, Verdict},
};
use shell::{
    partition::partition_of,
    port::store::{ClaimChange, EventRow, Holder, LedgerRow, OutcomeRow},
    position::Position,
    write_outcome,
};
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

const PARTITIONS: i32 = 3;

/// A customer who lives in another partition than the first.
pub(crate) fn elsewhere() -> u128 {
    let part = |it: u128| partition_of(Uuid::from_u128(it), PARTITIONS);
    (2..100).find(|it| part(*it) != part(1)).unwrap()
}

/// A run, and what is stored after it.
pub(crate) struct World {
    pub(crate) history: History,
    pub(crate) stored: Stored,
    streams: BTreeMap<Uuid, (Customer, i64)>,
    holders: BTreeMap<Unique, Holder>,
    customers: BTreeMap<Uuid, views::Customer>,
    days: BTreeMap<String, InvitationsPerDay>,
    /// What a view had after each event.
    shown: Vec<Vantage>,
    now_seconds: u64,
}

/// When a request was sent and answered: so many seconds before and after it was decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window(pub(crate) u64, pub(crate) u64);

impl World {
    pub(crate) fn new() -> Self {
        let row = |part| LedgerRow {
            part,
            incarnation: 1,
            epoch: 1,
            next_offset: 0,
            pseq: 0,
            published: 0,
            published_offset: -1,
        };
        let ledger = (0..PARTITIONS).map(row).collect();
        Self {
            history: History::default(),
            stored: Stored { ledger, ..Stored::default() },
            streams: BTreeMap::new(),
            holders: BTreeMap::new(),
            customers: BTreeMap::new(),
            days: BTreeMap::new(),
            shown: vec![Vantage { rows: Vec::new(), position: Position::new() }],
            now_seconds: 1_000,
        }
    }

    /// Decides a command and answers it; the call's place in the history.
    pub(crate) fn send(&mut self, client: usize, command: impl Into<CustomerCommand>) -> usize {
        self.send_in(Window(1, 1), client, command)
    }

    pub(crate) fn send_in(
        &mut self,
        Window(before, after): Window,
        client: usize,
        command: impl Into<CustomerCommand>,
    ) -> usize {
        self.now_seconds += 10;
        let command = command.into();
        let command_id = Uuid::from_u128(0xc0_0000 + self.history.calls.len() as u128);
        let reply = self.decide(command_id, &command);
        let details = reply.details.as_deref().map(|it| serde_json::from_str::<Value>(it).unwrap());
        let told = Told {
            holder: details.and_then(|it| it["customer_id"].as_str()?.parse().ok()),
            code: reply.code,
            version: Some(reply.version),
            position: reply.position.into_iter().collect(),
        };
        self.history.calls.push(Call {
            client,
            begun: Duration::from_secs(self.now_seconds - before),
            ended: Some(Duration::from_secs(self.now_seconds + after)),
            asked: Asked::Command { command_id, command, told: Some(told) },
        });
        self.history.calls.len() - 1
    }

    /// From now on the decider is told that no address is taken.
    pub(crate) fn forget_holders(&mut self) {
        self.holders.clear();
    }

    /// A command that nobody decides.
    pub(crate) fn lose(&mut self, client: usize, command: impl Into<CustomerCommand>) {
        self.now_seconds += 10;
        let command_id = Uuid::from_u128(0xc0_0000 + self.history.calls.len() as u128);
        self.history.calls.push(Call {
            client,
            begun: Duration::from_secs(self.now_seconds),
            ended: None,
            asked: Asked::Command { command_id, command: command.into(), told: None },
        });
    }

    /// The sender of a command does not learn what became of it.
    pub(crate) fn give_up(&mut self, call: usize) {
        let call = &mut self.history.calls[call];
        call.ended = None;
        if let Asked::Command { told, .. } = &mut call.asked {
            *told = None;
        }
    }

    /// Reads from a view that is as old as may be, but for so many steps at most.
    pub(crate) fn read(&mut self, client: usize, ids: &[Uuid], seen: Position, newer: usize) {
        self.now_seconds += 10;
        let covers = |it: &Vantage| {
            let mut both = it.position.clone();
            both.merge(&seen);
            both == it.position
        };
        let oldest = self.shown.iter().position(covers).unwrap();
        let vantage = &self.shown[(oldest + newer).min(self.shown.len() - 1)];
        let rows = vantage.rows.iter().filter(|it| ids.contains(&it.id)).cloned().collect();
        let told = Vantage { rows, position: vantage.position.clone() };
        self.history.calls.push(Call {
            client,
            begun: Duration::from_secs(self.now_seconds),
            ended: Some(Duration::from_secs(self.now_seconds + 1)),
            asked: Asked::Read { seen, ids: ids.to_vec(), told: Some(told) },
        });
    }

    /// Publishes some events again, as after a failed delivery.
    pub(crate) fn publish_again(&mut self, part: i32, from: usize) {
        let log = self.stored.log.entry(part).or_default();
        let again: Vec<Published> = log.iter().skip(from).cloned().collect();
        log.extend(again);
    }

    pub(crate) fn told(&self, call: usize) -> &Told {
        let Asked::Command { told: Some(told), .. } = &self.history.calls[call].asked else {
            panic!("call {call} was not answered")
        };
        told
    }

    pub(crate) fn told_mut(&mut self, call: usize) -> &mut Told {
        let Asked::Command { told: Some(told), .. } = &mut self.history.calls[call].asked else {
            panic!("call {call} was not answered")
        };
        told
    }

    /// What the last call, a read, showed.
    pub(crate) fn shown_mut(&mut self) -> &mut Vantage {
        let Some(Asked::Read { told: Some(told), .. }) =
            self.history.calls.last_mut().map(|it| &mut it.asked)
        else {
            panic!("the last call is no read")
        };
        told
    }

    pub(crate) fn id_of(&self, call: usize) -> Uuid {
        let Asked::Command { command_id, .. } = &self.history.calls[call].asked else {
            panic!("call {call} is a read")
        };
        *command_id
    }

    /// Changes the outcome of a call as it is stored.
    pub(crate) fn change_outcome(&mut self, call: usize, change: impl FnOnce(&mut Reply)) {
        let id = self.id_of(call);
        let row = self.stored.outcomes.iter_mut().find(|it| it.command_id == id).unwrap();
        let mut reply = shell::read_outcome(&row.body).unwrap();
        change(&mut reply);
        row.body = write_outcome(&reply).unwrap();
    }

    fn decide(&mut self, command_id: Uuid, command: &CustomerCommand) -> Reply {
        let stream = command.stream();
        let part = partition_of(stream, PARTITIONS);
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap()
            + Duration::from_secs(self.now_seconds * 3600);
        let (state, version) = self.streams.entry(stream).or_default();
        let asks = Customer::asks(command);
        let held: Vec<(Unique, Holder)> =
            asks.iter().filter_map(|it| Some((it.clone(), *self.holders.get(it)?))).collect();
        let holders = held.iter().map(|(unique, it)| (unique.clone(), it.stream)).collect();
        let decision = state.decide(command, &Known { at, holders });
        let mut reply = Reply {
            command_id,
            verdict: Verdict::Accepted,
            stream,
            version: *version,
            code: None,
            message: None,
            details: None,
            position: Vec::new(),
        };
        match decision {
            Ok(events) => {
                for event in &events {
                    state.evolve(event);
                    *version += 1;
                }
                reply.version = *version;
                for event in &events {
                    self.happen(command_id, event, at, reply.version);
                }
            }
            Err(rejection) => {
                reply.verdict = Verdict::Rejected;
                reply.code = Some(rejection.code().to_owned());
                reply.message = Some(rejection.to_string());
                let details = serde_json::to_value(&rejection).unwrap();
                reply.details = details.is_object().then(|| details.to_string());
            }
        }
        let own = (part, self.ledger(part).pseq);
        let relied_on = held.iter().map(|(_, it)| (it.part, it.pseq));
        let entry = |(partition, pseq)| PositionEntry {
            context: "customers".to_owned(),
            incarnation: 1,
            partition,
            pseq,
        };
        reply.position = [own].into_iter().chain(relied_on).map(entry).collect();
        self.stored.outcomes.push(OutcomeRow {
            command_id,
            part,
            request_hash: vec![0; 16],
            body: write_outcome(&reply).unwrap(),
            at,
        });
        self.stored.commit_order.push(command_id);
        reply
    }

    fn happen(&mut self, cause: Uuid, event: &CustomerEvent, at: DateTime<Utc>, version: i64) {
        let stream = event.stream();
        let part = partition_of(stream, PARTITIONS);
        let row = self.ledger(part);
        row.pseq += 1;
        row.published += 1;
        let pseq = row.pseq;
        for claim in Customer::claims(event) {
            match claim {
                Claim::Take(it) => self.holders.insert(it, Holder { stream, part, pseq }),
                Claim::Release(it) => self.holders.remove(&it),
            };
        }
        let mut data = Vec::new();
        event.encode(&mut data).unwrap();
        let published = Published { pseq, stream, version, data: data.clone() };
        self.stored.log.entry(part).or_default().push(published);
        self.stored.events.push(EventRow {
            part,
            pseq,
            stream,
            version,
            record: event.record().name().to_owned(),
            schema: event.record().fingerprint(),
            data,
            meta: json!({ "id": cause, "correlation": cause, "causation": cause }).to_string(),
            at,
        });
        self.stored.events.sort_by_key(|it| (it.part, it.pseq));
        self.show(event, &Happened { at, version });
        let claim = |(unique, holder): (&Unique, &Holder)| ClaimChange {
            kind: unique.kind.to_owned(),
            value: unique.value.clone(),
            expected: None,
            next: Some(*holder),
        };
        self.stored.claims = self.holders.iter().map(claim).collect();
    }

    fn show(&mut self, event: &CustomerEvent, happened: &Happened) {
        project(&mut self.customers, event, happened, |it| it);
        project(&mut self.days, event, happened, |it| it.to_string());
        self.stored.customers = json(&self.customers);
        self.stored.days = json(&self.days);
        let row = |it: &views::Customer| ReadRow {
            id: it.id,
            version: it.version,
            email: it.email.clone(),
        };
        let mut position = Position::new();
        for it in &self.stored.ledger {
            position.saw("customers", 1, it.part, it.pseq);
        }
        self.shown.push(Vantage { rows: self.customers.values().map(row).collect(), position });
    }

    fn ledger(&mut self, part: i32) -> &mut LedgerRow {
        self.stored.ledger.iter_mut().find(|it| it.part == part).unwrap()
    }
}

fn project<V: Project<CustomerEvent>, K: Ord>(
    rows: &mut BTreeMap<K, V>,
    event: &CustomerEvent,
    happened: &Happened,
    name: impl Fn(V::Key) -> K,
) {
    let Some(key) = V::key(event, happened).map(name) else { return };
    let row = rows.remove(&key);
    if let Some(row) = V::project(row, event, happened) {
        rows.insert(key, row);
    }
}

fn json<K, V: View>(rows: &BTreeMap<K, V>) -> Vec<Value> {
    rows.values().map(|it| serde_json::to_value(it).unwrap()).collect()
}
