//! A customer, as far as it is measured.
use cqrs_es::{Aggregate, DomainEvent, EventEnvelope, View, event_sink::EventSink};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Customer {
    email: Option<String>,
}

pub enum Command {
    Invite { customer_id: Uuid, email: String },
    ChangeEmail { email: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Invited { customer_id: Uuid, email: String },
    EmailChanged { email: String, previous_email: String },
}

impl DomainEvent for Event {
    fn event_type(&self) -> String {
        match self {
            Self::Invited { .. } => "CustomerInvited",
            Self::EmailChanged { .. } => "CustomerEmailChanged",
        }
        .to_owned()
    }

    fn event_version(&self) -> String {
        "1.0".to_owned()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Rejection {
    #[error("invited already")]
    AlreadyInvited,
    #[error("not invited")]
    NotInvited,
}

impl Aggregate for Customer {
    const TYPE: &'static str = "customer";
    type Command = Command;
    type Event = Event;
    type Error = Rejection;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Rejection> {
        let event = match (command, &self.email) {
            (Command::Invite { customer_id, email }, None) => Event::Invited { customer_id, email },
            (Command::Invite { .. }, Some(_)) => return Err(Rejection::AlreadyInvited),
            (Command::ChangeEmail { email }, Some(previous)) => {
                Event::EmailChanged { email, previous_email: previous.clone() }
            }
            (Command::ChangeEmail { .. }, None) => return Err(Rejection::NotInvited),
        };
        sink.write(event, self).await;
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Invited { email, .. } | Event::EmailChanged { email, .. } => {
                self.email = Some(email);
            }
        }
    }
}

/// The same columns as the fleet's view.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct CustomerView {
    id: Option<Uuid>,
    email: String,
    status: String,
    version: usize,
}

impl View<Customer> for CustomerView {
    fn update(&mut self, event: &EventEnvelope<Customer>) {
        match &event.payload {
            Event::Invited { customer_id, email } => {
                self.id = Some(*customer_id);
                self.email.clone_from(email);
            }
            Event::EmailChanged { email, .. } => self.email.clone_from(email),
        }
        self.status = "INVITED".to_owned();
        self.version = event.sequence;
    }
}
