//! What is told about a customer.
use crate::messages::{ADA, BOB, change_email, email_changed, invited, removed, verified};
use customers::Customer;
use functions::spec::given;
use shared_events::customers::{AskCustomerState, CustomerState, CustomerStatus};
use uuid::Uuid;

fn ask(customer_id: Uuid) -> AskCustomerState {
    AskCustomerState { customer_id }
}

fn state(status: CustomerStatus, email: Option<&str>, version: i64) -> CustomerState {
    CustomerState { customer_id: ADA, status, email: email.map(str::to_owned), version }
}

#[test]
fn a_customer_is_told_as_the_last_event_left_it() {
    given::<Customer>([invited(ADA, "Ada@example.com")])
        .asked(ask(ADA))
        .answered(state(CustomerStatus::Invited, Some("Ada@example.com"), 1))
        .and([verified(ADA)])
        .asked(ask(ADA))
        .answered(state(CustomerStatus::Verified, Some("Ada@example.com"), 2))
        .when(change_email(ADA, "countess@example.com"))
        .then([email_changed(ADA, "Ada@example.com", "countess@example.com")])
        .asked(ask(ADA))
        .answered(state(CustomerStatus::Invited, Some("countess@example.com"), 3));
}

#[test]
fn of_who_left_no_address_is_told() {
    given::<Customer>([invited(ADA, "ada@example.com"), removed(ADA, "ada@example.com")])
        .asked(ask(ADA))
        .answered(state(CustomerStatus::Removed, None, 2));
}

#[test]
fn of_who_was_never_invited_there_is_nothing_to_tell() {
    given::<Customer>([invited(ADA, "ada@example.com")]).asked(ask(BOB)).answered_nothing();
}

#[test]
#[should_panic(expected = "another answer than expected")]
fn another_answer_fails() {
    let wrong = state(CustomerStatus::Verified, Some("ada@example.com"), 1);
    let _ = given::<Customer>([invited(ADA, "ada@example.com")]).asked(ask(ADA)).answered(wrong);
}
