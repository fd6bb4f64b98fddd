//! What clients send back: positions and cursors.
use bff::relay::Arguments;
use customers::views::{Customer, InvitationsPerDay};
use functions::View;
use shell::{
    position::{MAX_LENGTH, Position},
    view::ViewDefinition,
};

/// The position of a header.
pub(super) fn position(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<Position>() {
        Ok(it) => {
            assert!(it.entries().count() <= text.len(), "more entries than bytes");
            let again = it.to_string();
            assert!(again.len() <= text.len() && again.len() <= MAX_LENGTH, "it grows: {again}");
            assert_eq!(again.parse(), Ok(it.clone()));
            let mut merged = it.clone();
            merged.merge(&it);
            assert_eq!(merged, it);
        }
        Err(error) => assert!(error.to_string().len() <= 1_000, "{error}"),
    }
}

/// Two cursors, on two lines.
pub(super) fn cursors(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (after, before) = text.split_once('\n').unwrap_or((&text, ""));
    of::<Customer>(after, before);
    of::<InvitationsPerDay>(after, before);
}

fn of<V: View>(after: &str, before: &str) {
    let given = |it: &str| (!it.is_empty()).then(|| it.to_owned());
    let arguments =
        Arguments { after: given(after), before: given(before), ..Arguments::default() };
    match arguments.query::<V>(true) {
        Ok(query) => {
            let view = ViewDefinition::of::<V>("customers");
            assert_eq!(query.check(&view), Ok(()), "a cursor that the view does not know");
        }
        Err(failure) => assert!(failure.message.len() <= 1_000, "{}", failure.message),
    }
}
