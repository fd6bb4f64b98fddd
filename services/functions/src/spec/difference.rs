//! Two values side by side, for a failure that a reader understands at a glance.
use std::fmt::{Debug, Write};

/// The lines of both values' debug text: `-` expected only, `+` found only, blank both.
pub(super) fn difference(expected: &impl Debug, found: &impl Debug) -> String {
    let (expected, found) = (format!("{expected:#?}"), format!("{found:#?}"));
    if expected == found {
        return expected;
    }
    let (old, new) = (expected.lines().collect::<Vec<_>>(), found.lines().collect::<Vec<_>>());
    let common = common_suffixes(&old, &new);
    let (mut i, mut j) = (0, 0);
    let mut text = String::from("- expected\n+ found\n");
    let mut line = |mark, line: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{mark} {line}");
    };
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            line(' ', old[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            line('-', old[i]);
            i += 1;
        } else {
            line('+', new[j]);
            j += 1;
        }
    }
    text
}

/// For every pair of suffixes, how many lines they have in common, in order.
fn common_suffixes(old: &[&str], new: &[&str]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn only_what_differs_is_marked() {
        assert_eq!(
            difference(&["a", "b", "c"], &["a", "x", "c", "d"]),
            "- expected\n+ found\n  [\n      \"a\",\n-     \"b\",\n+     \"x\",\n      \"c\",\n+     \"d\",\n  ]\n"
        );
    }
}
