//! Patches that name places (RFC 6902): `add`, `replace`, `remove`.
use serde_json::{Value, map::Entry};

/// Carries out every operation, or says which one cannot be.
pub(super) fn apply(object: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().into_iter().flatten() {
        let field = |name: &str| operation.get(name).and_then(Value::as_str).unwrap_or_default();
        let (op, place) = (field("op"), field("path"));
        let value = operation.get("value").cloned();
        let done = match (op, value) {
            ("add", Some(value)) => add(object, place, value),
            ("replace", Some(value)) => object.pointer_mut(place).map(|it| *it = value),
            ("remove", None) => remove(object, place),
            _ => return Err(format!("the operation {operation} is not known")),
        };
        done.ok_or_else(|| {
            let name = super::merge::name(object);
            format!("{op} {place}: there is no such place in {name}")
        })?;
    }
    Ok(())
}

/// The parent of a place, and its last step.
fn parent<'a>(object: &'a mut Value, place: &str) -> Option<(&'a mut Value, String)> {
    let (parent, last) = place.rsplit_once('/')?;
    Some((object.pointer_mut(parent)?, last.replace("~1", "/").replace("~0", "~")))
}

fn add(object: &mut Value, place: &str, value: Value) -> Option<()> {
    match parent(object, place)? {
        (Value::Object(map), key) => drop(map.insert(key, value)),
        (Value::Array(list), end) if end == "-" => list.push(value),
        (Value::Array(list), index) => {
            let index = index.parse().ok().filter(|it| *it <= list.len())?;
            list.insert(index, value);
        }
        _ => return None,
    }
    Some(())
}

fn remove(object: &mut Value, place: &str) -> Option<()> {
    match parent(object, place)? {
        (Value::Object(map), key) => match map.entry(key) {
            Entry::Occupied(it) => drop(it.remove()),
            Entry::Vacant(_) => return None,
        },
        (Value::Array(list), index) => {
            let index = index.parse().ok().filter(|it| *it < list.len())?;
            list.remove(index);
        }
        _ => return None,
    }
    Some(())
}
