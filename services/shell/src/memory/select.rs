//! How a query is meant: every row is looked at, ordered, and counted.
use crate::{
    reads::{
        Comparison, Counts, Direction, Filter, Nulls, Order, Place, Query, RELEVANCE, Test, Value,
        relevance, words_of,
    },
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
        matching.map(|row| (place(row, &order, view, &query.filter), row)).collect();
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

/// The values and the number of rows of each group, in the order of the values.
pub(super) fn count(
    rows: &BTreeMap<String, Json>,
    view: &ViewDefinition,
    counts: &Counts,
) -> Vec<Vec<Json>> {
    let order: Vec<Order> = counts.by.iter().map(|it| Order::ascending(it)).collect();
    let matching = rows.values().filter(|row| holds(&counts.filter, row, view));
    let mut groups: Vec<(Place, Vec<Json>, i64)> = Vec::new();
    for row in matching {
        let place = place(row, &order, view, &counts.filter);
        if let Some(group) = groups.iter_mut().find(|it| it.0 == place) {
            group.2 += 1;
            continue;
        }
        let json = |name: &&str| row.get(name).cloned().unwrap_or_default();
        groups.push((place, counts.by.iter().map(json).collect(), 1));
    }
    groups.sort_by(|a, b| compare(&a.0, &b.0, &order));
    let line = |(_, mut values, rows): (_, Vec<Json>, i64)| {
        values.push(rows.into());
        values
    };
    groups.into_iter().map(line).take(Counts::GROUPS_MAX + 1).collect()
}

fn value(row: &Json, column: &str, view: &ViewDefinition) -> Option<Value> {
    let kind = view.column(column)?.kind;
    Value::of_json(kind, row.get(column)?)
}

fn place(row: &Json, order: &[Order], view: &ViewDefinition, filter: &Filter) -> Place {
    let value = |it: &Order| match filter.searched() {
        Some(searched) if it.column == RELEVANCE => {
            Some(Value::Integer(relevance(row, &view.searched, searched)))
        }
        _ => value(row, it.column, view),
    };
    Place(order.iter().map(value).collect())
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
        Filter::Search(searched) => {
            let words = words_of(row, &view.searched);
            searched.iter().all(|begin| words.iter().any(|it| it.starts_with(begin)))
        }
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
