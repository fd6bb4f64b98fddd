//! What a panic of a context's own logic said: it is caught, and told as the reason why something was not done.
use std::any::Any;

/// `what` panicked, and what it said, as far as it is a text: without U+0000, which no store takes.
pub(crate) fn told(what: &str, panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|it| (*it).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "without a word".into()).replace('\0', "\u{fffd}");
    let end = text.char_indices().nth(LENGTH_MAX).map_or(text.len(), |(at, _)| at);
    format!("{what} panicked: {}", &text[..end])
}

/// In characters: a reason is read by a person, and kept with each record.
const LENGTH_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_can_be_stored_and_read() {
        assert_eq!(told("it", &"why"), "it panicked: why");
        assert_eq!(told("it", &String::from("a\0b")), "it panicked: a\u{fffd}b");
        assert_eq!(told("it", &7), "it panicked: without a word");
        assert_eq!(told("it", &"ä".repeat(5000)).chars().count(), "it panicked: ".len() + 1000);
    }
}
