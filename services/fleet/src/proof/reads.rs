//! A read shows its customers as of the position that it returns, which is never older than what its client has seen.
use super::{Anomaly, Asked, Call, History, Vantage, facts::Facts, promise};
use shared_events::Message as _;
use shell::{partition::partition_of, position::Position};
use std::collections::HashMap;
use uuid::Uuid;

pub(super) fn check(history: &History, facts: &Facts, found: &mut Vec<Anomaly>) {
    let mut calls: Vec<&Call> = history.calls.iter().collect();
    calls.sort_by_key(|it| (it.client, it.begun));
    for calls in calls.chunk_by(|a, b| a.client == b.client) {
        let mut client = Client { id: calls[0].client, facts, known: HashMap::new() };
        for call in calls {
            client.follow(call, found);
        }
    }
}

/// What a client knows of customers: the version, and where its partition was then.
struct Client<'a> {
    id: usize,
    facts: &'a Facts<'a>,
    known: HashMap<Uuid, (i64, i64)>,
}

impl Client<'_> {
    fn follow(&mut self, call: &Call, found: &mut Vec<Anomaly>) {
        match &call.asked {
            Asked::Command { command, told: Some(told), .. } => {
                if let Some(version) = told.version.filter(|_| !told.is_reused()) {
                    let id = command.stream();
                    self.know(id, version, self.covered(&told.position, id));
                }
            }
            Asked::Read { seen, ids, told: Some(told) } => {
                check_position(self, seen, told, found);
                let ids = distinct(ids);
                for row in &told.rows {
                    if ids.binary_search(&row.id).is_err() {
                        let seen = format!("client {} was shown {}, unasked", self.id, row.id);
                        found.push(Anomaly::new(promise::READ_IS_TRUE, seen));
                    }
                }
                for id in ids {
                    self.check_row(id, seen, told, found);
                }
            }
            Asked::Fact { id, told: Some(told) } => {
                let version = told.state.as_ref().map_or(0, |it| it.version);
                self.know(*id, version, self.covered(&told.position, *id));
            }
            Asked::Command { told: None, .. }
            | Asked::Read { told: None, .. }
            | Asked::Fact { told: None, .. } => {}
        }
    }

    fn check_row(&mut self, id: Uuid, seen: &Position, told: &Vantage, found: &mut Vec<Anomaly>) {
        let pseq = self.covered(&told.position, id);
        let rows = || told.rows.iter().filter(|row| row.id == id);
        let shown = rows().next().map(|it| (it.version, it.email.as_str()));
        let there = self.facts.customer_at(id, pseq).map(|it| (it.version, it.email.as_str()));
        if shown != there || rows().count() > 1 {
            let client = self.id;
            let seen = format!("client {client}: {id} at {pseq} is {shown:?}, not {there:?}");
            found.push(Anomaly::new(promise::READ_IS_TRUE, seen));
        }
        let version = shown.map_or(0, |it| it.0);
        if let Some((known, at)) = self.known.get(&id)
            && self.covered(seen, id) >= *at
            && version < *known
        {
            let client = self.id;
            let seen = format!("client {client} knew version {known} of {id}, then {version}");
            found.push(Anomaly::new(promise::READ_GOES_ON, seen));
        }
        self.know(id, version, pseq);
    }

    fn know(&mut self, id: Uuid, version: i64, at: i64) {
        let known = self.known.entry(id).or_default();
        *known = (*known).max((version, at));
    }

    fn covered(&self, position: &Position, id: Uuid) -> i64 {
        self.facts.covered(position, partition_of(id, self.facts.partitions()))
    }
}

fn check_position(client: &Client, seen: &Position, told: &Vantage, found: &mut Vec<Anomaly>) {
    let (facts, id) = (client.facts, client.id);
    for it in seen.entries() {
        let covered = facts.covered(&told.position, it.part);
        if covered < it.pseq {
            let seen = format!(
                "client {id} had seen {} of partition {}, then {covered}",
                it.pseq, it.part
            );
            found.push(Anomaly::new(promise::READ_IS_NEW, seen));
        }
    }
    for it in told.position.entries() {
        let row = facts.ledger.get(&it.part).filter(|row| row.incarnation == it.incarnation);
        if row.is_none_or(|row| it.pseq > row.pseq) {
            let seen =
                format!("client {id}: event {} of partition {} is not there", it.pseq, it.part);
            found.push(Anomaly::new(promise::READ_IS_TRUE, seen));
        }
    }
}

fn distinct(ids: &[Uuid]) -> Vec<Uuid> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}
