//! Following what changes in a view (protocol.md V7): the latest row after each of its batches, at least once, in order
//! for each row.
//!
//! All followers of a view in a process share one [`feed`]: it learns which rows changed, and reads each of them once for
//! all. What a follower has not taken yet waits in its [`mailbox`], as the latest row of each key: whoever is slow misses
//! states in between, never the last one, and takes a bounded amount of memory.
mod feed;
mod mailbox;
mod marks;

pub(crate) use feed::{Entrance, feeds};

use super::{Client, read::position};
use crate::{
    position::{MAX_LENGTH, Position, PositionError},
    reads::{Filter, Query, ReadError, served::check_conditions},
    telemetry::metric,
};
use feed::Follower;
use functions::View;
use futures::stream::{self, Stream};
use mailbox::Mailbox;
use std::{fmt, str::FromStr, sync::Arc, time::Duration};

/// What is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The row with this key, in its text form: as it is, and after each change.
    Row(String),
    /// All rows that change from now on, or since a place: those of which the filter holds, and that the others are gone.
    Rows {
        /// Of which rows to tell.
        filter: Filter,
        /// Where to go on.
        after: Option<Place>,
    },
}

/// Where a follower goes on: all that changed up to here it has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The generation of the view that it was told of, unless the place is from elsewhere.
    generation: Option<i32>,
    /// How much of each partition it has taken note of.
    pub position: Position,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "{generation}.{}", self.position),
            None => self.position.fmt(f),
        }
    }
}

impl FromStr for Place {
    type Err = PositionError;

    /// Also reads a [`Position`]: that of a query's answer is a place to go on after it.
    fn from_str(text: &str) -> Result<Self, PositionError> {
        let Some((generation, position)) = text.split_once('.') else {
            return Ok(Self { generation: None, position: text.parse()? });
        };
        if text.len() > MAX_LENGTH {
            return Err(PositionError::TooLong(text.len()));
        }
        let generation = generation.parse().map_err(|_| PositionError::Malformed)?;
        Ok(Self { generation: Some(generation), position: position.parse()? })
    }
}

/// A row as it is now.
#[derive(Clone, Debug, PartialEq)]
pub struct Update<V: View> {
    /// Which row.
    pub key: V::Key,
    /// The row; `None`: it is gone, or the filter does not hold of it, whether or not it ever did.
    pub row: Option<V>,
    /// A [`Place`]: whoever goes on after it misses nothing. It moves once all that changed together was taken.
    pub after: Arc<str>,
    /// How new the row is: a read that has seen this shows nothing older.
    pub seen: Arc<Position>,
}

/// Following has ended, and something was missed: read again what is to be known, and follow from there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// What changed since the place is not remembered any more.
    #[error("what changed since then is forgotten, it is kept for an hour")]
    TooOld,
    /// More rows wait than are kept for a follower.
    #[error("more than {rows} rows wait to be taken")]
    TooSlow {
        /// As many as are kept.
        rows: usize,
    },
    /// Another generation of the view is read now, whose rows may be others.
    #[error("the view was rebuilt")]
    Rebuilt,
    /// A row that this build cannot read.
    #[error("a row cannot be read: {0}")]
    Unreadable(String),
}

impl Lost {
    /// For metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::TooOld => "too-old",
            Self::TooSlow { .. } => "too-slow",
            Self::Rebuilt => "rebuilt",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Client {
    /// Follows rows of a view from where it is as new as `seen`, waiting for at most `wait` until it is. At most `rows_max`
    /// rows wait to be taken. The stream ends after an error.
    ///
    /// # Errors
    /// [`ReadError`] says what is missing, or what is wrong with the filter or the place.
    pub async fn follow<V: View>(
        &self,
        followed: Followed,
        rows_max: usize,
        seen: &Position,
        wait: Duration,
    ) -> Result<impl Stream<Item = Result<Update<V>, Lost>> + Send + use<V>, ReadError> {
        let view = self.view::<V>()?;
        let mut seen = seen.clone();
        if let Followed::Rows { filter, after } = &followed {
            check_conditions(filter, view)?;
            seen.merge(after.as_ref().map_or(&Position::new(), |it| &it.position));
        }
        let none = Query::first(0);
        let ask = || self.0.reads.rows(view.context, view, &none);
        let raw = self.as_new_as(view, &seen, wait, ask).await?;
        let now = Place { generation: None, position: position(view, &raw.checkpoints) };
        let begin = match &followed {
            Followed::Rows { after: Some(after), .. } => after.clone(),
            Followed::Row(_) | Followed::Rows { after: None, .. } => now,
        };
        let mailbox = Arc::new(Mailbox::new(begin.to_string().into(), rows_max));
        let partitions = self.0.settings.partitions;
        if let Some(desk) = self.0.live.get(V::TABLE) {
            desk.join(Follower::new(followed, &begin, view, partitions, &mailbox));
        }
        metrics::gauge!(metric::LIVE_FOLLOWERS.name, "view" => V::TABLE).increment(1.0);
        Ok(stream::unfold(Some(Taking(mailbox, V::TABLE)), next))
    }
}

/// Takes from a mailbox; the feed forgets the follower when this is dropped.
struct Taking(Arc<Mailbox>, &'static str);

impl Drop for Taking {
    fn drop(&mut self) {
        self.0.close();
        metrics::gauge!(metric::LIVE_FOLLOWERS.name, "view" => self.1).decrement(1.0);
    }
}

async fn next<V: View>(
    taking: Option<Taking>,
) -> Option<(Result<Update<V>, Lost>, Option<Taking>)> {
    let taking = taking?;
    let update = match taking.0.take().await {
        Ok(it) => it.read(),
        Err(lost) => Err(lost),
    };
    match update {
        Ok(update) => {
            metrics::counter!(metric::LIVE_ROWS.name, "view" => taking.1).increment(1);
            Some((Ok(update), Some(taking)))
        }
        Err(lost) => {
            let reason = lost.reason();
            metrics::counter!(metric::LIVE_RESYNCS.name, "view" => taking.1, "reason" => reason)
                .increment(1);
            Some((Err(lost), None))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_rubbish_does_not() {
        let mut position = Position::new();
        position.saw("customers", 1, 2, 3);
        for generation in [None, Some(7)] {
            let place = Place { generation, position: position.clone() };
            assert_eq!(place.to_string().parse(), Ok(place));
        }
        for wrong in ["", ".", "1.", "1", "x.AQ", "1.2.3", "-", "99999999999.AQA"] {
            assert!(wrong.parse::<Place>().is_err(), "{wrong}");
        }
        assert_eq!("1.".repeat(3000).parse::<Place>(), Err(PositionError::TooLong(6000)));
    }
}
