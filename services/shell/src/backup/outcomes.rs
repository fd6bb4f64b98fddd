//! The positions in restored outcomes: whoever asks what became of a command is told where to look in the life that
//! begins, not in the one that ended.
use crate::{
    codec::hex,
    handler::outcome::{read_outcome, write_outcome},
};

/// The lines of `write.outcome`, whose `body`th column is an outcome, with the positions of this context in another
/// incarnation. What this build cannot read stays as it is.
pub(super) fn renewed(lines: &[u8], body: usize, context: &str, incarnation: i64) -> Vec<u8> {
    let mut all = Vec::with_capacity(lines.len() + lines.len() / 8);
    for line in lines.split_inclusive(|it| *it == b'\n') {
        let mut columns: Vec<&[u8]> = line.split(|it| *it == b'\t').collect();
        let new = columns.get(body).and_then(|it| outcome(it, context, incarnation));
        let end: &[u8] =
            if columns.get(body).is_some_and(|it| it.ends_with(b"\n")) { b"\n" } else { b"" };
        let new = new.map(|it| [it.as_slice(), end].concat());
        if let (Some(column), Some(new)) = (columns.get_mut(body), &new) {
            *column = new;
        }
        all.extend(columns.join(&b'\t'));
    }
    all
}

fn outcome(column: &[u8], context: &str, incarnation: i64) -> Option<Vec<u8>> {
    // A backslash is doubled in this format.
    let digits = column.trim_ascii_end().strip_prefix(br"\\x")?;
    let digits = std::str::from_utf8(digits).ok().filter(|it| it.is_ascii())?;
    let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
    let mut reply = read_outcome(&bytes?).ok()?;
    for it in reply.position.iter_mut().filter(|it| it.context == context) {
        it.incarnation = incarnation;
    }
    Some(format!(r"\\x{}", hex(&write_outcome(&reply).ok()?)).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_events::fleet::{PositionEntry, Reply, Verdict};
    use uuid::Uuid;

    fn reply(incarnation: i64) -> Reply {
        let entry = |context: &str, incarnation| PositionEntry {
            context: context.to_owned(),
            incarnation,
            partition: 2,
            pseq: 7,
        };
        Reply {
            command_id: Uuid::from_u128(1),
            verdict: Verdict::Accepted,
            stream: Uuid::from_u128(2),
            version: 3,
            code: None,
            message: None,
            details: None,
            position: vec![entry("customers", incarnation), entry("others", 1)],
        }
    }

    fn lines(incarnation: i64) -> String {
        let body = hex(&write_outcome(&reply(incarnation)).unwrap());
        format!("a\\tb\t2\t\\\\x{body}\t2026-01-01 00:00:00+00\nx\t1\t\\\\x00\tnow\n")
    }

    #[test]
    fn outcomes_point_to_the_life_that_begins() {
        let found = renewed(lines(1).as_bytes(), 2, "customers", 99);
        assert_eq!(String::from_utf8(found).unwrap(), lines(99));
    }
}
