//! Customers: people who are invited by e-mail, show that the address is theirs, may get another one, and may leave.
//!
//! - [`Customer`] decides, by the table in its module, and answers what is asked about it;
//! - [`email`] says what an e-mail address is, and when two of them are the same;
//! - [`views`] are what can be asked about customers.
pub mod email;
pub mod views;

mod customer;
mod facts;

pub use customer::{Customer, Rejection};

use functions::{Context, Parts};
use shared_events::customers::AskCustomerState;

/// The context of customers.
#[derive(Clone, Copy, Debug)]
pub struct Customers;

impl Context for Customers {
    const NAME: &'static str = "customers";

    fn parts(list: &mut impl Parts) {
        list.decider::<Customer>()
            .fact::<Customer, AskCustomerState>()
            .view::<views::Customer>()
            .view::<views::InvitationsPerDay>();
    }
}
