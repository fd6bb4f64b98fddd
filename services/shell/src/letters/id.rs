//! How people name a dead letter.
use std::{fmt, str::FromStr};

/// Names a dead letter: `customers/commands/3:42` is the command at offset 42 of partition 3, `customers/customer/3:17`
/// the event number 17 of partition 3 in the view `customer`. No view can be called `commands`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LetterId {
    /// Of a handler: a record that could not be decided.
    Command(CommandPlace),
    /// Of a view: an event that could not be folded, or waits behind one.
    Event(EventPlace),
}

/// Where a record that could not be decided stood.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandPlace {
    /// The context.
    pub context: String,
    /// The partition.
    pub part: i32,
    /// The offset there.
    pub offset: i64,
    /// The first digits of the hash of its bytes, where several records stood there: the topic was recreated.
    pub digest: Option<String>,
}

/// Where an event stands that a view could not fold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPlace {
    /// The context that keeps the view.
    pub context: String,
    /// The view's table.
    pub view: String,
    /// The events' topic, without the namespace.
    pub topic: String,
    /// The partition.
    pub part: i32,
    /// The event's number there.
    pub pseq: i64,
}

impl LetterId {
    /// The context.
    #[must_use]
    pub fn context(&self) -> &str {
        match self {
            Self::Command(it) => &it.context,
            Self::Event(it) => &it.context,
        }
    }
}

impl EventPlace {
    /// Most views follow the events of their own context only: then its topic need not be said.
    fn own_topic(&self) -> String {
        format!("{}.events", self.context)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(CommandPlace { context, part, offset, digest }) => {
                write!(f, "{context}/{COMMANDS}/{part}:{offset}")?;
                digest.as_ref().map_or(Ok(()), |it| write!(f, "-{it}"))
            }
            Self::Event(it) if it.topic == it.own_topic() => {
                write!(f, "{}/{}/{}:{}", it.context, it.view, it.part, it.pseq)
            }
            Self::Event(it) => {
                write!(f, "{}/{}/{}/{}:{}", it.context, it.view, it.topic, it.part, it.pseq)
            }
        }
    }
}

/// A text that names no dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no dead letter: write it as the list does, such as customers/customer/3:17 or customers/commands/3:42"
)]
pub struct LetterIdError(String);

impl FromStr for LetterId {
    type Err = LetterIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| LetterIdError(text.chars().take(TOLD_CHARS).collect()))
    }
}

fn parse(text: &str) -> Option<LetterId> {
    let is_name = |it: &&str| {
        let is_sign = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
        (1..=NAME_BYTES_MAX).contains(&it.len()) && it.bytes().all(is_sign)
    };
    let parts: Vec<&str> = text.split('/').collect();
    let (names, place) = parts.split_at_checked(parts.len() - 1)?;
    let (part, number) = place.first()?.split_once(':')?;
    let part: i32 = digits(part)?.parse().ok()?;
    let context = (*names.first().filter(|it| is_name(it))?).to_owned();
    if names.len() == 2 && names[1] == COMMANDS {
        let (offset, digest) = match number.split_once('-') {
            Some((offset, digest)) => (offset, Some(hex_digits(digest)?.to_owned())),
            None => (number, None),
        };
        let offset = digits(offset)?.parse().ok()?;
        return Some(LetterId::Command(CommandPlace { context, part, offset, digest }));
    }
    let view = (*names.get(1).filter(|it| is_name(it))?).to_owned();
    let topic = match names {
        [_, _] => format!("{context}.events"),
        [_, _, topic] if is_name(topic) => (*topic).to_owned(),
        _ => return None,
    };
    let pseq = digits(number)?.parse().ok()?;
    Some(LetterId::Event(EventPlace { context, view, topic, part, pseq }))
}

/// Without a sign, which Rust would take too.
fn digits(text: &str) -> Option<&str> {
    Some(text).filter(|it| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit()))
}

fn hex_digits(text: &str) -> Option<&str> {
    let is_digit = |it: u8| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    Some(text).filter(|it| (1..=32).contains(&it.len()) && it.bytes().all(is_digit))
}

const COMMANDS: &str = "commands";
/// As long as Kafka's names may be.
const NAME_BYTES_MAX: usize = 249;
const TOLD_CHARS: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for text in [
            "customers/commands/3:42",
            "customers/commands/3:42-0af3",
            "customers/customer/0:17",
            "boards/board/projects.events/2147483647:9223372036854775807",
        ] {
            let id: LetterId = text.parse().expect(text);
            assert_eq!(id.to_string(), text);
        }
        let spelled: LetterId = "customers/customer/customers.events/1:2".parse().expect("an id");
        assert_eq!(spelled.to_string(), "customers/customer/1:2");
        assert_eq!(spelled.context(), "customers");
    }

    #[test]
    fn rubbish_is_refused_with_an_example() {
        for text in [
            "",
            "/",
            "3:17",
            "customers/3:17",
            "customers//3:17",
            "customers/customer/-3:17",
            "customers/customer/+3:17",
            "customers/customer/3:-17",
            "customers/customer/3:",
            "customers/customer/3:1:7",
            "customers/customer/2147483648:1",
            "customers/customer/0:9223372036854775808",
            "customers/customer/3:17-0a",
            "customers/commands/3:42-",
            "customers/commands/3:42-xyz",
            "customers/cus tomer/3:17",
            "customers/customer\0/3:17",
            "a/b/c/d/3:17",
            "customers'; drop table x/customer/3:17",
        ] {
            let error = text.parse::<LetterId>().expect_err(text);
            assert!(error.to_string().contains("customers/customer/3:17"), "{error}");
        }
        let long = "x".repeat(1_000_000).parse::<LetterId>().expect_err("long");
        assert!(long.to_string().len() < 300);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_alike(text in "[a-z/:.0-9-]{0,30}|\\PC*") {
            if let Ok(id) = text.parse::<LetterId>() {
                prop_assert_eq!(id.to_string().parse(), Ok(id));
            }
        }
    }
}
