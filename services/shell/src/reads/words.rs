//! Words: what is searched in texts, and how well it was found. Both stores have them from here, so that they find alike.
use std::collections::BTreeSet;

/// Stands for how well a row was found, where the name of a column stands otherwise.
pub const RELEVANCE: &str = "?relevance";
/// Words of a row; those beyond them are not found.
const WORDS_MAX: usize = 1_000;
/// Letters of a word; longer ones are found by their beginning.
const LETTERS_MAX: usize = 60;

/// The words of a text, in lower case and each once: whatever lies between signs that are neither letters nor digits.
#[must_use]
pub fn words(text: &str) -> BTreeSet<String> {
    let all = text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    all.map(lower).take(WORDS_MAX).collect()
}

fn lower(word: &str) -> String {
    // Small letters of some capitals have signs of their own, which are no letters.
    word.chars()
        .flat_map(char::to_lowercase)
        .filter(|it| it.is_alphanumeric())
        .take(LETTERS_MAX)
        .collect()
}

/// The words of a row in the columns that its view searches.
pub(crate) fn words_of(row: &serde_json::Value, searched: &[&str]) -> BTreeSet<String> {
    let text = |column: &&str| row.get(column).and_then(serde_json::Value::as_str);
    searched.iter().filter_map(text).flat_map(words).take(WORDS_MAX).collect()
}

/// How well a row is found: how many of these words it has, and not only words that begin like them.
#[must_use]
pub fn relevance(row: &serde_json::Value, searched: &[&str], words: &BTreeSet<String>) -> i64 {
    i64::try_from(words_of(row, searched).intersection(words).count()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lie_between_other_signs() {
        let all = |text| words(text).into_iter().collect::<Vec<_>>();
        assert_eq!(all("Ada.Lovelace@Example.com"), ["ada", "com", "example", "lovelace"]);
        assert_eq!(all("\u{c9}t\u{e9} 42, ETE; \u{130}"), ["42", "ete", "i", "\u{e9}t\u{e9}"]);
        assert_eq!(all(" .-_' "), [""; 0]);
        assert_eq!(all(&"x".repeat(100)), ["x".repeat(60)]);
    }
}
