//! `${NAME:-default}` and its relatives, as Compose fills them in: in values, after anchors.
use serde_json::Value;

/// Fills in all variables of a document.
pub(super) fn fill(
    document: &mut Value,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<(), String> {
    match document {
        Value::String(text) => *text = filled(text, variable)?,
        Value::Array(items) => items.iter_mut().try_for_each(|it| fill(it, variable))?,
        Value::Object(fields) => fields.values_mut().try_for_each(|it| fill(it, variable))?,
        _ => {}
    }
    Ok(())
}

fn filled(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
        } else if let Some(after) = rest.strip_prefix('{') {
            let end =
                closing(after).ok_or_else(|| format!("no }} ends the variable in {text:?}"))?;
            result.push_str(&value(&after[..end], variable)?);
            rest = &after[end + 1..];
        } else {
            let end = name_length(rest);
            if end == 0 {
                return Err(format!("a $ that begins no variable in {text:?}: write $$"));
            }
            result.push_str(&variable(&rest[..end]).unwrap_or_default());
            rest = &rest[end..];
        }
    }
    result.push_str(rest);
    Ok(result)
}

/// Where the brace closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, char) in text.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn name_length(text: &str) -> usize {
    let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
    text.find(|it| !is_name(it)).unwrap_or(text.len())
}

/// The value of what stands between the braces.
fn value(inside: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let (name, rest) = inside.split_at(name_length(inside));
    if name.is_empty() {
        return Err(format!("${{{inside}}} names no variable"));
    }
    let set = variable(name);
    let full = set.clone().filter(|it| !it.is_empty());
    let operators = [":-", "-", ":?", "?", ":+", "+"];
    let Some(operator) = operators.into_iter().find(|it| rest.starts_with(it)) else {
        return if rest.is_empty() {
            Ok(set.unwrap_or_default())
        } else {
            Err(format!("${{{inside}}} has no operator that Compose knows"))
        };
    };
    let other = &rest[operator.len()..];
    let found = if operator.starts_with(':') { full } else { set };
    match (operator.trim_start_matches(':'), found) {
        ("-" | "?", Some(found)) => Ok(found),
        ("?", None) => Err(format!("{name} is not set: {other}")),
        ("-", None) | ("+", Some(_)) => filled(other, variable),
        _ => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let variable = |name: &str| match name {
            "SET" => Some("value".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let found = filled(text, &variable).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn variables_are_filled_in_as_compose_does() {
        check("a ${SET} b $SET.c", "a value b value.c");
        check("${MISSING}|${MISSING:-x}|${MISSING-x}", "|x|x");
        check("${EMPTY:-x}|${EMPTY-x}", "x|");
        check("${SET:+x}|${MISSING:+x}", "x|");
        check("${MISSING:-${SET}:${MISSING:-y}}", "value:y");
        check("$$SET", "$SET");
        check("${MISSING:?say it}", "error: MISSING is not set: say it");
        check("${SET", "error: no } ends the variable in \"${SET\"");
        check("5 $ 6", "error: a $ that begins no variable in \"5 $ 6\": write $$");
    }
}
