//! What customers are and were, told by the write side.
use super::CustomerStatus;
use crate::{
    commands::{ask, of},
    errors::Failure,
    history::{self, EventPages, FieldChange},
    relay,
    scalars::{Instant, Uuid},
};
use async_graphql::{Context, Object, SimpleObject};
use customers::{Customer, Customers};
use functions::Message as _;
use serde_json::{Map, Value};
use shared_events::customers::{self as messages, AskCustomerState};
use shell::{
    client::Client,
    history::{AsOf, Moment, difference},
};

/// A customer as the write side knows it, now or then.
#[derive(SimpleObject)]
pub(crate) struct CustomerState {
    /// Names the customer, for ever.
    id: Uuid,
    /// How far the customer has come.
    status: CustomerStatus,
    /// The e-mail address, as typed; of a removed customer none.
    email: Option<String>,
    /// How often the customer has changed: what `expectedVersion` means.
    version: i64,
}

impl From<messages::CustomerState> for CustomerState {
    fn from(it: messages::CustomerState) -> Self {
        let status = match it.status {
            messages::CustomerStatus::Invited => CustomerStatus::Invited,
            messages::CustomerStatus::Verified => CustomerStatus::Verified,
            messages::CustomerStatus::Removed => CustomerStatus::Removed,
        };
        Self { id: Uuid(it.customer_id), status, email: it.email, version: it.version }
    }
}

/// Customers in a state, as far as they were looked for.
#[derive(SimpleObject)]
struct CustomerScan {
    /// Those that were found.
    nodes: Vec<CustomerState>,
    /// How many customers were looked at.
    looked_at: u64,
    /// Go on after this customer; absent if all were looked at.
    next: Option<Uuid>,
}

/// Queries about what customers are and were.
#[derive(Default)]
pub(crate) struct CustomerPastQueries;

#[Object]
impl CustomerPastQueries {
    /// What a customer is, as whoever decides about it knows; null if nobody was invited by this id. Strongly
    /// consistent: it is answered after every command for this customer that was sent before, through whichever server.
    /// Without an answer in time it is `PENDING`, and can be asked again.
    #[graphql(complexity = "10 + child_complexity")]
    async fn customer_state(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
    ) -> Result<Option<CustomerState>, Failure> {
        let answer = ask::<Customer, _>(context, AskCustomerState { customer_id: id.0 }).await?;
        Ok(answer.map(CustomerState::from))
    }

    /// What happened to a customer.
    #[graphql(complexity = "relay::cost(first, None, child_complexity)")]
    async fn customer_history(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
        #[graphql(desc = "At most so many, 1 to 500; 50 if absent.")] first: Option<i64>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The newest first.", default)] newest_first: bool,
    ) -> Result<EventPages, Failure> {
        history::events::<Customers>(context, id, first, after, newest_first).await
    }

    /// What a customer was after so many events, or at an instant; null if nobody was invited by this id by then.
    #[graphql(complexity = "20 + child_complexity")]
    async fn customer_as_of(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
        #[graphql(desc = "After so many events; or give `at`.")] version: Option<i64>,
        #[graphql(desc = "At this instant; or give `version`.")] at: Option<Instant>,
    ) -> Result<Option<CustomerState>, Failure> {
        let as_of = match (version, at) {
            (Some(version), None) => AsOf::Version(checked("version", version)?),
            (None, Some(at)) => AsOf::Instant(at.0),
            (Some(_), Some(_)) | (None, None) => {
                let message = "give either the version or the instant";
                return Err(Failure::invalid(["version"], message));
            }
        };
        let moment = of::<Client>(context)?.history::<Customers>().as_of(id.0, as_of).await?;
        Ok(moment.and_then(|it| answer(&it)).map(CustomerState::from))
    }

    /// In what a customer differs between two versions, field by field; before version 1 there is nothing.
    #[graphql(complexity = "40 + child_complexity")]
    async fn customer_difference(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
        #[graphql(desc = "The one version; 0 is before the first.")] from: i64,
        #[graphql(desc = "The other version.")] to: i64,
    ) -> Result<Vec<FieldChange>, Failure> {
        let history = of::<Client>(context)?.history::<Customers>();
        let mut states = Vec::with_capacity(2);
        for (name, version) in [("from", from), ("to", to)] {
            let version = checked(name, version)?;
            let moment = history.as_of(id.0, AsOf::Version(version)).await?;
            let reached = moment.as_ref().map_or(0, |it| it.version);
            if reached != version {
                let message = format!("{name} is {version}, and the customer has {reached} events");
                return Err(Failure::invalid([name], message));
            }
            states.push(moment.as_ref().map(told).unwrap_or_default());
        }
        Ok(difference(&states[0], &states[1]).into_iter().map(FieldChange::from).collect())
    }

    /// Customers by what whoever decides about them knows, in the order of their ids. A scan: at most 20,000 events are
    /// read for one answer, which says how many customers were looked at and where to go on.
    #[graphql(complexity = "relay::cost(first, None, child_complexity)")]
    async fn customers_in_state(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only those that have come so far.")] status: Option<CustomerStatus>,
        #[graphql(desc = "Only those with this e-mail address, as it was typed.")] email: Option<
            String,
        >,
        #[graphql(desc = "At most so many, 1 to 500; 50 if absent.")] first: Option<i64>,
        #[graphql(desc = "Only those after this customer: the `next` of the answer before.")]
        after: Option<Uuid>,
    ) -> Result<CustomerScan, Failure> {
        let limit = first.map_or(Ok(relay::PAGE), |it| relay::size("first", it))?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut nodes: Vec<CustomerState> = Vec::new();
        let found = |moment: Moment| {
            let state = answer(&moment).map(CustomerState::from);
            nodes.extend(state.filter(|it| {
                status.is_none_or(|status| it.status == status)
                    && email.as_ref().is_none_or(|email| it.email.as_ref() == Some(email))
            }));
            nodes.len() >= limit
        };
        let skipped = |error| tracing::warn!(%error, "a customer is left out");
        let history = of::<Client>(context)?.history::<Customers>();
        let looked = history.streams(after.map(|it| it.0), EVENTS_MAX, found, skipped).await?;
        Ok(CustomerScan { nodes, looked_at: looked.streams, next: looked.next.map(Uuid) })
    }
}

/// What would have been told then.
fn answer(moment: &Moment) -> Option<messages::CustomerState> {
    let question = AskCustomerState { customer_id: moment.stream };
    moment.answer::<Customer, AskCustomerState>(&question)
}

/// The same by fields, but for those that always or never differ.
fn told(moment: &Moment) -> Map<String, Value> {
    let mut fields = match answer(moment).map(|it| it.json()) {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, _| !["customer_id", "version"].contains(&name.as_str()));
    fields
}

fn checked(argument: &str, version: i64) -> Result<i64, Failure> {
    let message = || format!("{argument} is {version}, and versions begin at 1");
    if version < 0 { Err(Failure::invalid([argument], message())) } else { Ok(version) }
}

const EVENTS_MAX: u64 = 20_000;
