//! What a view can be asked for: only what one of its indexes, or its key, leads to. So no query reads a whole table by
//! surprise once the table has grown.
use super::{
    Comparison, Counts, Direction, Filter, Nulls, Order, Place, Query, RELEVANCE, Test, Unserved,
    Value,
};
use crate::view::ViewDefinition;
use functions::{Column, ColumnKind, Index};

/// Conditions of a filter, and values of its lists.
const SIZE_MAX: usize = 1_000;

pub(super) fn check_counts(counts: &Counts, view: &ViewDefinition) -> Result<(), Unserved> {
    check_filter(&counts.filter, view)?;
    let is_indexed = |name: &str| {
        name == view.key || view.indexes.iter().any(|it| it.columns.iter().any(|it| it.0 == name))
    };
    let is_twice = |name: &&&'static str| counts.by.iter().filter(|it| *it == *name).count() > 1;
    if let Some(name) = counts.by.iter().find(is_twice) {
        return Err(Unserved::Order(format!("{name} is counted by twice: name it once")));
    }
    match counts.by.iter().find(|it| !is_indexed(it)) {
        None => Ok(()),
        Some(name) => {
            let message =
                format!("no index of {} has {name}, so nothing is counted by it", view.table);
            Err(Unserved::Order(message))
        }
    }
}

pub(super) fn check(query: &Query, view: &ViewDefinition) -> Result<(), Unserved> {
    check_filter(&query.filter, view)?;
    let order = query.total_order(view.key);
    for it in order.iter().filter(|it| it.column != RELEVANCE) {
        column(view, it.column).map_err(Unserved::Order)?;
    }
    if !is_ordered(&query.filter, &order, view) {
        let message = format!(
            "no index of {} has the order {}: its orders are {}, each also backward",
            view.table,
            named(&query.order),
            orders(view).join("; ")
        );
        return Err(Unserved::Order(message));
    }
    for Place(values) in query.after.iter().chain(&query.before) {
        let fits = |(order, value): (&Order, &Option<Value>)| {
            if order.column == RELEVANCE {
                return matches!(value, Some(Value::Integer(_)));
            }
            column(view, order.column).is_ok_and(|column| match value {
                Some(value) => value.kind() == column.kind,
                None => column.nullable,
            })
        };
        if values.len() != order.len() || !order.iter().zip(values).all(fits) {
            let message = format!("the cursor is of another order than {}", named(&order));
            return Err(Unserved::Place(message));
        }
    }
    Ok(())
}

/// Whether rows can be held against the filter one by one: its size, and that every value is one of its column.
pub(crate) fn check_conditions(filter: &Filter, view: &ViewDefinition) -> Result<(), Unserved> {
    let size = filter.size();
    if size > SIZE_MAX {
        let message =
            format!("the filter has {size} conditions and values, and may have {SIZE_MAX}");
        return Err(Unserved::Filter(message));
    }
    fits(filter, view).map_err(Unserved::Filter)
}

fn check_filter(filter: &Filter, view: &ViewDefinition) -> Result<(), Unserved> {
    check_conditions(filter, view)?;
    if !is_everything(filter) && !leads(filter, false, view) {
        let message = format!(
            "no index of {} leads to these rows: ask for {} as well",
            view.table,
            leaders(view).join(" or ")
        );
        return Err(Unserved::Filter(message));
    }
    Ok(())
}

fn column<'a>(view: &'a ViewDefinition, name: &str) -> Result<&'a Column, String> {
    view.column(name).ok_or_else(|| format!("{} has no column {name}", view.table))
}

/// Whether every value is one of its column.
fn fits(filter: &Filter, view: &ViewDefinition) -> Result<(), String> {
    match filter {
        Filter::All(list) | Filter::Any(list) => list.iter().try_for_each(|it| fits(it, view)),
        Filter::Not(it) => fits(it, view),
        Filter::Search(_) if view.searched.is_empty() => {
            Err(format!("nothing is searched in {}", view.table))
        }
        Filter::Search(words) if words.is_empty() => {
            Err("there is no word to search for, of letters and digits".to_owned())
        }
        Filter::Search(_) => Ok(()),
        Filter::Field { column: name, test } => {
            let kind = column(view, name)?.kind;
            let fits = match test {
                Test::Is(_, value) => value.kind() == kind,
                Test::In(values) | Test::NotIn(values) => values.iter().all(|it| it.kind() == kind),
                Test::StartsWith(_) | Test::Contains(_) => kind == ColumnKind::Text,
                Test::IsNull(_) => true,
            };
            if fits { Ok(()) } else { Err(format!("{name} is compared with what it cannot be")) }
        }
    }
}

/// Whether it asks for nothing: rows come one after another then, in an order that an index has.
fn is_everything(filter: &Filter) -> bool {
    match filter {
        Filter::All(list) => list.iter().all(is_everything),
        Filter::Any(list) => list.iter().any(is_everything),
        Filter::Not(_) | Filter::Search(_) | Filter::Field { .. } => false,
    }
}

/// Whether an index leads to the rows of which the filter, or its opposite, holds.
fn leads(filter: &Filter, opposite: bool, view: &ViewDefinition) -> bool {
    match filter {
        Filter::Not(it) => leads(it, !opposite, view),
        Filter::All(list) if !opposite => list.iter().any(|it| leads(it, opposite, view)),
        Filter::Any(list) if opposite => list.iter().any(|it| leads(it, opposite, view)),
        Filter::All(list) | Filter::Any(list) => list.iter().all(|it| leads(it, opposite, view)),
        Filter::Search(_) => !opposite,
        Filter::Field { column, test } => {
            let begins = *column == view.key
                || view
                    .indexes
                    .iter()
                    .any(|it| it.columns.first().is_some_and(|it| it.0 == *column));
            match test {
                Test::Is(..) | Test::In(_) | Test::NotIn(_) | Test::IsNull(_) => begins,
                Test::StartsWith(_) => begins && !opposite,
                Test::Contains(_) => false,
            }
        }
    }
}

/// Whether the key or an index has the rows in this order.
fn is_ordered(filter: &Filter, order: &[Order], view: &ViewDefinition) -> bool {
    if order.first().is_some_and(|it| it.column == RELEVANCE) {
        // All that is found is looked at: the best of it is wanted.
        return true;
    }
    // What all rows have in common orders none of them.
    let bound = |column: &str| is_bound(filter, column);
    let order: Vec<&Order> = order.iter().filter(|it| !bound(it.column)).collect();
    let key = [(view.key, Direction::Ascending)];
    let keys = std::iter::once(key.to_vec());
    let all = keys.chain(view.indexes.iter().map(|it| with_key(it, view)));
    all.into_iter().any(|columns| {
        let columns: Vec<_> = columns.into_iter().filter(|it| !bound(it.0)).collect();
        is_prefix(&order, &columns, view)
    })
}

/// Whether rows in the order of the columns, or in the opposite one, are in this order.
fn is_prefix(
    order: &[&Order],
    columns: &[(&'static str, Direction)],
    view: &ViewDefinition,
) -> bool {
    if order.len() > columns.len() {
        return false;
    }
    let pairs = || order.iter().zip(columns);
    let is_forward = |(it, column): (&&Order, &(_, Direction))| it.direction == column.1;
    let one_way = pairs().all(is_forward) || !pairs().any(is_forward);
    // An index has its nulls at one end for all its columns: where its greatest values are, or where the least ones are.
    let nulls = |it: &&&Order| column(view, it.column).is_ok_and(|column| column.nullable);
    let is_greatest =
        |it: &&Order| (it.direction == Direction::Ascending) == (it.nulls == Nulls::Last);
    let nulls: Vec<bool> = order.iter().filter(nulls).map(is_greatest).collect();
    let one_end = nulls.iter().all(|it| *it) || !nulls.iter().any(|it| *it);
    one_way && one_end && pairs().all(|(it, column)| it.column == column.0)
}

/// Whether the filter leaves the column one value.
fn is_bound(filter: &Filter, column: &str) -> bool {
    match filter {
        Filter::All(list) => list.iter().any(|it| is_bound(it, column)),
        Filter::Field { column: it, test: Test::Is(Comparison::Equal, _) } => *it == column,
        Filter::Any(_) | Filter::Not(_) | Filter::Search(_) | Filter::Field { .. } => false,
    }
}

/// The columns of an index as it is made: the key comes last, in the direction of the column before it.
pub(crate) fn with_key(index: &Index, view: &ViewDefinition) -> Vec<(&'static str, Direction)> {
    let mut all = index.columns.clone();
    if !all.iter().any(|it| it.0 == view.key) {
        let direction = all.last().map_or(Direction::Ascending, |it| it.1);
        all.push((view.key, direction));
    }
    all
}

fn leaders(view: &ViewDefinition) -> Vec<&'static str> {
    let mut all = vec![view.key];
    for it in view.indexes.iter().filter_map(|it| it.columns.first()) {
        if !all.contains(&it.0) {
            all.push(it.0);
        }
    }
    all
}

fn orders(view: &ViewDefinition) -> Vec<String> {
    let word = |it: &(&str, Direction)| match it.1 {
        Direction::Ascending => it.0.to_owned(),
        Direction::Descending => format!("{} desc", it.0),
    };
    let index = |it: &Index| it.columns.iter().map(word).collect::<Vec<_>>().join(", ");
    std::iter::once(view.key.to_owned()).chain(view.indexes.iter().map(index)).collect()
}

fn named(order: &[Order]) -> String {
    order.iter().map(Order::to_string).collect::<Vec<_>>().join(", ")
}
