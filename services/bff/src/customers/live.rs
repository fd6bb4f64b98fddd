//! Customers as they change.
use super::Customer;
use crate::{
    commands::{Patience, of},
    config::Config,
    errors::Failure,
    filter::Where,
    scalars::Uuid,
    session::Session,
};
use async_graphql::{Context, SimpleObject, Subscription};
use customers::views;
use futures::{Stream, StreamExt as _};
use shell::client::{Client, Followed, Place, Update};
use std::sync::Arc;

/// How many rows may wait for a subscriber.
#[derive(Clone, Copy)]
pub(crate) struct RowsMax(usize);

impl From<&Config> for RowsMax {
    fn from(config: &Config) -> Self {
        Self(config.subscription_rows)
    }
}

/// Subscriptions to customers.
#[derive(Default)]
pub(crate) struct CustomerSubscriptions;

#[Subscription]
impl CustomerSubscriptions {
    /// The customer with this id: as it is now, and after each change. States in between may be left out, the last one
    /// never is. An error `RESYNC` says that more was missed, and ends it: subscribe again.
    async fn customer_changed(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
        #[graphql(desc = "A position: nothing older than it is shown.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<CustomerChange, Failure>>, Failure> {
        if let Some(after) = place(after)? {
            of::<Arc<Session>>(context)?.saw(&after.position);
        }
        follow(context, Followed::Row(id.0.to_string())).await
    }

    /// Customers that change from now on, or have changed since a position: each in its latest state, at least once, and
    /// the states of one customer in their order. What there is already a query tells: subscribe with the position of its
    /// answer, and nothing is missed between the two. Subscribe with the latest `position` when a connection breaks. An
    /// error `RESYNC` says that this is not enough, and ends it: query again.
    async fn customers_changed(
        &self,
        context: &Context<'_>,
        #[graphql(
            name = "where",
            desc = "Only those of which this holds; of the others it is told that they are gone."
        )]
        filter: Option<Where<views::Customer>>,
        #[graphql(desc = "Where to go on; positions are kept for an hour.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<CustomerChange, Failure>>, Failure> {
        let filter = filter.map(|it| it.filter).transpose()?.unwrap_or_default();
        follow(context, Followed::Rows { filter, after: place(after)? }).await
    }
}

fn place(text: Option<String>) -> Result<Option<Place>, Failure> {
    let parsed = text.map(|it| it.parse()).transpose();
    parsed.map_err(|error| Failure::invalid(["after"], format!("{error}")))
}

async fn follow(
    context: &Context<'_>,
    followed: Followed,
) -> Result<impl Stream<Item = Result<CustomerChange, Failure>> + use<>, Failure> {
    let session = Arc::clone(of::<Arc<Session>>(context)?);
    let patience = session.patience(of::<Patience>(context)?.read);
    let RowsMax(rows_max) = *of::<RowsMax>(context)?;
    let client = of::<Client>(context)?;
    let updates =
        client.follow::<views::Customer>(followed, rows_max, &session.seen(), patience).await?;
    Ok(updates.map(move |it| {
        let Update { key, row, after, seen } = it?;
        session.saw(&seen);
        let (id, position) = (Uuid(key), after.to_string());
        Ok(CustomerChange { id, customer: row.map(Customer), position })
    }))
}

/// A customer who has changed.
#[derive(SimpleObject)]
pub(crate) struct CustomerChange {
    /// The customer's id.
    id: Uuid,
    /// The customer as of now. Null: there is none, or `where` does not hold of it; whoever shows customers takes it away
    /// if it is among them.
    customer: Option<Customer>,
    /// Where to go on after this change: it moves once all that changed together was sent.
    position: String,
}
