//! The words of `PromQL`.

/// A word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// The name of a metric, a label or a function, or a keyword.
    Name(String),
    /// A number or a duration, as it stands there.
    Number,
    /// A text, without its quotes.
    Text(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: &[&str] = &[
    "==", "!=", "=~", "!~", ">=", "<=", "=", ">", "<", "+", "-", "*", "/", "%", "^", "(", ")", "{",
    "}", "[", "]", ",", ":", "@",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = if matches!(first, '"' | '\'' | '`') {
            quoted(rest, first)?
        } else if first == '#' {
            rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
            continue;
        } else if first == '$' {
            variable(rest)?
        } else if first.is_ascii_digit() || first == '.' {
            number(rest)
        } else if first.is_ascii_alphabetic() || first == '_' {
            // A colon belongs to the names of recorded series.
            let (name, after) = split(rest, |it| it.is_ascii_alphanumeric() || "_:".contains(it));
            (Token::Name(name.to_owned()), after)
        } else {
            let sign = SIGNS.iter().find(|it| rest.starts_with(**it));
            let sign = sign.ok_or_else(|| format!("{first:?} is no word of PromQL in {text:?}"))?;
            (Token::Sign(sign), &rest[sign.len()..])
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|it: char| !belongs(it)).unwrap_or(text.len()))
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut inside = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, it)) = chars.next() {
        if it == quote {
            return Ok((Token::Text(inside), &text[at + it.len_utf8()..]));
        }
        inside.push(it);
        if it == '\\' && quote != '`' {
            inside.extend(chars.next().map(|(_, it)| it));
        }
    }
    Err(format!("a text is not closed: {text:?}"))
}

/// Only those that stand for a duration: any other could be anything.
fn variable(text: &str) -> Result<(Token, &str), String> {
    let (name, after) = split(&text[1..], |it| it.is_ascii_alphanumeric() || it == '_');
    if !["__rate_interval", "__interval", "__range"].contains(&name) {
        return Err(format!("the variable ${name} could be anything: it belongs into a text"));
    }
    Ok((Token::Number, after))
}

/// Durations too (`1h30m`), and what looks like neither: what it is worth is not asked here.
fn number(text: &str) -> (Token, &str) {
    let (number, after) = split(text, |it| it.is_ascii_alphanumeric() || it == '.');
    let signed = number.ends_with(['e', 'E']) && !number.starts_with("0x");
    match after.strip_prefix(['+', '-']) {
        Some(exponent) if signed => (Token::Number, split(exponent, |it| it.is_ascii_digit()).1),
        _ => (Token::Number, after),
    }
}
