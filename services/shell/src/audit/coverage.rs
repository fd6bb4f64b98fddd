//! Which numbers of a partition were seen: a bit each, so that ten million of them take a little over a megabyte.
use std::ops::RangeInclusive;

/// Numbers from 1 on, each seen or not.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    bits: Vec<u64>,
    /// The highest that was seen.
    highest: i64,
}

impl Coverage {
    /// Notes that `number` was seen; whether it was so before. What is below 1 is no number, and is not noted.
    pub fn see(&mut self, number: i64) -> bool {
        let Some((word, bit)) = place(number) else { return false };
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.highest = self.highest.max(number);
        let was_seen = self.bits[word] & bit != 0;
        self.bits[word] |= bit;
        was_seen
    }

    /// The numbers from 1 to `last` that were not seen, as ranges in order.
    pub fn missing(&self, last: i64) -> impl Iterator<Item = RangeInclusive<i64>> + '_ {
        let (mut next, mut is_over) = (1, false);
        std::iter::from_fn(move || {
            let first = (next..=last).find(|it| !self.has(*it)).filter(|_| !is_over)?;
            // After the highest none was seen: they need not be looked at one by one.
            is_over = first > self.highest;
            let after = (first..=last.min(self.highest)).find(|it| self.has(*it));
            next = after.unwrap_or(last.saturating_add(1));
            Some(first..=after.map_or(last, |it| it - 1))
        })
    }

    fn has(&self, number: i64) -> bool {
        place(number).and_then(|(word, bit)| Some(self.bits.get(word)? & bit != 0)).unwrap_or(false)
    }
}

/// The word and the bit of a number.
fn place(number: i64) -> Option<(usize, u64)> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    Some((index / 64, 1 << (index % 64)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_seen_is_missing() {
        let mut it = Coverage::default();
        for number in (1..=200).filter(|it| ![1, 64, 65, 66, 200].contains(it)) {
            assert!(!it.see(number));
        }
        assert!(it.see(2) && !it.see(0) && !it.see(-7));
        let missing: Vec<_> = it.missing(202).collect();
        assert_eq!(missing, [1..=1, 64..=66, 200..=202]);
        assert_eq!(it.missing(0).count(), 0);
        // However many that is.
        assert_eq!(it.missing(i64::MAX).last(), Some(200..=i64::MAX));
    }
}
