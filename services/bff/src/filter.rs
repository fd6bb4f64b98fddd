//! `where`: the filter of a view's rows, made from the columns of the view.
use crate::{
    counts::scalar,
    errors::Failure,
    registering::{input_object, input_value, lower_camel, upper_camel},
};
use async_graphql::{
    InputType, InputValueResult, Name, Value as Given,
    registry::{MetaInputValue, MetaTypeId, Registry},
};
use functions::{Column, ColumnKind, View};
use shell::reads::{Comparison, Filter, Test, Value, words};
use std::{borrow::Cow, marker::PhantomData};

/// Which rows of `V`.
pub(crate) struct Where<V> {
    /// In the words of the shell.
    pub(crate) filter: Result<Filter, Failure>,
    view: PhantomData<fn() -> V>,
}

impl<V: View> InputType for Where<V> {
    type RawValueType = Self;

    fn type_name() -> Cow<'static, str> {
        format!("{}Filter", upper_camel(V::TABLE)).into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        registry.create_input_type::<Self, _>(MetaTypeId::InputObject, |registry| {
            let name = Self::type_name();
            let mut fields: Vec<MetaInputValue> = Vec::new();
            for column in V::columns() {
                let about = format!("What `{}` has to be.", lower_camel(column.name));
                let ty = tests_type(&column, registry);
                fields.push(input_value(lower_camel(column.name), &about, ty));
            }
            if !V::searched().is_empty() {
                let about = "Words or their beginnings, each of which a row has to have; capital or small letters are \
                    the same. Without another order, rows that have whole words come first.";
                fields.push(input_value("search".to_owned(), about, "String".to_owned()));
            }
            for (word, about, ty) in [
                (
                    "and",
                    "Each of these has to hold; nothing is asked if there are none.",
                    format!("[{name}!]"),
                ),
                (
                    "or",
                    "One of these has to hold; there are no rows if there are none.",
                    format!("[{name}!]"),
                ),
                ("not", "This must not hold.", name.to_string()),
            ] {
                fields.push(input_value(word.to_owned(), about, ty));
            }
            let about = "What rows have to be like: all that is given has to hold.";
            input_object(&name, about, fields)
        })
    }

    fn parse(value: Option<Given>) -> InputValueResult<Self> {
        // What is wrong is said later: here, nobody knows the path.
        let filter = filter::<V>(value.unwrap_or_default(), &["where"]);
        Ok(Self { filter, view: PhantomData })
    }

    fn to_value(&self) -> Given {
        // Only default values are ever written, and this has none.
        Given::Null
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }
}

fn filter<V: View>(value: Given, path: &[&str]) -> Result<Filter, Failure> {
    let Given::Object(fields) = value else {
        return Err(Failure::invalid(path.iter().copied(), "it is no filter"));
    };
    let columns = V::columns();
    let mut all = Vec::new();
    for (name, value) in fields {
        if value == Given::Null {
            continue;
        }
        let path = &[path, &[name.as_str()]].concat();
        let wrong = |why: &str| Failure::invalid(path.iter().copied(), why);
        match name.as_str() {
            "search" if !V::searched().is_empty() => match value {
                Given::String(text) => all.push(Filter::Search(words(&text))),
                _ => return Err(wrong("it is no text")),
            },
            "and" => all.push(Filter::All(filters::<V>(value, path)?)),
            "or" => all.push(Filter::Any(filters::<V>(value, path)?)),
            "not" => all.push(Filter::Not(Box::new(filter::<V>(value, path)?))),
            name => {
                let column = columns.iter().find(|it| lower_camel(it.name) == name);
                let column = column.ok_or_else(|| wrong("there is no such field"))?;
                let Given::Object(tests) = value else { return Err(wrong("it has no tests")) };
                for (word, value) in tests {
                    let test = test(column, &word, value).map_err(|why| {
                        Failure::invalid([path, &[word.as_str()][..]].concat(), why)
                    })?;
                    all.push(Filter::field(column.name, test));
                }
            }
        }
    }
    Ok(Filter::All(all))
}

fn filters<V: View>(value: Given, path: &[&str]) -> Result<Vec<Filter>, Failure> {
    match value {
        Given::List(list) => list.into_iter().map(|it| filter::<V>(it, path)).collect(),
        // A single one stands for a list of it, as the specification of GraphQL has it.
        one => Ok(vec![filter::<V>(one, path)?]),
    }
}

fn test(column: &Column, word: &Name, value: Given) -> Result<Test, String> {
    let read = |value: &Given| self::value(column, value);
    let list = |value: Given| match value {
        Given::List(list) => list.iter().map(read).collect::<Result<Vec<_>, _>>(),
        one => Ok(vec![read(&one)?]),
    };
    let is = |comparison| Ok(Test::Is(comparison, read(&value)?));
    let text = |value: &Given| match value {
        Given::String(text) if !text.contains('\0') => Ok(text.clone()),
        _ => Err("it is no text without U+0000".to_owned()),
    };
    match word.as_str() {
        "eq" => is(Comparison::Equal),
        "ne" => is(Comparison::NotEqual),
        "lt" => is(Comparison::Less),
        "lte" => is(Comparison::LessOrEqual),
        "gt" => is(Comparison::Greater),
        "gte" => is(Comparison::GreaterOrEqual),
        "in" => Ok(Test::In(list(value)?)),
        "notIn" => Ok(Test::NotIn(list(value)?)),
        "startsWith" => Ok(Test::StartsWith(text(&value)?)),
        "contains" => Ok(Test::Contains(text(&value)?)),
        "isNull" => match value {
            Given::Boolean(it) => Ok(Test::IsNull(it)),
            _ => Err("it is neither true nor false".to_owned()),
        },
        _ => Err("there is no such test".to_owned()),
    }
}

fn value(column: &Column, value: &Given) -> Result<Value, String> {
    let found = match value {
        Given::Null => return Err("it is null: ask isNull".to_owned()),
        Given::String(text) => Value::of_text(column.kind, text),
        Given::Enum(name) => Value::of_text(column.kind, name),
        Given::Boolean(it) => Some(Value::Boolean(*it)),
        Given::Number(it) => it.as_i64().map(Value::Integer),
        Given::Binary(_) | Given::List(_) | Given::Object(_) => None,
    };
    let is_known = |it: &Value| match (column.texts, it) {
        (Some(texts), Value::Text(text)) => texts.all.contains(&text.as_str()),
        _ => true,
    };
    let fits = found.filter(|it| it.kind() == column.kind && is_known(it));
    fits.ok_or_else(|| format!("{value} is no such value"))
}

/// The input type of the tests of a column; it is made if it is not there yet.
fn tests_type(column: &Column, registry: &mut Registry) -> String {
    let scalar = scalar(column, registry);
    let name = format!("{scalar}Filter");
    if registry.types.contains_key(&name) {
        return name;
    }
    let (has_list, has_order, has_text) = match (column.texts.is_some(), column.kind) {
        (true, _) | (_, ColumnKind::Uuid) => (true, false, false),
        (_, ColumnKind::Boolean) => (false, false, false),
        (_, ColumnKind::Integer | ColumnKind::Instant | ColumnKind::Date) => (true, true, false),
        (_, ColumnKind::Text) => (true, true, true),
    };
    let (one, list) = (scalar.clone(), format!("[{scalar}!]"));
    let tests: [(bool, &str, &str, &str); 11] = [
        (true, "eq", "This value.", &one),
        (true, "ne", "Any other value, or none.", &one),
        (has_list, "in", "One of these values.", &list),
        (has_list, "notIn", "None of these values, or no value at all.", &list),
        (has_order, "lt", "Less than this.", &one),
        (has_order, "lte", "Less than this, or equal.", &one),
        (has_order, "gt", "Greater than this.", &one),
        (has_order, "gte", "Greater than this, or equal.", &one),
        (has_text, "startsWith", "Begins with this, to the letter.", "String"),
        (has_text, "contains", "Has this in it, to the letter.", "String"),
        (true, "isNull", "Whether there is no value.", "Boolean"),
    ];
    let fields = tests
        .into_iter()
        .filter(|it| it.0)
        .map(|(_, word, about, ty)| input_value(word.to_owned(), about, ty.to_owned()));
    let about = format!("What a value of type {scalar} has to be: all that is given has to hold.");
    let object = input_object(&name, &about, fields.collect());
    registry.types.insert(name.clone(), object);
    name
}
