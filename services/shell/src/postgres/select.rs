//! From a query to SQL. Every value is a bind parameter; names come from the view's definition.
use super::table::{WORDS, schema, type_of};
use crate::{
    port::store::Generation,
    reads::{
        Comparison, Counts, Direction, Filter, Nulls, Order, Place, Query, RELEVANCE, Test, Value,
    },
    view::ViewDefinition,
};
use functions::Column;

/// A statement and its parameters; those of [`read`] and [`count`] come after the three that name the generation.
pub(super) struct Statement {
    pub(super) sql: String,
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter, in text form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    One(String),
    Many(Vec<String>),
}

/// How far the view has come. Parameters 1–3 are the generation.
pub(super) const CHECKPOINTS: &str =
    "(select coalesce(json_agg(json_build_array(c.topic, c.part, c.incarnation, c.epoch, c.pseq, c.next_offset, c.caught_up)), '[]')::text
        from read.checkpoint c where (c.view, c.hash, c.generation) = ($1, $2, $3))";

/// The generation that is read, of all there are.
pub(super) const LIVE: &str =
    "(select l.generation from read.live l where (l.view, l.hash) = ($1, $2))";

/// Rows, checkpoints and the generation that is read: one statement, so that they are of one instant (R4).
/// Parameters 1–3 are the generation.
pub(super) fn read(view: &ViewDefinition, of: &Generation, query: &Query) -> Statement {
    let mut it = Builder { view, parameters: Vec::new(), number: 4, rank: String::new() };
    let mut order = query.total_order(view.key);
    let matching = it.condition(&query.filter, false);
    it.rank(&query.filter, &order);
    let mut conditions = vec![matching.clone()];
    for (place, after) in [(&query.after, true), (&query.before, false)] {
        if let Some(place) = place {
            conditions.push(it.beyond(place, &order, after));
        }
    }
    if query.backward {
        order = order.into_iter().map(Order::reversed).collect();
    }
    let (schema, table) = (schema(of), view.table);
    let total = if query.count {
        format!("(select count(*) from {schema}.{table} t where {matching})")
    } else {
        "null::bigint".to_owned()
    };
    let limit = query.limit.map_or_else(String::new, |it| format!("limit {}", u64::from(it) + 1));
    let sql = format!(
        "select
    (select coalesce(json_agg(r), '[]')::text
        from (select {columns} from {schema}.{table} t where {conditions} order by {order} {limit}) r) as rows,
    {total} as total,
    {CHECKPOINTS} as checkpoints,
    {LIVE} as live",
        columns = columns(view),
        conditions = conditions.join(" and "),
        order = it.ordered(&order),
    );
    Statement { sql, parameters: it.parameters }
}

/// How many rows there are in each group, in the same form as [`read`].
pub(super) fn count(view: &ViewDefinition, of: &Generation, counts: &Counts) -> Statement {
    let mut it = Builder { view, parameters: Vec::new(), number: 4, rank: String::new() };
    let condition = it.condition(&counts.filter, false);
    let (schema, table) = (schema(of), view.table);
    let columns: Vec<String> = counts.by.iter().map(|it| format!("t.\"{it}\"")).collect();
    let named: Vec<String> = counts.by.iter().map(|it| format!("g.\"{it}\", ")).collect();
    // Without columns, there is one group, but no row of it where there are no rows.
    let by = if columns.is_empty() { "()".to_owned() } else { columns.join(", ") };
    let (columns, order) = if columns.is_empty() {
        (String::new(), "1".to_owned())
    } else {
        (format!("{}, ", columns.join(", ")), columns.join(", "))
    };
    let sql = format!(
        "select
    (select coalesce(json_agg(json_build_array({named} g.rows)), '[]')::text
        from (select {columns} count(*) as rows from {schema}.{table} t where {condition} group by {by}
            having count(*) > 0 order by {order} limit {limit}) g) as rows,
    null::bigint as total,
    {CHECKPOINTS} as checkpoints,
    {LIVE} as live",
        named = named.concat(),
        limit = Counts::GROUPS_MAX + 1,
    );
    Statement { sql, parameters: it.parameters }
}

/// Opens the cursor `rows`: all rows that a query asks for, each as JSON.
pub(super) fn export(view: &ViewDefinition, of: &Generation, query: &Query) -> Statement {
    let mut it = Builder { view, parameters: Vec::new(), number: 1, rank: String::new() };
    let condition = it.condition(&query.filter, false);
    let order = query.total_order(view.key);
    it.rank(&query.filter, &order);
    let sql = format!(
        "declare rows no scroll cursor for select to_json(r)::text
    from (select {columns} from {schema}.{table} t where {condition} order by {order}) r",
        columns = columns(view),
        schema = schema(of),
        table = view.table,
        order = it.ordered(&order),
    );
    Statement { sql, parameters: it.parameters }
}

/// All that a row is made of; not what only the store needs.
pub(super) fn columns(view: &ViewDefinition) -> String {
    let column = |it: &Column| format!("t.\"{}\"", it.name);
    view.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

struct Builder<'a> {
    view: &'a ViewDefinition,
    parameters: Vec<Parameter>,
    /// Of the first parameter.
    number: usize,
    /// How well a row was found.
    rank: String,
}

impl Builder<'_> {
    fn parameter(&mut self, it: Parameter) -> usize {
        self.parameters.push(it);
        self.parameters.len() - 1 + self.number
    }

    fn one(&mut self, column: &str, value: &Value) -> String {
        let number = self.parameter(Parameter::One(value.to_string()));
        format!("${number}::text::{}", self.cast(column))
    }

    fn many(&mut self, column: &str, values: &[Value]) -> String {
        let texts = values.iter().map(Value::to_string).collect();
        let number = self.parameter(Parameter::Many(texts));
        format!("${number}::text[]::{}[]", self.cast(column))
    }

    fn text(&mut self, text: &str) -> String {
        format!("${}::text", self.parameter(Parameter::One(text.to_owned())))
    }

    /// The order as an index has it, or its opposite.
    fn ordered(&self, order: &[Order]) -> String {
        let column = |it: &Order| {
            let direction = match it.direction {
                Direction::Ascending => "asc",
                Direction::Descending => "desc",
            };
            let nulls = match it.nulls {
                Nulls::First => "first",
                Nulls::Last => "last",
            };
            format!("{} {direction} nulls {nulls}", self.name(it))
        };
        order.iter().map(column).collect::<Vec<_>>().join(", ")
    }

    fn name(&self, order: &Order) -> String {
        if order.column == RELEVANCE {
            self.rank.clone()
        } else {
            format!("t.\"{}\"", order.column)
        }
    }

    /// How well rows are found, if they are ordered by it: how many of the words they have.
    fn rank(&mut self, filter: &Filter, order: &[Order]) {
        if let Some(words) = filter.searched()
            && order.iter().any(|it| it.column == RELEVANCE)
        {
            let has = |word: &String| {
                let query = self.text(&format!("'{word}'"));
                format!("(t.\"{WORDS}\" @@ {query}::tsquery)::int")
            };
            self.rank = format!("({})", words.iter().map(has).collect::<Vec<_>>().join(" + "));
        }
    }

    fn cast(&self, column: &str) -> &'static str {
        if column == RELEVANCE {
            return "bigint";
        }
        self.view.column(column).map_or("text", type_of)
    }

    fn is_nullable(&self, column: &str) -> bool {
        self.view.column(column).is_some_and(|it| it.nullable)
    }

    /// The filter, or its opposite: the opposite of each test is written out, because `not` of a comparison with null
    /// is null, and no index serves it.
    fn condition(&mut self, filter: &Filter, opposite: bool) -> String {
        let (list, is_all) = match filter {
            Filter::Not(it) => return self.condition(it, !opposite),
            Filter::Field { column, test } => return self.test(column, test, opposite),
            Filter::Search(words) => {
                // Letters and digits only: nothing in it has a meaning of its own.
                let query = words.iter().map(|it| format!("'{it}':*")).collect::<Vec<_>>();
                let query = self.text(&query.join(" & "));
                let not = if opposite { "not " } else { "" };
                return format!("{not}(t.\"{WORDS}\" @@ {query}::tsquery)");
            }
            Filter::All(list) => (list, !opposite),
            Filter::Any(list) => (list, opposite),
        };
        if list.is_empty() {
            return if is_all { "true" } else { "false" }.to_owned();
        }
        let all: Vec<String> = list.iter().map(|it| self.condition(it, opposite)).collect();
        format!("({})", all.join(if is_all { " and " } else { " or " }))
    }

    fn test(&mut self, column: &str, test: &Test, opposite: bool) -> String {
        let it = format!("t.\"{column}\"");
        let (condition, null) = match test {
            Test::Is(comparison, value) => {
                let value = self.one(column, value);
                let (operator, null) = operator(*comparison, opposite);
                (format!("{it} {operator} {value}"), null)
            }
            Test::In(values) | Test::NotIn(values) => {
                let values = self.many(column, values);
                if matches!(test, Test::In(_)) == opposite {
                    (format!("{it} <> all({values})"), true)
                } else {
                    (format!("{it} = any({values})"), false)
                }
            }
            Test::StartsWith(begin) => {
                let from = self.text(begin);
                let inside = match after_all_that_begin(begin) {
                    // Bounds, which any index on the column serves.
                    Some(to) => format!("{it} >= {from} and {it} < {}", self.text(&to)),
                    None => format!("{it} >= {from}"),
                };
                (if opposite { format!("not ({inside})") } else { inside }, opposite)
            }
            Test::Contains(part) => {
                let part = self.text(part);
                let operator = if opposite { "=" } else { ">" };
                (format!("strpos({it}, {part}) {operator} 0"), opposite)
            }
            Test::IsNull(null) => {
                let not = if *null == opposite { " not" } else { "" };
                return format!("{it} is{not} null");
            }
        };
        if null && self.is_nullable(column) {
            format!("(({condition}) or {it} is null)")
        } else {
            format!("({condition})")
        }
    }

    /// Rows after a place in an order, or before it.
    fn beyond(&mut self, Place(values): &Place, order: &[Order], after: bool) -> String {
        let up = |it: &Order| (it.direction == Direction::Ascending) == after;
        let operator = |up: bool| if up { ">" } else { "<" };
        let nullable = order.iter().any(|it| self.is_nullable(it.column));
        let one_way = order.iter().all(|it| up(it) == up(&order[0]));
        if one_way && !nullable {
            // An index begins right at such a place.
            let columns: Vec<String> = order.iter().map(|it| self.name(it)).collect();
            let pairs = order.iter().zip(values);
            let values: Vec<String> = pairs
                .filter_map(|(it, value)| Some(self.one(it.column, value.as_ref()?)))
                .collect();
            let operator = operator(up(&order[0]));
            return format!("({}) {operator} ({})", columns.join(", "), values.join(", "));
        }
        let mut same: Vec<String> = Vec::new();
        let mut ways = Vec::new();
        for (it, value) in order.iter().zip(values) {
            let column = self.name(it);
            // Whether rows without a value are still to come.
            let nulls = (it.nulls == Nulls::Last) == after && self.is_nullable(it.column);
            let (beyond, equal) = match value {
                Some(value) => {
                    let value = self.one(it.column, value);
                    let beyond = format!("{column} {} {value}", operator(up(it)));
                    let or_null =
                        if nulls { format!(" or {column} is null") } else { String::new() };
                    (format!("({beyond}{or_null})"), format!("{column} = {value}"))
                }
                None if nulls => ("false".to_owned(), format!("{column} is null")),
                None => (format!("{column} is not null"), format!("{column} is null")),
            };
            let mut way = same.clone();
            way.push(beyond);
            ways.push(way.join(" and "));
            same.push(equal);
        }
        format!("({})", ways.join(" or "))
    }
}

/// The operator, and whether null passes.
fn operator(comparison: Comparison, opposite: bool) -> (&'static str, bool) {
    match (comparison, opposite) {
        (Comparison::Equal, false) | (Comparison::NotEqual, true) => ("=", false),
        (Comparison::Equal, true) | (Comparison::NotEqual, false) => ("<>", true),
        (Comparison::Less, false) => ("<", false),
        (Comparison::Less, true) => (">=", true),
        (Comparison::LessOrEqual, false) => ("<=", false),
        (Comparison::LessOrEqual, true) => (">", true),
        (Comparison::Greater, false) => (">", false),
        (Comparison::Greater, true) => ("<=", true),
        (Comparison::GreaterOrEqual, false) => (">=", false),
        (Comparison::GreaterOrEqual, true) => ("<", true),
    }
}

/// The first text that comes after all that begin like this, if there is any.
fn after_all_that_begin(begin: &str) -> Option<String> {
    let mut kept = begin.to_owned();
    while let Some(last) = kept.pop() {
        // Characters are ordered as their bytes in UTF-8 are; there are none between U+D7FF and U+E000.
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            char::MAX => None,
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_begins_alike_lies_between_two_bounds() {
        let after = |it| after_all_that_begin(it);
        assert_eq!(after("ab").as_deref(), Some("ac"));
        assert_eq!(after("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(after("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!((after(""), after("\u{10ffff}")), (None, None));
    }
}
