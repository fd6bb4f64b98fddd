//! Where a reader has been: how much of each partition's history it has seen (protocol.md R2–R4).
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use shared_events::fleet::PositionEntry;
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The longest text form that is read or written, in bytes.
pub const MAX_LENGTH: usize = 4096;
const FORMAT: u8 = 1;

/// A vector of `pseq` by context, incarnation and partition. It merges by maximum; its text form is opaque.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position(BTreeMap<String, BTreeMap<i64, BTreeMap<i32, i64>>>);

/// One entry of a [`Position`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry<'a> {
    /// The context whose events are counted.
    pub context: &'a str,
    /// Which life of the context's write side gave the `pseq`.
    pub incarnation: i64,
    /// The partition.
    pub part: i32,
    /// The number of events of the partition that have been seen.
    pub pseq: i64,
}

/// A text that is no position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// Longer than [`MAX_LENGTH`].
    #[error(
        "the position is {0} bytes long, more than {MAX_LENGTH}: send back what an answer gave"
    )]
    TooLong(usize),
    /// Not what an answer gave.
    #[error("not a position: send back, unchanged, what an answer gave")]
    Malformed,
    /// From another version of the fleet.
    #[error(
        "a position of format {0}, and this build reads format {FORMAT}: drop it and read again"
    )]
    OtherFormat(u8),
}

impl Position {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes note that so much of a partition was seen.
    pub fn saw(&mut self, context: &str, incarnation: i64, part: i32, pseq: i64) {
        if pseq <= 0 || part < 0 {
            return;
        }
        if !self.0.contains_key(context) {
            self.0.insert(context.to_owned(), BTreeMap::new());
        }
        if let Some(incarnations) = self.0.get_mut(context) {
            let seen = incarnations.entry(incarnation).or_default().entry(part).or_default();
            *seen = pseq.max(*seen);
        }
    }

    /// Takes note of all that the other has seen.
    pub fn merge(&mut self, other: &Self) {
        for it in other.entries() {
            self.saw(it.context, it.incarnation, it.part, it.pseq);
        }
    }

    /// What was seen, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.0.iter().flat_map(|(context, incarnations)| {
            incarnations.iter().flat_map(move |(incarnation, parts)| {
                parts.iter().map(move |(part, pseq)| Entry {
                    context,
                    incarnation: *incarnation,
                    part: *part,
                    pseq: *pseq,
                })
            })
        })
    }
}

impl FromIterator<PositionEntry> for Position {
    fn from_iter<T: IntoIterator<Item = PositionEntry>>(entries: T) -> Self {
        let mut position = Self::new();
        for it in entries {
            position.saw(&it.context, it.incarnation, it.partition, it.pseq);
        }
        position
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = postcard::to_allocvec(self).map_err(|_| fmt::Error)?;
        let bytes: Vec<u8> = [FORMAT].into_iter().chain(body).collect();
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        if text.len() > MAX_LENGTH {
            return Err(PositionError::TooLong(text.len()));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| PositionError::Malformed)?;
        match bytes.split_first() {
            Some((&FORMAT, body)) => {
                let (it, rest): (Self, &[u8]) =
                    postcard::take_from_bytes(body).map_err(|_| PositionError::Malformed)?;
                let sound = it.entries().all(|it| it.part >= 0 && it.pseq > 0);
                if rest.is_empty() && sound { Ok(it) } else { Err(PositionError::Malformed) }
            }
            Some((format, _)) => Err(PositionError::OtherFormat(*format)),
            None => Err(PositionError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn positions() -> impl Strategy<Value = Position> {
        let entry = ("[a-z]{1,12}", 1..4i64, 0..64i32, 1..i64::MAX);
        proptest::collection::vec(entry, 0..40).prop_map(|entries| {
            let mut position = Position::new();
            for (context, incarnation, part, pseq) in entries {
                position.saw(&context, incarnation, part, pseq);
            }
            position
        })
    }

    proptest! {
        #[test]
        fn its_text_reads_back(it in positions()) {
            prop_assert_eq!(it.to_string().parse(), Ok(it));
        }

        #[test]
        fn merging_is_a_maximum(a in positions(), b in positions()) {
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(&ab, &ba);
            ab.merge(&a);
            prop_assert_eq!(ab, ba);
        }

        #[test]
        fn rubbish_is_refused_and_never_panics(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = text.parse::<Position>();
            let _ = URL_SAFE_NO_PAD.encode(bytes).parse::<Position>();
        }
    }

    /// All that a client of the largest fleet can have seen of a context.
    #[test]
    fn it_fits_in_a_header() {
        let mut position = Position::new();
        for part in 0..crate::config::PARTITIONS_MAX {
            position.saw("a_context_of_thirty_characters", 9, part, 10_000_000_000);
        }
        let text = position.to_string();
        assert!(text.len() <= MAX_LENGTH, "{} bytes", text.len());
        assert_eq!(text.parse(), Ok(position));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!("A".repeat(5000).parse::<Position>(), Err(PositionError::TooLong(5000)));
        assert_eq!("".parse::<Position>(), Err(PositionError::Malformed));
        assert_eq!("@@".parse::<Position>(), Err(PositionError::Malformed));
        assert_eq!(
            URL_SAFE_NO_PAD.encode([9]).parse::<Position>(),
            Err(PositionError::OtherFormat(9))
        );
    }
}
