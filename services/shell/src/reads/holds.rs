//! Whether a filter holds of a row: what every store's filtering means, and what live updates go by.
use super::{Comparison, Filter, Test, Value, words_of};
use crate::view::ViewDefinition;
use serde_json::Value as Json;
use std::cmp::Ordering;

/// The value that a row has in a column; `None` is null.
pub(crate) fn value_of(row: &Json, column: &str, view: &ViewDefinition) -> Option<Value> {
    let kind = view.column(column)?.kind;
    Value::of_json(kind, row.get(column)?)
}

/// Whether the filter holds of the row.
#[must_use]
pub(crate) fn holds(filter: &Filter, row: &Json, view: &ViewDefinition) -> bool {
    match filter {
        Filter::All(list) => list.iter().all(|it| holds(it, row, view)),
        Filter::Any(list) => list.iter().any(|it| holds(it, row, view)),
        Filter::Not(it) => !holds(it, row, view),
        Filter::Search(searched) => {
            let words = words_of(row, &view.searched);
            searched.iter().all(|begin| words.iter().any(|it| it.starts_with(begin)))
        }
        Filter::Field { column, test } => passes(test, value_of(row, column, view).as_ref()),
    }
}

fn passes(test: &Test, value: Option<&Value>) -> bool {
    let is_text =
        |holds: &dyn Fn(&str) -> bool| matches!(value, Some(Value::Text(it)) if holds(it));
    match test {
        Test::Is(comparison, with) => match (comparison, value.map(|it| it.cmp(with))) {
            (Comparison::NotEqual, it) => it != Some(Ordering::Equal),
            (_, None) => false,
            (Comparison::Equal, Some(it)) => it.is_eq(),
            (Comparison::Less, Some(it)) => it.is_lt(),
            (Comparison::LessOrEqual, Some(it)) => it.is_le(),
            (Comparison::Greater, Some(it)) => it.is_gt(),
            (Comparison::GreaterOrEqual, Some(it)) => it.is_ge(),
        },
        Test::In(values) => value.is_some_and(|it| values.contains(it)),
        Test::NotIn(values) => !value.is_some_and(|it| values.contains(it)),
        Test::StartsWith(begin) => is_text(&|it| it.starts_with(begin)),
        Test::Contains(part) => is_text(&|it| it.contains(part)),
        Test::IsNull(null) => value.is_none() == *null,
    }
}
