//! Unique values while a batch is decided: looked up before, changed by its events, reduced to one net change
//! each in the end (protocol.md W3).
use crate::{
    defect::{self, Defect},
    port::store::{ClaimChange, Holder},
};
use functions::{Claim, Unique};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

type Name = (String, String);

/// Who holds what, as far as a batch has asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claims {
    /// As the store has it.
    base: BTreeMap<Name, Holder>,
    /// What the batch changed, with the holder that the store must have for it.
    changed: BTreeMap<Name, (Option<Uuid>, Option<Holder>)>,
    /// What decisions rested on, whether or not they changed it: held by the one whom the look-up found.
    relied_on: BTreeSet<Name>,
    /// What was asked about and not looked up; `None` if all of it was.
    guessed: Option<BTreeSet<Name>>,
}

impl Claims {
    pub(crate) fn new(base: BTreeMap<Name, Holder>) -> Self {
        Self { base, ..Self::default() }
    }

    /// Nothing was looked up: values are taken to be free.
    pub(crate) fn guessed() -> Self {
        Self { guessed: Some(BTreeSet::new()), ..Self::default() }
    }

    /// Whether a decision rests on a guess that the store will not compare: it does so for what changes.
    pub(crate) fn is_guess(&self) -> bool {
        self.guessed.iter().flatten().any(|it| !self.changed.contains_key(it))
    }

    /// A decision rests on who holds these values: it is written down only if they still do. So a rejection stands
    /// in the order of commits as an acceptance does.
    pub(crate) fn rely_on(&mut self, asks: &[Unique]) {
        let held = asks.iter().map(name).filter(|it| self.base.contains_key(it));
        self.relied_on.extend(held);
        if let Some(guessed) = &mut self.guessed {
            guessed.extend(asks.iter().map(name));
        }
    }

    pub(crate) fn holder(&self, unique: &Unique) -> Option<Holder> {
        let name = name(unique);
        match self.changed.get(&name) {
            Some((_, now)) => *now,
            None => self.base.get(&name).copied(),
        }
    }

    /// A decider may only take what it asked about and nobody else holds, and only give back what its stream holds.
    pub(crate) fn check<'a>(
        &self,
        stream: Uuid,
        asks: &[Unique],
        claims: impl Iterator<Item = &'a Claim>,
    ) -> Result<(), String> {
        for claim in claims {
            match claim {
                Claim::Take(it) if !asks.contains(it) => {
                    return Err(format!("takes {} without asking who holds it", it.kind));
                }
                Claim::Take(it) if it.value.len() > 512 => {
                    return Err(format!(
                        "takes a {} of {} bytes, more than 512",
                        it.kind,
                        it.value.len()
                    ));
                }
                Claim::Take(it) => {
                    if let Some(holder) = self.holder(it)
                        && holder.stream != stream
                    {
                        return Err(format!("takes a {} that {} holds", it.kind, holder.stream));
                    }
                }
                Claim::Release(it) => {
                    if let Some(holder) = self.holder(it)
                        && holder.stream != stream
                    {
                        return Err(format!(
                            "gives back a {} that {} holds",
                            it.kind, holder.stream
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    pub(crate) fn apply(&mut self, stream: Uuid, claims: &[Claim], part: i32, pseq: i64) {
        for claim in claims {
            let (unique, next) = match claim {
                Claim::Take(it) => (it, Some(Holder { stream, part, pseq })),
                Claim::Release(_) if defect::is(Defect::ReleaseForgotten) => continue,
                Claim::Release(it) => (it, None),
            };
            let name = name(unique);
            // A value given back need not have been asked about: its holder is the stream then, which the
            // store compares when the batch is written.
            let assumed = match claim {
                Claim::Take(_) => self.base.get(&name).map(|it| it.stream),
                Claim::Release(_) => Some(self.base.get(&name).map_or(stream, |it| it.stream)),
            };
            self.changed.entry(name).or_insert((assumed, None)).1 = next;
        }
    }

    /// One change a value, sorted; values that end where they began are compared all the same.
    pub(crate) fn net(&self) -> Vec<ClaimChange> {
        let kept = self.relied_on.iter().filter_map(|name| {
            let holder = self.base.get(name)?;
            Some((name, (Some(holder.stream), Some(*holder))))
        });
        let mut net: BTreeMap<&Name, (Option<Uuid>, Option<Holder>)> = kept.collect();
        net.extend(self.changed.iter().map(|(name, change)| (name, *change)));
        let change = |((kind, value), (expected, next)): (&Name, _)| ClaimChange {
            kind: kind.clone(),
            value: value.clone(),
            expected,
            next,
        };
        net.into_iter().map(change).collect()
    }
}

fn name(unique: &Unique) -> Name {
    (unique.kind.to_owned(), unique.value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(1);
    const B: Uuid = Uuid::from_u128(2);

    fn email(value: &str) -> Unique {
        Unique { kind: "email", value: value.to_owned() }
    }

    fn held_by(stream: Uuid) -> Claims {
        let holder = Holder { stream, part: 0, pseq: 1 };
        Claims::new(BTreeMap::from([(("email".to_owned(), "x".to_owned()), holder)]))
    }

    #[test]
    fn a_value_passed_on_within_a_batch_is_one_change() {
        let mut claims = held_by(A);
        claims.apply(A, &[Claim::Release(email("x"))], 0, 2);
        assert_eq!(claims.holder(&email("x")), None);
        claims.apply(B, &[Claim::Take(email("x"))], 1, 7);
        let next = Some(Holder { stream: B, part: 1, pseq: 7 });
        let (kind, value) = ("email".to_owned(), "x".to_owned());
        assert_eq!(claims.net(), [ClaimChange { kind, value, expected: Some(A), next }]);
    }

    #[test]
    fn a_value_taken_and_given_back_must_have_been_free() {
        let mut claims = Claims::default();
        claims.apply(A, &[Claim::Take(email("x"))], 0, 1);
        claims.apply(A, &[Claim::Release(email("x"))], 0, 2);
        let (kind, value) = ("email".to_owned(), "x".to_owned());
        assert_eq!(claims.net(), [ClaimChange { kind, value, expected: None, next: None }]);
    }

    #[test]
    fn a_rejection_rests_on_the_holder_that_it_names() {
        let mut claims = held_by(A);
        claims.rely_on(&[email("x"), email("free")]);
        let next = Some(Holder { stream: A, part: 0, pseq: 1 });
        let (kind, value) = ("email".to_owned(), "x".to_owned());
        assert_eq!(claims.net(), [ClaimChange { kind, value, expected: Some(A), next }]);
    }

    #[test]
    fn nobody_takes_what_another_holds_or_nobody_asked_about() {
        let claims = held_by(A);
        let take = [Claim::Take(email("x"))];
        assert!(claims.check(A, &[email("x")], take.iter()).is_ok());
        assert!(claims.check(B, &[email("x")], take.iter()).unwrap_err().contains("holds"));
        assert!(claims.check(A, &[], take.iter()).unwrap_err().contains("without asking"));
        let give = [Claim::Release(email("x"))];
        assert!(claims.check(B, &[], give.iter()).unwrap_err().contains("gives back"));
    }
}
