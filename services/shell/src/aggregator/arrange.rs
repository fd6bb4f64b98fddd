//! Which records of a partition are next: `pseq` tells what is new, what came before, and what is missing.
use crate::{
    defect::{self, Defect},
    port::store::CheckpointRow,
};
use shared_events::headers::EventHeaders;
use std::time::Duration;

/// A partition of a topic that is ours.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) row: CheckpointRow,
    /// The end of the partition when it was taken: what has to be shown before it has caught up.
    pub(crate) target: i64,
    /// The offset after the last record handed out.
    pub(crate) read: i64,
    /// The first record that was passed over because something before it is missing.
    pub(crate) skipped: Option<i64>,
    pub(crate) gap: Gap,
}

/// How an event that is missing is looked for (protocol.md V4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gap {
    /// Nothing is missing.
    None,
    /// Reading again from the last offset known to be contiguous.
    Behind,
    /// Not behind: reading on to the end of the partition, as it was then.
    Ahead { end: i64 },
    /// Nowhere in the log: the handler was asked to publish again.
    Asked { at: Duration },
}

/// What to do with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the next event.
    Next,
    /// It is in the view already.
    Duplicate,
    /// Something before it is missing: pass over it.
    Gap,
    /// Its numbers belong to another life of the write side: stop (W13).
    Foreign,
}

impl Part {
    pub(crate) fn new(row: CheckpointRow, target: i64) -> Self {
        Self { target, read: row.next_offset, skipped: None, gap: Gap::None, row }
    }

    /// Takes a record in order; after `Next` the event counts as shown.
    pub(crate) fn take(&mut self, offset: i64, event: &EventHeaders) -> Verdict {
        self.read = offset + 1;
        if self.row.incarnation != 0 && event.incarnation != self.row.incarnation {
            return Verdict::Foreign;
        }
        if event.pseq <= self.row.pseq && !defect::is(Defect::DuplicateNotDropped) {
            self.advance(offset);
            return Verdict::Duplicate;
        }
        if event.pseq > self.row.pseq + 1 && !defect::is(Defect::GapIgnored) {
            self.skipped = Some(self.skipped.map_or(offset, |it| it.min(offset)));
            return Verdict::Gap;
        }
        self.row.pseq = event.pseq;
        self.row.incarnation = event.incarnation;
        self.gap = Gap::None;
        self.advance(offset);
        Verdict::Next
    }

    /// What is looked for in vain, if anything is.
    pub(crate) fn missing(&self) -> Option<String> {
        let next = self.row.pseq + 1;
        let asked = matches!(self.gap, Gap::Asked { .. });
        asked.then(|| {
            format!("event {next} is nowhere in the log; the handler was asked to publish it again")
        })
    }

    /// A record without numbers, which no handler of ours wrote.
    pub(crate) fn pass(&mut self, offset: i64) {
        self.read = offset + 1;
        self.advance(offset);
    }

    /// What was passed over is still to be read.
    fn advance(&mut self, offset: i64) {
        self.row.next_offset = self.skipped.unwrap_or(offset + 1);
        self.row.caught_up |= self.row.next_offset >= self.target;
    }

    /// Reading goes on from the last offset known to be contiguous.
    pub(crate) fn went_back(&mut self, gap: Gap) {
        self.skipped = None;
        self.read = self.row.next_offset;
        self.gap = gap;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use shared_events::Fingerprint;
    use uuid::Uuid;

    fn part() -> Part {
        let row = CheckpointRow {
            topic: "t".into(),
            part: 0,
            incarnation: 0,
            epoch: 1,
            pseq: 0,
            next_offset: 0,
            caught_up: false,
        };
        Part::new(row, 4)
    }

    fn event(pseq: i64) -> EventHeaders {
        EventHeaders {
            id: Uuid::nil(),
            record: "r".into(),
            source: "s".into(),
            time: DateTime::UNIX_EPOCH,
            fingerprint: Fingerprint(0),
            correlation: Uuid::nil(),
            causation: Uuid::nil(),
            traceparent: None,
            actor: None,
            stream: Uuid::nil(),
            pseq,
            version: 1,
            incarnation: 7,
        }
    }

    #[test]
    fn duplicates_fall_and_the_next_is_taken() {
        let mut part = part();
        assert_eq!(part.take(0, &event(1)), Verdict::Next);
        assert_eq!(part.take(1, &event(1)), Verdict::Duplicate);
        assert_eq!(part.take(2, &event(2)), Verdict::Next);
        assert_eq!((part.row.pseq, part.row.next_offset, part.row.caught_up), (2, 3, false));
        assert_eq!(part.take(3, &event(2)), Verdict::Duplicate);
        assert!(part.row.caught_up);
    }

    #[test]
    fn what_was_passed_over_is_read_again() {
        let mut part = part();
        assert_eq!(part.take(0, &event(1)), Verdict::Next);
        assert_eq!(part.take(1, &event(3)), Verdict::Gap);
        assert_eq!(part.take(2, &event(2)), Verdict::Next);
        assert_eq!(part.row.next_offset, 1, "the hint stays before what was passed over");
        part.went_back(Gap::Behind);
        assert_eq!(part.take(1, &event(3)), Verdict::Next);
        assert_eq!(part.take(2, &event(2)), Verdict::Duplicate);
        assert_eq!((part.row.pseq, part.row.next_offset), (3, 3));
    }

    #[test]
    fn another_life_of_the_write_side_is_never_mixed_in() {
        let mut part = part();
        assert_eq!(part.take(0, &event(1)), Verdict::Next);
        assert_eq!(part.take(1, &EventHeaders { incarnation: 8, ..event(2) }), Verdict::Foreign);
    }
}
