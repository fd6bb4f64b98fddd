//! How far followers are, and what is news to them: each change of a partition begins where the one before ended, so that
//! what was forgotten leaves a gap.
use super::Lost;
use crate::port::store::{Changes, CheckpointRow};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// How far a follower is, by topic and partition: the last event, and the last change, that it knows.
pub(super) type Marks = BTreeMap<(String, i32), (i64, i64)>;

/// The marks that none of these is before.
pub(super) fn least<'a>(mut all: impl Iterator<Item = &'a Arc<Marks>>) -> Option<Marks> {
    let mut before = all.next()?;
    let mut least = (**before).clone();
    for it in all {
        // Most are at the same marks.
        if Arc::ptr_eq(it, std::mem::replace(&mut before, it)) {
            continue;
        }
        for (place, mark) in &**it {
            let least = least.entry(place.clone()).or_default();
            *least = (*mark).min(*least);
        }
    }
    Some(least)
}

/// The partitions with so many batches that there may be more of them.
pub(super) fn full(changes: &Changes, batches_max: i64) -> BTreeSet<(&str, i32)> {
    let mut counts: BTreeMap<(&str, i32), i64> = BTreeMap::new();
    for it in &changes.batches {
        *counts.entry((&it.topic, it.part)).or_default() += 1;
    }
    counts.into_iter().filter(|(_, count)| *count >= batches_max).map(|it| it.0).collect()
}

/// Where whoever is at these marks is after the changes, and the keys of the rows that changed on the way.
pub(super) fn after(
    marks: &Marks,
    changes: &Changes,
    full: &BTreeSet<(&str, i32)>,
) -> Result<(Marks, BTreeSet<Arc<str>>), Lost> {
    let (mut marks, mut keys) = (marks.clone(), BTreeSet::new());
    for it in &changes.batches {
        let mark = marks.entry((it.topic.clone(), it.part)).or_default();
        // Rows that were put right without a new event.
        let is_repair = it.pseq == it.from_pseq && it.pseq == mark.0 && it.number > mark.1;
        if it.pseq <= mark.0 && !is_repair {
            continue;
        }
        if it.from_pseq > mark.0 {
            return Err(Lost::TooOld);
        }
        *mark = (it.pseq, it.number);
        keys.extend(it.keys.iter().map(|it| Arc::from(it.as_str())));
    }
    let is_gap = |row: &CheckpointRow| {
        let mark = marks.get(&(row.topic.clone(), row.part));
        mark.is_none_or(|it| it.0 < row.pseq) && !full.contains(&(row.topic.as_str(), row.part))
    };
    if changes.checkpoints.iter().any(is_gap) { Err(Lost::TooOld) } else { Ok((marks, keys)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::store::Change;

    fn marks(pseq: i64, number: i64) -> Marks {
        [(("t".to_owned(), 0), (pseq, number))].into()
    }

    /// Batches of one partition, as (from, to, key), and where the view is.
    fn changes(batches: &[(i64, i64, &str)], pseq: i64) -> Changes {
        let change = |(number, (from_pseq, pseq, key)): (usize, &(i64, i64, &str))| Change {
            topic: "t".to_owned(),
            part: 0,
            from_pseq: *from_pseq,
            pseq: *pseq,
            number: 10 + i64::try_from(number).unwrap_or_default(),
            keys: vec![(*key).to_owned()],
            traces: Vec::new(),
        };
        let checkpoint = CheckpointRow {
            topic: "t".to_owned(),
            part: 0,
            incarnation: 1,
            epoch: 1,
            pseq,
            next_offset: pseq,
            caught_up: true,
        };
        let batches = batches.iter().enumerate().map(change).collect();
        Changes { generation: 1, batches, checkpoints: vec![checkpoint] }
    }

    #[track_caller]
    fn news(
        marks: &Marks,
        changes: &Changes,
        batches_max: i64,
    ) -> Result<((i64, i64), String), Lost> {
        let (marks, keys) = after(marks, changes, &full(changes, batches_max))?;
        let keys: Vec<&str> = keys.iter().map(|it| &**it).collect();
        Ok((marks[&("t".to_owned(), 0)], keys.concat()))
    }

    #[test]
    fn batches_that_fit_together_are_news() {
        let all = changes(&[(0, 2, "a"), (2, 3, "b"), (3, 7, "c")], 7);
        assert_eq!(news(&marks(2, 10), &all, 9), Ok(((7, 12), "bc".to_owned())));
        assert_eq!(news(&marks(7, 12), &all, 9), Ok(((7, 12), String::new())));
        // A server that lost its last moments batches them in another way.
        assert_eq!(news(&marks(1, 0), &all, 9), Ok(((7, 12), "abc".to_owned())));
        assert_eq!(news(&marks(9, 0), &all, 9), Ok(((9, 0), String::new())));
    }

    #[test]
    fn a_gap_is_seen_wherever_it_is() {
        let forgotten = changes(&[(2, 3, "b"), (3, 7, "c")], 7);
        assert_eq!(news(&marks(1, 0), &forgotten, 9), Err(Lost::TooOld));
        assert_eq!(news(&marks(6, 0), &changes(&[], 7), 9), Err(Lost::TooOld));
        assert_eq!(
            news(&marks(2, 0), &changes(&[(2, 3, "b"), (5, 7, "c")], 7), 9),
            Err(Lost::TooOld)
        );
        // What was not read yet is none.
        assert_eq!(
            news(&marks(2, 0), &changes(&[(2, 3, "b")], 7), 1),
            Ok(((3, 10), "b".to_owned()))
        );
        assert_eq!(news(&marks(2, 0), &changes(&[(2, 3, "b")], 7), 2), Err(Lost::TooOld));
    }

    #[test]
    fn what_is_put_right_is_told_once() {
        let repaired = changes(&[(2, 3, "a"), (3, 3, "b"), (3, 3, "c")], 3);
        assert_eq!(news(&marks(3, 0), &repaired, 9), Ok(((3, 12), "bc".to_owned())));
        assert_eq!(news(&marks(3, 11), &repaired, 9), Ok(((3, 12), "c".to_owned())));
        assert_eq!(news(&marks(3, 12), &repaired, 9), Ok(((3, 12), String::new())));
        assert_eq!(news(&marks(2, 9), &repaired, 9), Ok(((3, 12), "abc".to_owned())));
    }

    #[test]
    fn the_least_is_before_all() {
        let all = [marks(3, 1), marks(2, 9), marks(3, 0)].map(Arc::new);
        assert_eq!(least(all.iter()), Some(marks(2, 9)));
        assert_eq!(least([].iter()), None);
    }
}
