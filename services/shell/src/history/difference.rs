//! Two states side by side, field by field.
use serde::Serialize;
use serde_json::{Map, Value};

/// A field that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its path.
    pub field: String,
    /// What it was; null also if it was not there.
    pub before: Value,
    /// What it is; null also if it is not there any more.
    pub after: Value,
}

/// The fields that differ, in the order of their names.
#[must_use]
pub fn difference(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Change> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let of = |map: &Map<String, Value>, name: &str| map.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|it| Change { field: it.clone(), before: of(before, it), after: of(after, it) })
        .filter(|it| it.before != it.after)
        .collect()
}

/// A state by the paths of its fields. What serde makes of an enum is its variant, as the field `state`, and the fields
/// that it has: `{"Invited": {"email": …}}` is `state` and `email`.
pub(super) fn fields(json: &Value) -> Map<String, Value> {
    let mut all = Map::new();
    match (json, variant(json)) {
        (_, Some((name, inner))) => {
            all.insert("state".to_owned(), Value::from(name));
            flatten("", inner, &mut all);
        }
        (_, None) => flatten("", json, &mut all),
    }
    all
}

/// The variant that this is of, and what it has. Types and their variants are written in camel case, fields are not.
fn variant(json: &Value) -> Option<(&str, &Value)> {
    let (name, inner) = match json {
        Value::String(name) => (name, &Value::Null),
        Value::Object(map) if map.len() == 1 => map.iter().next()?,
        _ => return None,
    };
    name.starts_with(|it: char| it.is_ascii_uppercase()).then_some((name.as_str(), inner))
}

fn flatten(path: &str, json: &Value, into: &mut Map<String, Value>) {
    match json {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, into);
            }
        }
        Value::Null if path.is_empty() => {}
        other => {
            let path = if path.is_empty() { "value" } else { path };
            into.insert(path.to_owned(), other.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_state_is_told_by_its_fields() {
        let all = |it: Value| Value::Object(fields(&it));
        assert_eq!(
            all(json!({ "Invited": { "email": "a" } })),
            json!({ "state": "Invited", "email": "a" })
        );
        assert_eq!(all(json!("Removed")), json!({ "state": "Removed" }));
        assert_eq!(
            all(json!({ "parts": 1, "at": { "x": [1] } })),
            json!({ "parts": 1, "at.x": [1] })
        );
        assert_eq!(all(json!({ "parts": 1 })), json!({ "parts": 1 }), "one field is no variant");
        assert_eq!(all(json!({ "Counted": 3 })), json!({ "state": "Counted", "value": 3 }));
    }

    #[test]
    fn a_difference_names_what_came_went_and_changed() {
        let of = |it: Value| it.as_object().cloned().unwrap_or_default();
        let before = of(json!({ "state": "Invited", "email": "a", "same": 1 }));
        let after = of(json!({ "state": "Removed", "same": 1, "why": "x" }));
        let found: Vec<_> = difference(&before, &after)
            .into_iter()
            .map(|it| (it.field, it.before, it.after))
            .collect();
        let expected = [
            ("email", json!("a"), json!(null)),
            ("state", json!("Invited"), json!("Removed")),
            ("why", json!(null), json!("x")),
        ];
        assert_eq!(found, expected.map(|(field, before, after)| (field.to_owned(), before, after)));
        assert!(difference(&after, &after).is_empty());
    }
}
