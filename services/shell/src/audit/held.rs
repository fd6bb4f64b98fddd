//! Which unique values a stream holds, by its own events.
use functions::{Claim, Unique};
use std::collections::BTreeMap;

/// What a stream holds, each with the numbers (`pseq`) of its events that took it, the latest last.
#[derive(Clone, Debug, Default)]
pub struct Held(BTreeMap<(&'static str, String), Vec<i64>>);

impl Held {
    /// Takes note of what the event with this number takes and gives back.
    pub fn apply(&mut self, pseq: i64, claims: impl IntoIterator<Item = Claim>) {
        for claim in claims {
            match claim {
                Claim::Take(Unique { kind, value }) => {
                    self.0.entry((kind, value)).or_default().push(pseq);
                }
                Claim::Release(Unique { kind, value }) => drop(self.0.remove(&(kind, value))),
            }
        }
    }

    /// The numbers of the events that took the value since it was free, if the stream holds it: a claim names one of
    /// them.
    #[must_use]
    pub fn taken_by(&self, kind: &str, value: &str) -> Option<&[i64]> {
        let it = self.0.iter().find(|((k, v), _)| *k == kind && v == value);
        it.map(|(_, pseqs)| pseqs.as_slice())
    }

    /// The values that are held, in order, each with the number of the event that took it last.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str, i64)> {
        self.0.iter().map(|((kind, value), pseqs)| {
            (*kind, value.as_str(), pseqs.last().copied().unwrap_or_default())
        })
    }
}
