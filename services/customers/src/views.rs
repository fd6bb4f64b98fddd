//! What can be asked about customers.
mod customer;
mod invitations_per_day;

pub use customer::{Customer, CustomerStatus};
pub use invitations_per_day::InvitationsPerDay;
