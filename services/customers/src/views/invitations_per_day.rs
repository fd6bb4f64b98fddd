//! How many customers were invited and verified, day by day.
use chrono::NaiveDate;
use functions::{Happened, Project};
use shared_events::customers::CustomerEvent;

functions::row! {
    /// How many customers were invited, and verified, on a day. A day without either has no row.
    pub struct InvitationsPerDay in "invitations_per_day" {
        /// The day, in UTC.
        pub day: NaiveDate,
        /// How many were invited that day, whatever became of them.
        pub invited: i64,
        /// How many e-mail addresses were verified that day, whenever they were invited; a customer whose address
        /// changed and was verified again counts again.
        pub verified: i64,
    }
    revision 1;
    spans streams;
    follows CustomerEvent;
}

impl Project<CustomerEvent> for InvitationsPerDay {
    fn key(event: &CustomerEvent, happened: &Happened) -> Option<NaiveDate> {
        match event {
            CustomerEvent::CustomerInvited(_) | CustomerEvent::CustomerVerified(_) => {
                Some(happened.at.date_naive())
            }
            CustomerEvent::CustomerEmailChanged(_) | CustomerEvent::CustomerRemoved(_) => None,
        }
    }

    fn project(row: Option<Self>, event: &CustomerEvent, happened: &Happened) -> Option<Self> {
        let day = happened.at.date_naive();
        // Any event of any customer may be the first of its day.
        let mut row = row.unwrap_or(Self { day, invited: 0, verified: 0 });
        match event {
            CustomerEvent::CustomerInvited(_) => row.invited += 1,
            CustomerEvent::CustomerVerified(_) => row.verified += 1,
            CustomerEvent::CustomerEmailChanged(_) | CustomerEvent::CustomerRemoved(_) => {}
        }
        Some(row)
    }
}
