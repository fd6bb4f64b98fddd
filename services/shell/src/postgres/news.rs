//! What a view tells whoever waits for it, with every commit: how far it has come.
use crate::port::store::{CheckpointRow, Generation};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The channel that views are told of on.
pub(super) const CHANNEL: &str = "flotilla_view";
/// Postgres takes payloads of less than 8000 bytes.
const BYTES_MAX: usize = 7900;

/// (topic, partition, incarnation, `pseq`).
type Place = (String, i32, i64, i64);

#[derive(Serialize, Deserialize)]
struct News {
    table: String,
    hash: String,
    generation: i32,
    /// `None`: more than fits, so that whoever wants to know has to look.
    at: Option<Vec<Place>>,
}

/// The payload of a notification about these checkpoints.
pub(super) fn payload<'a>(
    of: &Generation,
    checkpoints: impl Iterator<Item = &'a CheckpointRow>,
) -> String {
    let at = checkpoints.map(|it| (it.topic.clone(), it.part, it.incarnation, it.pseq)).collect();
    let news = |at| {
        let (table, hash) = (of.table.to_owned(), of.hash.clone());
        let news = News { table, hash, generation: of.generation, at };
        serde_json::to_string(&news).unwrap_or_default()
    };
    let whole = news(Some(at));
    if whole.len() <= BYTES_MAX { whole } else { news(None) }
}

/// (incarnation, `pseq`) by topic and partition.
type Places = HashMap<(String, i32), (i64, i64)>;

/// How far views have come, as far as was heard. It may be behind, never ahead, but for a server that lost its last
/// moments: only rows read in one statement with their checkpoints are certain.
#[derive(Default)]
pub(super) struct Heard(HashMap<(String, String, i32), Places>);

impl Heard {
    pub(super) fn take(&mut self, payload: &str) {
        let Ok(News { table, hash, generation, at }) = serde_json::from_str(payload) else {
            return;
        };
        match at {
            Some(at) => {
                let places = at
                    .into_iter()
                    .map(|(topic, part, incarnation, pseq)| ((topic, part), (incarnation, pseq)));
                self.0.entry((table, hash, generation)).or_default().extend(places);
            }
            None => drop(self.0.remove(&(table, hash, generation))),
        }
    }

    /// The incarnation and the `pseq` that a generation of a view has come to.
    pub(super) fn at(&self, of: &Generation, topic: &str, part: i32) -> Option<(i64, i64)> {
        let view = self.0.get(&(of.table.to_owned(), of.hash.clone(), of.generation))?;
        view.get(&(topic.to_owned(), part)).copied()
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of() -> Generation {
        Generation { table: "customer", hash: "ab".into(), generation: 2 }
    }

    fn at(part: i32, pseq: i64) -> CheckpointRow {
        CheckpointRow {
            topic: "customers.events".into(),
            part,
            incarnation: 1,
            epoch: 9,
            pseq,
            next_offset: 9,
            caught_up: true,
        }
    }

    #[test]
    fn what_is_told_is_heard_until_it_is_too_much() {
        let mut heard = Heard::default();
        heard.take(&payload(&of(), [at(3, 7), at(4, 1)].iter()));
        heard.take(&payload(&of(), [at(3, 8)].iter()));
        assert_eq!(heard.at(&of(), "customers.events", 3), Some((1, 8)));
        assert_eq!(heard.at(&of(), "customers.events", 4), Some((1, 1)));
        let other = Generation { generation: 3, ..of() };
        assert_eq!(heard.at(&other, "customers.events", 3), None);
        heard.take("rubbish");
        let many: Vec<_> = (0..256).map(|part| at(part, i64::MAX)).collect();
        let large = payload(&of(), many.iter());
        assert!(large.len() < 8000, "{} bytes", large.len());
        heard.take(&large);
        assert_eq!(heard.at(&of(), "customers.events", 3), None);
    }
}
