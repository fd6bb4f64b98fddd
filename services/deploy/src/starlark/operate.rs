//! Operators, methods, and the language's own functions.
use super::value::{Arguments, Value};

/// The language's own functions.
pub(super) const FUNCTIONS: [&str; 4] = ["len", "print", "range", "str"];

type Result<T> = std::result::Result<T, String>;

/// Calls one of them.
pub(super) fn function(name: &str, arguments: &Arguments) -> Result<Value> {
    match (name, arguments.positional.as_slice()) {
        ("len", [it]) => match it {
            Value::Text(text) => Ok(Value::Int(int(text.chars().count()))),
            it => Ok(Value::Int(int(each(it)?.len()))),
        },
        ("print", _) => Ok(Value::None),
        ("range", [Value::Int(end)]) => Ok(Value::list((0..*end).map(Value::Int).collect())),
        ("str", [it]) => Ok(Value::text(it.to_string())),
        _ => Err(format!("{name} does not take these arguments")),
    }
}

fn int(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The result of an operator with two sides.
pub(super) fn two(left: &Value, operator: &str, right: &Value) -> Result<Value> {
    use Value::{Bool, Int, List, Text};
    let wrong = || format!("{} {operator} {} means nothing", left.kind(), right.kind());
    Ok(match (operator, left, right) {
        ("==", ..) => Bool(left == right),
        ("!=", ..) => Bool(left != right),
        ("in", ..) => Bool(contains(right, left)?),
        ("not in", ..) => Bool(!contains(right, left)?),
        ("+", Int(one), Int(other)) => Int(one + other),
        ("-", Int(one), Int(other)) => Int(one - other),
        ("*", Int(one), Int(other)) => Int(one * other),
        ("//", Int(one), Int(other)) if *other != 0 => Int(one.div_euclid(*other)),
        ("<", Int(one), Int(other)) => Bool(one < other),
        (">", Int(one), Int(other)) => Bool(one > other),
        ("<=", Int(one), Int(other)) => Bool(one <= other),
        (">=", Int(one), Int(other)) => Bool(one >= other),
        ("+", Text(one), Text(other)) => Value::text(format!("{one}{other}")),
        ("+", List(_), List(_)) => {
            Value::list(left.items().into_iter().chain(right.items()).collect())
        }
        ("%", Text(text), _) => Value::text(formatted(text, right)?),
        _ => return Err(wrong()),
    })
}

fn contains(all: &Value, one: &Value) -> Result<bool> {
    match (all, one) {
        (Value::Text(all), Value::Text(one)) => Ok(all.contains(&**one)),
        _ => Ok(each(all)?.contains(one)),
    }
}

/// A string with each `%s`, `%r` and `%d` replaced.
fn formatted(text: &str, values: &Value) -> Result<String> {
    let mut values = match values {
        Value::List(items) => items.borrow().clone(),
        other => vec![other.clone()],
    }
    .into_iter();
    let mut parts = text.split('%');
    let mut result = parts.next().unwrap_or_default().to_owned();
    while let Some(part) = parts.next() {
        if part.is_empty() {
            // Two in a row are one.
            result.push('%');
            result.push_str(parts.next().unwrap_or_default());
            continue;
        }
        let rest =
            part.strip_prefix(['s', 'r', 'd']).ok_or_else(|| format!("%{part} is no format"))?;
        let value =
            values.next().ok_or_else(|| format!("{text:?} % …: there are too few values"))?;
        result.push_str(&value.to_string());
        result.push_str(rest);
    }
    if values.next().is_some() {
        return Err(format!("{text:?} % …: there are too many values"));
    }
    Ok(result)
}

/// What a loop over it meets.
pub(super) fn each(it: &Value) -> Result<Vec<Value>> {
    match it {
        Value::List(items) => Ok(items.borrow().clone()),
        Value::Dict(items) => Ok(items.borrow().iter().map(|(key, _)| key.clone()).collect()),
        other => Err(format!("{} has no items", other.kind())),
    }
}

/// `of[key]`
pub(super) fn index(of: &Value, key: &Value) -> Result<Value> {
    let found = match (of, key) {
        (Value::List(items), Value::Int(at)) => {
            let items = items.borrow();
            let at = if *at < 0 { at + int(items.len()) } else { *at };
            usize::try_from(at).ok().and_then(|at| items.get(at).cloned())
        }
        (Value::Dict(items), _) => {
            items.borrow().iter().find(|(it, _)| it == key).map(|(_, value)| value.clone())
        }
        _ => return Err(format!("{} has no items by {}", of.kind(), key.kind())),
    };
    found.ok_or_else(|| format!("there is nothing at {key}"))
}

/// `place[key] = value`
pub(super) fn put(place: &Value, key: Value, value: Value) -> Result<()> {
    let Value::Dict(items) = place else {
        return Err(format!("nothing can be put into {}", place.kind()));
    };
    let mut items = items.borrow_mut();
    match items.iter_mut().find(|(it, _)| *it == key) {
        Some((_, old)) => *old = value,
        None => items.push((key, value)),
    }
    Ok(())
}

/// Calls a method.
pub(super) fn method(of: &Value, name: &str, arguments: &Arguments) -> Result<Value> {
    let given = arguments.positional.as_slice();
    let unknown = || format!("{} has no method {name} with these arguments", of.kind());
    if !arguments.named.is_empty() {
        return Err(unknown());
    }
    Ok(match (of, name, given) {
        (Value::Dict(items), "get", [key, rest @ ..]) => {
            let found = items.borrow().iter().find(|(it, _)| it == key).map(|(_, it)| it.clone());
            found.or_else(|| rest.first().cloned()).unwrap_or(Value::None)
        }
        (Value::Dict(items), "keys", []) => {
            Value::list(items.borrow().iter().map(|(key, _)| key.clone()).collect())
        }
        (Value::Dict(items), "values", []) => {
            Value::list(items.borrow().iter().map(|(_, value)| value.clone()).collect())
        }
        (Value::Dict(items), "items", []) => {
            let pair =
                |(key, value): &(Value, Value)| Value::list(vec![key.clone(), value.clone()]);
            Value::list(items.borrow().iter().map(pair).collect())
        }
        (Value::List(items), "append", [item]) => {
            items.borrow_mut().push(item.clone());
            Value::None
        }
        (Value::Text(text), "join", [items]) => {
            let items = each(items)?;
            let parts = items.iter().map(|it| it.as_text().ok_or_else(unknown));
            let parts: Result<Vec<_>> = parts.collect();
            Value::text(parts?.join(text))
        }
        (Value::Text(text), "startswith", [Value::Text(it)]) => {
            Value::Bool(text.starts_with(&**it))
        }
        (Value::Text(text), "endswith", [Value::Text(it)]) => Value::Bool(text.ends_with(&**it)),
        (Value::Text(text), "replace", [Value::Text(one), Value::Text(other)]) => {
            Value::text(text.replace(&**one, other))
        }
        (Value::Text(text), "split", [Value::Text(at)]) => {
            Value::list(text.split(&**at).map(Value::text).collect())
        }
        (Value::Text(text), "strip", []) => Value::text(text.trim()),
        (Value::Text(text), "upper", []) => Value::text(text.to_uppercase()),
        (Value::Text(text), "lower", []) => Value::text(text.to_lowercase()),
        _ => return Err(unknown()),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{World, run};
    use super::*;

    struct Nothing;

    impl World for Nothing {
        fn call(&mut self, name: &str, _: Arguments) -> Result<Value> {
            Err(name.to_owned())
        }

        fn knows(&self, _: &str) -> bool {
            false
        }

        fn constant(&self, _: &str) -> Option<Value> {
            None
        }
    }

    fn check(text: &str, expected: &str) {
        let found = match run(text, &mut Nothing) {
            Ok(names) => names.get("it").map_or("nothing".to_owned(), Value::to_string),
            Err(error) => error,
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn programs_mean_what_they_mean_in_starlark() {
        check("it = 1 + 2 * 3 - -4", "11");
        check("it = 'a %s b %d%%' % ('x', 5)", "a x b 5%");
        check("it = 'a' in 'cat' and 'x' not in ['y'] and not False", "True");
        check("it = 'yes' if [] else 'no'", "no");
        check("it = [x + '!' for x in ['a', 'b', 'c'] if x != 'b']", "[a!, c!]");
        check("d = {'a': 1}\nd['b'] = 2\nit = [k + str(v) for k, v in d.items()]", "[a1, b2]");
        check(
            "def f(a, b=2):\n    if a:\n        return a + b\n    return b\nit = f(1) + f(0, b=5)",
            "8",
        );
        check("it = ''\nfor x in ['a',\n          'b']: # a comment\n    it += x", "ab");
        check("it = '''a\n'b' \\'c\\' '''.strip()", "a\n'b' 'c'");
        check("def f():\n    it = 2\nit = 1\nf()", "1");
        check("it = {'a': [1, 2]}.get('a')[-1]", "2");
        check("it = {}.get('a', 'b').upper()", "B");
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        check("a = 1\nb = c", "line 2: there is no c");
        check("a = 'x' + 1", "line 1: a string + a number means nothing");
        check("a = '%s %s' % 'x'", "line 1: \"%s %s\" % …: there are too few values");
        check("a = ['x' 'y']", "line 1: a comma is missing between two strings");
        check("def f(a):\n    pass\nf(b=1)", "line 3: f needs a");
        check("def f():\n    return f()\nf()", "line 2: f calls itself without end");
        check("if True:\n  a = 1\n b = 2", "line 3: it is as deep as no block around it");
        check("a = 'x", "line 1: the string does not end");
        check("[].appendix(1)", "line 1: a list has no method appendix with these arguments");
        check("return 1", "line 1: return outside of a function");
    }
}
