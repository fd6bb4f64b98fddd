//! What clients send back: positions and cursors.
use bff::relay::Arguments;
use customers::views::{Customer, InvitationsPerDay};
use functions::View;
use shell::position::{MAX_LENGTH, Position};

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
    match arguments.page::<V>(true) {
        Ok(page) => {
            for key in page.after.iter().chain(&page.before) {
                // In the one form in which keys are compared with each other.
                let canonical = key.parse::<V::Key>().ok().map(|it| it.to_string());
                assert_eq!(canonical.as_ref(), Some(key), "another form of a key");
            }
        }
        Err(failure) => assert!(failure.message.len() <= 1_000, "{}", failure.message),
    }
}
