//! E-mail addresses: what is one, and when two are the same.
//!
//! The rule is that of web browsers (`<input type="email">`), which is what most people's addresses have passed
//! already, opened to letters outside of ASCII (ä@example.org, 用户@例子.公司). It is not all of RFC 5322, which allows
//! comments and quotes that nobody types but for mischief:
//! - one `@`;
//! - before it at least one character: ASCII letters, digits and ``.!#$%&'*+/=?^_`{|}~-``, and anything outside of ASCII;
//! - after it labels with dots between them, of 1 to 63 bytes: ASCII letters, digits and `-` (not first or last), and
//!   anything outside of ASCII;
//! - no white space within, no control characters, and no invisible ones (two addresses that look alike are alike);
//! - the normal form has at most 254 bytes.
//!
//! Whether mail arrives there is what verifying is for.
use functions::Unique;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

/// The longest address that can travel by SMTP, in bytes; so much for the normal form.
pub const BYTES_MAX: usize = 254;

/// The longest label of a domain, in bytes.
const LABEL_BYTES_MAX: usize = 63;

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    typed: String,
    normal: String,
}

/// What is wrong with something that should be an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is nothing but white space.
    Missing,
    /// It is something else.
    Invalid(Invalid),
}

/// Why it is no e-mail address; its `Display` is for whoever typed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Invalid {
    /// None, or more than one.
    #[error("email must have one @, as in ada@example.com")]
    At,
    /// Nothing, or a character that is not allowed.
    #[error(
        "email must have a name before the @, without spaces, quotes, brackets, commas or colons"
    )]
    Name,
    /// No domain.
    #[error("email must have a domain after the @, as in ada@example.com")]
    Domain,
    /// White space, control characters or invisible ones.
    #[error("email must not have spaces, control characters or invisible characters")]
    Invisible,
    /// More than [`BYTES_MAX`].
    #[error("email must have at most {BYTES_MAX} bytes")]
    TooLong,
}

impl Email {
    /// Reads what somebody typed. White space around it is not part of it.
    ///
    /// # Errors
    /// It is no address.
    pub fn parse(typed: &str) -> Result<Self, Problem> {
        let typed = typed.trim();
        if typed.is_empty() {
            return Err(Problem::Missing);
        }
        let normal = normal_form(typed);
        check(&normal).map_err(Problem::Invalid)?;
        Ok(Self { typed: typed.to_owned(), normal })
    }

    /// As typed, without white space around it: how its owner likes to see it.
    #[must_use]
    pub fn typed(&self) -> &str {
        &self.typed
    }

    /// The form in which equal addresses are equal.
    #[must_use]
    pub fn normal(&self) -> &str {
        &self.normal
    }

    /// What one customer at most may hold.
    #[must_use]
    pub fn unique(&self) -> Unique {
        Unique { kind: KIND, value: self.normal.clone() }
    }
}

const KIND: &str = "email";

/// What one customer at most may hold, of an address that was accepted before. It never fails, because it is asked about
/// history: an address stays what it was when the rules get stricter.
#[must_use]
pub fn unique(accepted: &str) -> Unique {
    Unique { kind: KIND, value: normal_form(accepted) }
}

/// Trimmed, in normalization form C and in lower case.
///
/// Values that are held were made by this function, so another result for an old address would let nobody give it back:
/// a change here needs the claims to be made again from the first event.
#[must_use]
pub fn normal_form(typed: &str) -> String {
    // Most addresses: ASCII is in form C, and has one lower case.
    if typed.is_ascii() {
        return typed.trim().to_ascii_lowercase();
    }
    let mut form: String = typed.trim().nfc().collect();
    // Lower case may take a text out of form C (İ becomes two characters) and form C out of lower case (the Kelvin
    // sign becomes K), so both are done until nothing changes. A handful of rounds is far more than Unicode needs.
    for _ in 0..8 {
        let next: String = form.to_lowercase().nfc().collect();
        if next == form {
            break;
        }
        form = next;
    }
    form
}

fn check(normal: &str) -> Result<(), Invalid> {
    if normal.chars().any(|it| it.is_control() || it.is_whitespace() || is_invisible(it)) {
        return Err(Invalid::Invisible);
    }
    let Some((name, domain)) = normal.split_once('@').filter(|(_, rest)| !rest.contains('@'))
    else {
        return Err(Invalid::At);
    };
    if name.is_empty() || !name.chars().all(may_be_in_name) {
        return Err(Invalid::Name);
    }
    if !domain.split('.').all(is_label) {
        return Err(Invalid::Domain);
    }
    // Last: of a whole page that was pasted, something else is wrong that says more.
    if normal.len() > BYTES_MAX {
        return Err(Invalid::TooLong);
    }
    Ok(())
}

fn may_be_in_name(it: char) -> bool {
    !it.is_ascii() || it.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(it)
}

fn is_label(label: &str) -> bool {
    (1..=LABEL_BYTES_MAX).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|it| !it.is_ascii() || it.is_ascii_alphanumeric() || it == '-')
}

/// Characters that show nothing, or change the direction of what follows.
fn is_invisible(it: char) -> bool {
    matches!(
        it,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
