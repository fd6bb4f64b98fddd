//! Postgres answers every query as it is meant: thousands of generated ones, compared with a look at each row in memory.
use crate::fleet::Fleet;
use chrono::{DateTime, NaiveDate, Utc};
use functions::{ColumnKind, Happened, Project, View as _};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, Strategy, any, prop_oneof},
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};
use shared_events::{Message as _, customers::CustomerEvent};
use shell::{
    clock::Clock,
    memory::MemoryStore,
    port::store::{RawRows, Reads, Store, StoreError, ViewBatch, Views},
    postgres::PostgresReads,
    reads::{
        Comparison, Counts, Direction, Filter, Nulls, Order, Place, Query, RELEVANCE, Test, Value,
        words,
    },
    view::ViewDefinition,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

const CONTEXT: &str = "customers";

functions::text_enum! {
    /// A colour.
    enum Colour {
        /// Red.
        Red = "RED",
        /// Blue.
        Blue = "BLUE",
    }
}

functions::row! {
    /// One column of each kind, and of each that can be null.
    struct Thing in "thing" {
        id: Uuid,
        text: String,
        colour: Colour,
        number: i64,
        truth: bool,
        day: NaiveDate,
        at: DateTime<Utc>,
        maybe_text: Option<String>,
        maybe_number: Option<i64>,
        maybe_at: Option<DateTime<Utc>>,
    }
    revision 1;
    index text;
    index number desc, day;
    index maybe_number;
    index truth, maybe_text desc;
    search text, maybe_text;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for Thing {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, _: &CustomerEvent, _: &Happened) -> Option<Self> {
        row
    }
}

// Few values each, so that many rows have the same, and awkward ones.
fn texts() -> impl Strategy<Value = String> + Clone {
    select(vec![
        "",
        "a",
        "A",
        "ab",
        "a%",
        "a_c",
        "\\",
        "b",
        "é",
        "\u{d7ff}",
        "\u{e000}",
        "\u{10ffff}",
    ])
    .prop_map(str::to_owned)
}

fn numbers() -> impl Strategy<Value = i64> + Clone {
    select(vec![i64::MIN, -1, 0, 1, 2, i64::MAX])
}

fn days() -> impl Strategy<Value = NaiveDate> + Clone {
    select(vec!["0001-01-01", "2026-02-28", "2026-03-01"]).prop_map(|it| it.parse().expect("a day"))
}

fn instants() -> impl Strategy<Value = DateTime<Utc>> + Clone {
    select(vec![
        "1969-12-31T23:59:59.999999Z",
        "2026-11-20T10:00:00Z",
        "2026-11-20T10:00:00.000001Z",
    ])
    .prop_map(|it| it.parse().expect("an instant"))
}

fn ids() -> impl Strategy<Value = Uuid> + Clone {
    (0..40_u128).prop_map(|n| Uuid::from_u128(n * 0x0123_4567_89ab_cdef_0123_4567_89ab))
}

fn thing() -> impl Strategy<Value = Thing> {
    let colours = select(Colour::ALL.to_vec());
    let maybe = (option::of(texts()), option::of(numbers()), option::of(instants()));
    (ids(), texts(), colours, numbers(), any::<bool>(), days(), instants(), maybe).prop_map(
        |(id, text, colour, number, truth, day, at, (maybe_text, maybe_number, maybe_at))| Thing {
            id,
            text,
            colour,
            number,
            truth,
            day,
            at,
            maybe_text,
            maybe_number,
            maybe_at,
        },
    )
}

/// The values of a column.
fn values(column: &'static str) -> proptest::strategy::BoxedStrategy<Value> {
    match column {
        "id" => ids().prop_map(Value::Uuid).boxed(),
        "colour" => select(Colour::ALL.to_vec()).prop_map(|it| Value::Text(it.to_string())).boxed(),
        "text" | "maybe_text" => texts().prop_map(Value::Text).boxed(),
        "number" | "maybe_number" => numbers().prop_map(Value::Integer).boxed(),
        "truth" => any::<bool>().prop_map(Value::Boolean).boxed(),
        "day" => days().prop_map(Value::Date).boxed(),
        _ => instants().prop_map(Value::Instant).boxed(),
    }
}

fn columns() -> impl Strategy<Value = &'static str> {
    select(Thing::columns().iter().map(|it| it.name).collect::<Vec<_>>())
}

fn field() -> impl Strategy<Value = Filter> {
    columns().prop_flat_map(|column| {
        let comparison = select(vec![
            Comparison::Equal,
            Comparison::NotEqual,
            Comparison::Less,
            Comparison::LessOrEqual,
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ]);
        let any = prop_oneof![
            (comparison, values(column)).prop_map(|(is, value)| Test::Is(is, value)),
            vec(values(column), 0..4).prop_map(Test::In),
            vec(values(column), 0..4).prop_map(Test::NotIn),
            any::<bool>().prop_map(Test::IsNull),
        ];
        let test = if column.ends_with("text") || column == "colour" {
            prop_oneof![any, texts().prop_map(Test::StartsWith), texts().prop_map(Test::Contains)]
                .boxed()
        } else {
            any.boxed()
        };
        test.prop_map(move |test| Filter::field(column, test))
    })
}

fn search() -> impl Strategy<Value = Filter> {
    vec(texts(), 1..3)
        .prop_map(|it| words(&it.join(" ")))
        .prop_filter_map("no words", |it| (!it.is_empty()).then_some(Filter::Search(it)))
}

fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![3 => field(), 1 => search()].prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Filter::All),
            vec(inner.clone(), 0..3).prop_map(Filter::Any),
            inner.prop_map(|it| Filter::Not(Box::new(it))),
        ]
    })
}

fn order() -> impl Strategy<Value = Order> {
    let directions = select(vec![Direction::Ascending, Direction::Descending]);
    (columns(), directions, select(vec![Nulls::First, Nulls::Last]))
        .prop_map(|(column, direction, nulls)| Order { column, direction, nulls })
}

/// A place in the order, where a row may be or not.
fn place(order: &[Order]) -> proptest::strategy::BoxedStrategy<Place> {
    let columns = Thing::columns();
    let value = |it: &Order| {
        if it.column == RELEVANCE {
            return (0..3_i64).prop_map(|it| Some(Value::Integer(it))).boxed();
        }
        let nullable = columns.iter().any(|column| column.name == it.column && column.nullable);
        let some = values(it.column).prop_map(Some);
        if nullable { prop_oneof![some, Just(None)].boxed() } else { some.boxed() }
    };
    order.iter().map(value).collect::<Vec<_>>().prop_map(Place).boxed()
}

fn query() -> impl Strategy<Value = Query> {
    let rest = (option::of(0..20_u32), any::<bool>(), any::<bool>());
    (option::of(filter()), vec(order(), 0..4), rest).prop_flat_map(
        |(filter, order, (limit, backward, count))| {
            let filter = filter.unwrap_or_default();
            let query = Query { filter, order, limit, backward, count, ..Query::default() };
            let places = place(&query.total_order(Thing::KEY));
            (option::of(places.clone()), option::of(places))
                .prop_map(move |(after, before)| Query { after, before, ..query.clone() })
        },
    )
}

#[test]
fn postgres_answers_as_a_look_at_every_row_does() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let fleet = runtime.block_on(Fleet::new());
    let shell = runtime.block_on(async { fleet.shell() });
    let memory = MemoryStore::new(Clock::system());
    let view = ViewDefinition::of::<Thing>(CONTEXT);
    let mut runner = TestRunner::deterministic();
    let things = vec(thing(), 60).new_tree(&mut runner).expect("rows");
    let rows = proptest::strategy::ValueTree::current(&things)
        .into_iter()
        .map(|it| (it.id.to_string(), serde_json::to_value(&it).ok()))
        .collect();
    let batch = ViewBatch { rows, ..ViewBatch::default() };
    runtime.block_on(async {
        fill(&mut shell.postgres.views(CONTEXT), &view, &batch).await;
        fill(&mut memory.views(CONTEXT), &view, &batch).await;
    });
    let postgres = PostgresReads::new(shell.postgres.clone());

    let (found, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut runner =
        TestRunner::new(Config { cases: 3_000, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&query(), |query| {
        let (told, meant) = runtime.block_on(async {
            let told = postgres
                .rows(CONTEXT, &view, &query)
                .await
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            let meant = Reads::rows(&memory, CONTEXT, &view, &query)
                .await
                .map_err(|error| TestCaseError::fail(error.to_string()))?;
            Ok::<_, TestCaseError>((told.expect("a view"), meant.expect("a view")))
        })?;
        let things = |rows: &str| serde_json::from_str::<Vec<Thing>>(rows).expect("things");
        let (told, meant) = ((things(&told.rows), told.total), (things(&meant.rows), meant.total));
        found.fetch_add(usize::from(!meant.0.is_empty()), Ordering::Relaxed);
        served.fetch_add(usize::from(query.check(&view).is_ok()), Ordering::Relaxed);
        if told != meant {
            return Err(TestCaseError::fail(format!("{told:#?} is not {meant:#?}")));
        }
        let mut by: Vec<_> = query.order.iter().map(|it| it.column).collect();
        by.sort_unstable();
        by.dedup();
        let counts = Counts { filter: query.filter, by };
        let (told, meant) = runtime.block_on(async {
            let told = postgres.counts(CONTEXT, &view, &counts).await;
            (told, Reads::counts(&memory, CONTEXT, &view, &counts).await)
        });
        let lines = |raw: Result<Option<RawRows>, StoreError>| {
            let rows = raw.expect("counts").expect("a view").rows;
            let lines: Vec<Vec<serde_json::Value>> = serde_json::from_str(&rows).expect("lines");
            let kind =
                |name: &&str| view.columns.iter().find(|it| it.name == *name).map(|it| it.kind);
            let kinds: Vec<_> =
                counts.by.iter().filter_map(kind).chain([ColumnKind::Integer]).collect();
            let line = |it: Vec<serde_json::Value>| {
                kinds
                    .iter()
                    .zip(&it)
                    .map(|(kind, json)| Value::of_json(*kind, json))
                    .collect::<Vec<_>>()
            };
            lines.into_iter().map(line).collect::<Vec<_>>()
        };
        let (told, meant) = (lines(told), lines(meant));
        if told == meant {
            Ok(())
        } else {
            Err(TestCaseError::fail(format!("{counts:#?}: {told:#?} is not {meant:#?}")))
        }
    });
    if let Err(error) = checked {
        panic!("{error}");
    }
    // Those who ask at the same time are answered by few statements, each with its own rows.
    let ids: Vec<Uuid> =
        (0..40_u128).map(|n| Uuid::from_u128(n * 0x0123_4567_89ab_cdef_0123_4567_89ab)).collect();
    let asked = ids.windows(3).map(|it| Query::keys::<Thing>(it.iter().copied().rev()));
    let all = asked.map(async |query| {
        let told = postgres.rows(CONTEXT, &view, &query).await.expect("rows").expect("a view");
        let meant =
            Reads::rows(&memory, CONTEXT, &view, &query).await.expect("rows").expect("a view");
        let things = |rows: &str| serde_json::from_str::<Vec<Thing>>(rows).expect("things");
        assert_eq!(things(&told.rows), things(&meant.rows), "{query:?}");
    });
    runtime.block_on(futures::future::join_all(all));

    // Or it would have compared nothing with nothing.
    let (found, served) = (found.into_inner(), served.into_inner());
    assert!(found > 1_000 && served > 300, "{found} found something, {served} are answered");
}

/// Rows that are there at once: nothing has to catch up.
async fn fill(views: &mut impl Views, view: &ViewDefinition, batch: &ViewBatch) {
    let of = views.prepare(view, 0).await.expect("a table");
    views.write(view, &of, batch).await.expect("rows");
    assert!(views.complete(view, &of).await.expect("indexes"));
    views.cut_over(view, &of).await.expect("a switch");
}
