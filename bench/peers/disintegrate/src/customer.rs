//! A customer, as far as it is measured.
use async_trait::async_trait;
use disintegrate::{
    Decision, Event as EventTrait, EventListener, PersistedEvent, StateMutate, StateQuery,
    StreamQuery, query,
};
use disintegrate_postgres::PgEventId;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Eq, EventTrait, Serialize, Deserialize)]
#[stream(CustomerEvent, [Invited])]
pub enum Event {
    Invited {
        #[id]
        customer_id: Uuid,
        email: String,
    },
}

/// What the decision rests on.
#[derive(Clone, Debug, Default, StateQuery, Serialize, Deserialize)]
#[state_query(CustomerEvent)]
pub struct Customer {
    #[id]
    customer_id: Uuid,
    is_invited: bool,
}

impl StateMutate for Customer {
    fn mutate(&mut self, event: Self::Event) {
        match event {
            CustomerEvent::Invited { .. } => self.is_invited = true,
        }
    }
}

pub struct Invite {
    customer_id: Uuid,
    email: String,
}

impl Invite {
    pub fn new(customer_id: Uuid, email: String) -> Self {
        Self { customer_id, email }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    #[error("invited already")]
    AlreadyInvited,
}

impl Decision for Invite {
    type Event = Event;
    type StateQuery = Customer;
    type Error = Rejection;

    fn state_query(&self) -> Customer {
        Customer { customer_id: self.customer_id, ..Customer::default() }
    }

    fn process(&self, state: &Customer) -> Result<Vec<Event>, Rejection> {
        if state.is_invited {
            return Err(Rejection::AlreadyInvited);
        }
        Ok(vec![Event::Invited { customer_id: self.customer_id, email: self.email.clone() }])
    }
}

/// The columns of the fleet's view.
pub const TABLE: &str = "create table customer (id uuid primary key, email text not null, status text not null,
    version bigint not null)";

/// Makes a row of each invitation.
pub struct Rows {
    query: StreamQuery<PgEventId, CustomerEvent>,
    pool: PgPool,
}

impl Rows {
    pub fn new(pool: PgPool) -> Self {
        Self { query: query!(CustomerEvent), pool }
    }
}

#[async_trait]
impl EventListener<PgEventId, CustomerEvent> for Rows {
    type Error = sqlx::Error;

    fn id(&self) -> &'static str {
        "customer"
    }

    fn query(&self) -> &StreamQuery<PgEventId, CustomerEvent> {
        &self.query
    }

    async fn handle(&self, event: PersistedEvent<PgEventId, CustomerEvent>) -> Result<(), sqlx::Error> {
        match event.into_inner() {
            CustomerEvent::Invited { customer_id, email } => {
                sqlx::query("insert into customer values ($1, $2, 'INVITED', 1) on conflict do nothing")
                    .bind(customer_id)
                    .bind(email)
                    .execute(&self.pool)
                    .await?;
            }
        }
        Ok(())
    }
}
