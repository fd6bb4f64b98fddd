//! Cursors: opaque texts that name a view, an order, and a place in it. Rows that come and go do not move them.
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use functions::{ColumnKind, View};
use shell::reads::{Order, Place, Query, RELEVANCE, Value, relevance};

const FORMAT: &str = "2";
/// Longer than any that was given out.
const LENGTH_MAX: usize = 16_384;

/// Why a text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is none of this view, or was changed.
    Form,
    /// It is one of another order.
    Order,
}

/// Format, view, order, and the values of its columns.
type Parts = (String, String, Vec<String>, Vec<Option<String>>);

/// The cursor of a row in the order of a query.
pub(super) fn write<V: View>(row: &V, query: &Query, order: &[Order]) -> String {
    let (row, columns) = (serde_json::to_value(row).unwrap_or_default(), V::columns());
    let value = |it: &Order| {
        if it.column == RELEVANCE {
            let searched = query.filter.searched()?;
            return Some(relevance(&row, &V::searched(), searched).to_string());
        }
        let kind = columns.iter().find(|column| column.name == it.column)?.kind;
        Some(Value::of_json(kind, row.get(it.column)?)?.to_string())
    };
    encode::<V>(order, order.iter().map(value).collect())
}

fn encode<V: View>(order: &[Order], values: Vec<Option<String>>) -> String {
    let order = order.iter().map(Order::to_string).collect();
    let parts: Parts = (FORMAT.to_owned(), V::TABLE.to_owned(), order, values);
    URL_SAFE_NO_PAD.encode(serde_json::to_string(&parts).unwrap_or_default())
}

/// The place that a cursor names.
pub(super) fn read<V: View>(order: &[Order], text: &str) -> Result<Place, Wrong> {
    if text.len() > LENGTH_MAX {
        return Err(Wrong::Form);
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Wrong::Form)?;
    let parts: Parts = serde_json::from_slice(&bytes).map_err(|_| Wrong::Form)?;
    let (format, table, of, values) = parts;
    if format != FORMAT || table != V::TABLE {
        return Err(Wrong::Form);
    }
    if of != order.iter().map(Order::to_string).collect::<Vec<_>>() {
        return Err(Wrong::Order);
    }
    let columns = V::columns();
    let value = |it: &Order, text: &Option<String>| -> Result<Option<Value>, Wrong> {
        if it.column == RELEVANCE {
            let rank = text.as_ref().and_then(|it| Value::of_text(ColumnKind::Integer, it));
            return rank.map(Some).ok_or(Wrong::Form);
        }
        let column = columns.iter().find(|column| column.name == it.column).ok_or(Wrong::Form)?;
        match text {
            Some(text) => Value::of_text(column.kind, text).map(Some).ok_or(Wrong::Form),
            None if column.nullable => Ok(None),
            None => Err(Wrong::Form),
        }
    };
    if values.len() != order.len() {
        return Err(Wrong::Form);
    }
    let place = order.iter().zip(&values).map(|(it, text)| value(it, text));
    let place = place.collect::<Result<Vec<_>, _>>()?;
    // In the one form that answers give: nothing is to be found out by variations.
    let texts = place.iter().map(|it| it.as_ref().map(Value::to_string)).collect();
    if encode::<V>(order, texts) == text { Ok(Place(place)) } else { Err(Wrong::Form) }
}
