//! Rows as files: which views, in which form.
use crate::{errors::Failure, filter::Where, order::OrderBy, registering::lower_camel};
use async_graphql::{InputType as _, Pos, Value as Given};
use customers::views::{Customer, InvitationsPerDay};
use functions::{Column, ColumnKind};
use futures::{
    FutureExt as _, StreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use serde_json::{Map, Value};
use shell::{
    client::{Client, Exported, Query, ReadError},
    position::Position,
};
use std::{collections::BTreeMap, time::Duration};

/// The views that are exported.
pub(crate) const VIEWS: &[View] = &[View::of::<Customer>(), View::of::<InvitationsPerDay>()];

/// A view without its type.
pub(crate) struct View {
    /// The name of its table.
    pub(crate) table: &'static str,
    columns: fn() -> Vec<Column>,
    query: fn(&Parameters) -> Result<Query, Failure>,
    read: for<'a> fn(&'a Client, Query, &'a Position, Duration) -> Read<'a>,
}

type Read<'a> = BoxFuture<'a, Result<Exported, ReadError>>;

/// The parameters of the address.
pub(crate) type Parameters = BTreeMap<String, String>;

/// A piece of a file after the other.
pub(crate) type Texts = BoxStream<'static, Result<String, ReadError>>;

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As RFC 4180 has it, with a line of names; no text begins like a formula.
    Csv,
    /// A JSON object a line.
    Ndjson,
}

impl Form {
    /// Its media type.
    pub(crate) fn media(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

impl View {
    const fn of<V: functions::View>() -> Self {
        Self { table: V::TABLE, columns: V::columns, query: query::<V>, read: read::<V> }
    }

    /// The file, and as of when it is.
    ///
    /// # Errors
    /// Which parameter is wrong, or why the view cannot be read.
    pub(crate) async fn export(
        &self,
        client: &Client,
        parameters: &Parameters,
        form: Form,
        seen: &Position,
        patience: Duration,
    ) -> Result<(Position, Texts), Failure> {
        let query = (self.query)(parameters)?;
        let Exported { position, rows } = (self.read)(client, query, seen, patience).await?;
        let columns = (self.columns)();
        let head =
            (form == Form::Csv).then(|| Ok(line(columns.iter().map(|it| lower_camel(it.name)))));
        let text = move |rows: Result<Vec<Value>, ReadError>| {
            let write = |row: &Value| match form {
                Form::Csv => line(columns.iter().map(|it| cell(row, it))),
                Form::Ndjson => object(row, &columns),
            };
            rows.map(|it| it.iter().map(write).collect::<String>())
        };
        Ok((position, stream::iter(head).chain(rows.map(text)).boxed()))
    }
}

fn query<V: functions::View>(parameters: &Parameters) -> Result<Query, Failure> {
    let mut query = Query::default();
    for (name, text) in parameters {
        let wrong = |why: String| Failure::invalid([name.as_str()], why);
        let given = || {
            let json =
                serde_json::from_str(text).map_err(|e| wrong(format!("it is not JSON: {e}")))?;
            Given::from_json(json).map_err(|e| wrong(e.to_string()))
        };
        match name.as_str() {
            "where" => {
                let filter = Where::<V>::parse(Some(given()?));
                query.filter = filter
                    .map_err(|e| wrong(e.into_server_error(Pos::default()).message))?
                    .filter?;
            }
            "orderBy" => {
                let orders = Vec::<OrderBy<V>>::parse(Some(given()?));
                let orders =
                    orders.map_err(|e| wrong(e.into_server_error(Pos::default()).message))?;
                query.order = orders.into_iter().map(|it| it.order).collect();
            }
            _ => return Err(wrong("there are the parameters where and orderBy".to_owned())),
        }
    }
    Ok(query)
}

fn read<'a, V: functions::View>(
    client: &'a Client,
    query: Query,
    seen: &'a Position,
    patience: Duration,
) -> Read<'a> {
    async move { client.export::<V>(query, seen, patience).await }.boxed()
}

/// A line of cells, as RFC 4180 has it.
fn line(cells: impl Iterator<Item = String>) -> String {
    let mut line = String::new();
    for (n, cell) in cells.enumerate() {
        if n > 0 {
            line.push(',');
        }
        if cell.contains([',', '"', '\r', '\n']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&cell);
        }
    }
    line + "\r\n"
}

fn cell(row: &Value, column: &Column) -> String {
    match value(row, column) {
        // A program for tables takes text that begins like this for a formula, and runs it.
        Value::String(text)
            if column.kind == ColumnKind::Text
                && text.starts_with(['=', '+', '-', '@', '\t', '\r']) =>
        {
            format!("'{text}")
        }
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn object(row: &Value, columns: &[Column]) -> String {
    let member = |it: &Column| (lower_camel(it.name), value(row, it));
    let members: Map<String, Value> = columns.iter().map(member).collect();
    Value::Object(members).to_string() + "\n"
}

/// A value in the form that all answers have: stores write instants in forms of their own.
fn value(row: &Value, column: &Column) -> Value {
    let json = row.get(column.name).cloned().unwrap_or_default();
    match shell::reads::Value::of_json(column.kind, &json) {
        Some(at @ shell::reads::Value::Instant(_)) => Value::String(at.to_string()),
        _ => json,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, Utc};
    use serde_json::json;

    fn written(text: &str) -> String {
        let column = Column::of::<String>("it");
        line([cell(&json!({ "it": text }), &column), "end".to_owned()].into_iter())
    }

    #[test]
    fn cells_are_quoted_where_they_have_to_be() {
        assert_eq!(written("plain text"), "plain text,end\r\n");
        assert_eq!(written("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\",end\r\n");
        assert_eq!(written(""), ",end\r\n");
    }

    #[test]
    fn no_text_is_a_formula() {
        for begin in ["=", "+", "-", "@", "\t"] {
            assert_eq!(written(&format!("{begin}1")), format!("'{begin}1,end\r\n"));
        }
        assert_eq!(written("\r=1"), "\"'\r=1\",end\r\n");
        let number = Column::of::<i64>("it");
        assert_eq!(cell(&json!({ "it": -1 }), &number), "-1");
        assert_eq!(cell(&json!({ "it": null }), &number), "");
    }

    #[test]
    fn an_instant_has_one_form() {
        let column = Column::of::<DateTime<Utc>>("at");
        for form in ["2026-11-21T10:54:01.9+00:00", "2026-11-21T10:54:01.900000Z"] {
            assert_eq!(cell(&json!({ "at": form }), &column), "2026-11-21T10:54:01.900000Z");
        }
    }

    #[test]
    fn a_line_of_json_is_an_object() {
        let columns = [Column::of::<String>("a_b"), Column::of::<Option<i64>>("c")];
        let line = object(&json!({ "a_b": "x\ny", "c": null, "hidden": 1 }), &columns);
        assert_eq!(line, "{\"aB\":\"x\\ny\",\"c\":null}\n");
    }
}
