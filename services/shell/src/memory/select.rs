//! How a query is meant: every row is looked at, ordered, and counted.
use crate::{
    reads::{Comparison, Direction, Filter, Nulls, Order, Place, Query, Test, Value},
    view::ViewDefinition,
};
use serde_json::Value as Json;
use std::{cmp::Ordering, collections::BTreeMap};

/// The rows, and how many the filter holds of if that is asked; see [`RawRows`](crate::port::store::RawRows).
pub(super) fn select<'a>(
    rows: &'a BTreeMap<String, Json>,
    view: &ViewDefinition,
    query: &Query,
) -> (Vec<&'a Json>, Option<i64>) {
    let order = query.total_order(view.key);
    let matching = rows.values().filter(|row| holds(&query.filter, row, view));
    let mut places: Vec<(Place, &Json)> =
        matching.map(|row| (place(row, &order, view), row)).collect();
    let total = query.count.then(|| i64::try_from(places.len()).unwrap_or(i64::MAX));
    let beyond = |it: &Place, mark: &Option<Place>, side: Ordering| {
        mark.as_ref().is_none_or(|mark| compare(it, mark, &order) == side)
    };
    places.retain(|(it, _)| {
        beyond(it, &query.after, Ordering::Greater) && beyond(it, &query.before, Ordering::Less)
    });
    places.sort_by(|a, b| compare(&a.0, &b.0, &order));
    if query.backward {
        places.reverse();
    }
    let limit = query.limit.and_then(|it| usize::try_from(it).ok()).unwrap_or(usize::MAX);
    (places.into_iter().map(|it| it.1).take(limit.saturating_add(1)).collect(), total)
}

fn value(row: &Json, column: &str, view: &ViewDefinition) -> Option<Value> {
    let kind = view.columns.iter().find(|it| it.name == column)?.kind;
    Value::of_json(kind, row.get(column)?)
}

fn place(row: &Json, order: &[Order], view: &ViewDefinition) -> Place {
    Place(order.iter().map(|it| value(row, it.column, view)).collect())
}

fn compare(a: &Place, b: &Place, order: &[Order]) -> Ordering {
    let each = order.iter().zip(a.0.iter().zip(&b.0)).map(|(it, pair)| match pair {
        (None, None) => Ordering::Equal,
        (None, Some(_)) if it.nulls == Nulls::First => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) if it.nulls == Nulls::First => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(a), Some(b)) => match it.direction {
            Direction::Ascending => a.cmp(b),
            Direction::Descending => b.cmp(a),
        },
    });
    each.into_iter().find(|it| it.is_ne()).unwrap_or(Ordering::Equal)
}

fn holds(filter: &Filter, row: &Json, view: &ViewDefinition) -> bool {
    match filter {
        Filter::All(list) => list.iter().all(|it| holds(it, row, view)),
        Filter::Any(list) => list.iter().any(|it| holds(it, row, view)),
        Filter::Not(it) => !holds(it, row, view),
        Filter::Field { column, test } => passes(test, value(row, column, view).as_ref()),
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
