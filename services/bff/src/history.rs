//! What happened, for all contexts alike: events, differences, and why a row is what it is.
use crate::{
    commands::of,
    errors::Failure,
    relay,
    scalars::{Instant, Uuid},
};
use async_graphql::{
    Context, Json, Object, SimpleObject,
    connection::{Connection, Edge},
};
use serde_json::{Map, Value};
use shell::{
    client::Client,
    explain::{Explained, Field, SetBy},
    history::{Change, Happening, Page},
};

/// A connection to the events of a stream. A cursor is a version.
pub(crate) type EventPages = Connection<i64, Event, EventTotal>;

/// The whole history.
#[derive(SimpleObject)]
pub(crate) struct EventTotal {
    /// How many events there are in all, on this page or not.
    total_count: i64,
}

/// What happened.
#[derive(SimpleObject)]
pub(crate) struct Event {
    /// Its number in the history, from 1.
    version: i64,
    /// What happened, by the name of its record.
    record: String,
    /// When it was decided.
    at: Instant,
    /// On whose behalf.
    actor: Option<String>,
    /// The command that made it happen.
    command_id: Uuid,
    /// The request that it all began with.
    correlation_id: Uuid,
    /// The trace, for the tracing backend.
    trace_id: Option<String>,
    /// What it says; absent if this build cannot read it.
    data: Option<Json<Value>>,
    /// Why it cannot be read, or what it was called when it was written.
    note: Option<String>,
}

impl From<Happening> for Event {
    fn from(it: Happening) -> Self {
        Self {
            version: it.version,
            record: it.record,
            at: Instant(it.at),
            actor: it.origin.actor,
            command_id: Uuid(it.origin.command_id),
            correlation_id: Uuid(it.origin.correlation),
            trace_id: it.origin.trace_id,
            data: it.data.map(Json),
            note: it.note,
        }
    }
}

/// A page of the history of a stream of `C`.
pub(crate) async fn events<C: functions::Context>(
    context: &Context<'_>,
    stream: Uuid,
    first: Option<i64>,
    after: Option<String>,
    newest_first: bool,
) -> Result<EventPages, Failure> {
    let limit = first.map_or(Ok(relay::PAGE), |it| relay::size("first", it))?;
    let after = after.map(|text| {
        let version = text.parse::<i64>().ok().filter(|it| *it >= 1);
        let message = "after is no cursor of a history: send back what an answer gave";
        version.ok_or_else(|| Failure::invalid(["after"], message))
    });
    let page = Page { after: after.transpose()?, newest_first, limit };
    let read = of::<Client>(context)?.history::<C>().events(stream.0, page).await?;
    let total = EventTotal { total_count: read.total };
    let mut pages = Connection::with_additional_fields(page.after.is_some(), read.more, total);
    pages.edges.extend(read.events.into_iter().map(|it| Edge::new(it.version, it.into())));
    Ok(pages)
}

/// A field that is not what it was.
#[derive(SimpleObject)]
pub(crate) struct FieldChange {
    /// Its name.
    field: String,
    /// What it was.
    before: Json<Value>,
    /// What it is.
    after: Json<Value>,
}

impl From<Change> for FieldChange {
    fn from(it: Change) -> Self {
        Self { field: it.field, before: Json(it.before), after: Json(it.after) }
    }
}

/// Why a row is what it is.
#[derive(SimpleObject)]
struct Explanation {
    /// The view.
    view: String,
    /// The key of the row.
    id: String,
    /// The row in the view.
    row: Option<Json<Map<String, Value>>>,
    /// The row that its events make, folded once more; shown only where it differs.
    folded: Option<Json<Map<String, Value>>>,
    /// The fields in which the two differ: none, unless the view is wrong or waits for an event that it cannot fold.
    differs: Vec<String>,
    /// Each field, and what set it.
    fields: Vec<ExplainedField>,
    /// The event that took the row away, if one did.
    removed_by: Option<SettingEvent>,
    /// How many events are about the row.
    events: u64,
    /// How many events were looked at to find those.
    looked_at: u64,
    /// Whether all events of the context had to be looked at.
    scanned: bool,
    /// Whether that ended before the last one, so that something may be missing here.
    ended_early: bool,
    /// How many events are about the row and not in the view yet.
    not_yet: u64,
    /// What could not be read, in words.
    unreadable: Vec<String>,
}

/// A field of a row, and what set it.
#[derive(SimpleObject)]
struct ExplainedField {
    /// Its name.
    name: String,
    /// What it is.
    value: Json<Value>,
    /// How many events changed it.
    changes: u64,
    /// The newest of those events, newest first.
    set_by: Vec<SettingEvent>,
}

/// An event that changed a row.
#[derive(SimpleObject)]
struct SettingEvent {
    /// What happened, by the name of its record.
    record: String,
    /// When it was decided.
    at: Instant,
    /// To what: of a customer's event, the customer.
    stream_id: Uuid,
    /// Its number in the history of that.
    version: i64,
    /// The command that made it happen.
    command_id: Uuid,
    /// The request that it all began with.
    correlation_id: Uuid,
    /// On whose behalf.
    actor: Option<String>,
    /// The trace, for the tracing backend.
    trace_id: Option<String>,
}

impl From<SetBy> for SettingEvent {
    fn from(it: SetBy) -> Self {
        Self {
            record: it.record,
            at: Instant(it.at),
            stream_id: Uuid(it.stream),
            version: it.version,
            command_id: Uuid(it.origin.command_id),
            correlation_id: Uuid(it.origin.correlation),
            actor: it.origin.actor,
            trace_id: it.origin.trace_id,
        }
    }
}

impl From<Field> for ExplainedField {
    fn from(it: Field) -> Self {
        let set_by = it.set_by.into_iter().map(SettingEvent::from).collect();
        Self { name: it.name.to_owned(), value: Json(it.value), changes: it.changes, set_by }
    }
}

impl From<Explained> for Explanation {
    fn from(it: Explained) -> Self {
        Self {
            view: it.view.to_owned(),
            id: it.key,
            row: it.row.map(Json),
            folded: it.folded.filter(|_| !it.differs.is_empty()).map(Json),
            differs: it.differs,
            fields: it.fields.into_iter().map(ExplainedField::from).collect(),
            removed_by: it.removed_by.map(SettingEvent::from),
            events: it.events,
            looked_at: it.looked_at,
            scanned: it.scanned,
            ended_early: it.ended_early,
            not_yet: it.not_yet,
            unreadable: it.unreadable,
        }
    }
}

/// Queries about where things come from.
#[derive(Default)]
pub(crate) struct HistoryQueries;

#[Object]
impl HistoryQueries {
    /// Why a row of a view is what it is: each field, the newest events that set it, and the commands and requests that
    /// those came from. A row that is made of many streams is looked for among all events, at most 100,000 of them.
    #[graphql(complexity = "100 + child_complexity")]
    async fn explain(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The view: customer, invitations_per_day.")] view: String,
        #[graphql(desc = "The key of the row: a customer's id, a day.")] id: String,
        #[graphql(desc = "How many events of a field to name, 1 to 50.", default = 3)] newest: u32,
    ) -> Result<Explanation, Failure> {
        let newest = usize::try_from(newest).ok().filter(|it| (1..=NEWEST_MAX).contains(it));
        let newest = newest.ok_or_else(|| {
            Failure::invalid(["newest"], format!("newest may be 1 to {NEWEST_MAX}"))
        })?;
        let client = of::<Client>(context)?;
        let explained =
            client.explain::<customers::Customers>(&view, &id, EVENTS_MAX, newest).await?;
        Ok(explained.into())
    }
}

const NEWEST_MAX: usize = 50;
/// A second or two.
const EVENTS_MAX: u64 = 100_000;
