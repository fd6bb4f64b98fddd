//! A customer, as pages and lists show one.
use chrono::{DateTime, Utc};
use functions::{Happened, Project};
use shared_events::{Message, customers::CustomerEvent};
use uuid::Uuid;

functions::row! {
    /// A customer, as pages and lists show one.
    pub struct Customer in "customer" {
        /// Names the customer; never used for another one.
        pub id: Uuid,
        /// As typed; of a removed customer the last one.
        pub email: String,
        /// How far the customer has come.
        pub status: CustomerStatus,
        /// When the invitation went out.
        pub invited_at: DateTime<Utc>,
        /// When the e-mail address of today proved to be theirs.
        pub verified_at: Option<DateTime<Utc>>,
        /// How many events made it what it is: what a caller means by the version they expect.
        pub version: i64,
    }
    revision 1;
    index email;
    index status, invited_at desc;
    index invited_at;
    index verified_at;
    search email;
    follows CustomerEvent;
}

functions::text_enum! {
    /// How far a customer has come.
    pub enum CustomerStatus {
        /// The e-mail address may still be anybody's.
        Invited = "INVITED",
        /// The e-mail address is theirs.
        Verified = "VERIFIED",
        /// They left, and the e-mail address is free.
        Removed = "REMOVED",
    }
}

impl Project<CustomerEvent> for Customer {
    fn key(event: &CustomerEvent, _: &Happened) -> Option<Uuid> {
        Some(event.stream())
    }

    fn project(row: Option<Self>, event: &CustomerEvent, happened: &Happened) -> Option<Self> {
        let &Happened { at, version } = happened;
        // A customer begins with an invitation, so all other events find a row.
        Some(match event {
            CustomerEvent::CustomerInvited(it) => Self {
                id: it.customer_id,
                email: it.email.clone(),
                status: CustomerStatus::Invited,
                invited_at: at,
                verified_at: None,
                version,
            },
            CustomerEvent::CustomerVerified(_) => {
                Self { status: CustomerStatus::Verified, verified_at: Some(at), version, ..row? }
            }
            CustomerEvent::CustomerEmailChanged(it) => Self {
                email: it.email.clone(),
                status: CustomerStatus::Invited,
                verified_at: None,
                version,
                ..row?
            },
            CustomerEvent::CustomerRemoved(_) => {
                Self { status: CustomerStatus::Removed, version, ..row? }
            }
        })
    }
}
