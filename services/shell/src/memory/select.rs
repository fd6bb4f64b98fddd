//! How a query is meant: every row is looked at, ordered, and counted.
use crate::{
    reads::{
        Counts, Direction, Filter, Nulls, Order, Place, Query, RELEVANCE, Value, holds, relevance,
        value_of,
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

fn place(row: &Json, order: &[Order], view: &ViewDefinition, filter: &Filter) -> Place {
    let value = |it: &Order| match filter.searched() {
        Some(searched) if it.column == RELEVANCE => {
            Some(Value::Integer(relevance(row, &view.searched, searched)))
        }
        _ => value_of(row, it.column, view),
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
