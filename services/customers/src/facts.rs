//! What a customer is asked.
use crate::Customer;
use functions::Answers;
use shared_events::customers::{AskCustomerState, CustomerState, CustomerStatus};

impl Answers<AskCustomerState> for Customer {
    type Answer = CustomerState;

    fn answer(&self, question: &AskCustomerState, version: i64) -> Option<CustomerState> {
        let (status, email) = match self {
            Self::Unknown => return None,
            Self::Invited { email } => (CustomerStatus::Invited, Some(email)),
            Self::Verified { email } => (CustomerStatus::Verified, Some(email)),
            Self::Removed => (CustomerStatus::Removed, None),
        };
        let customer_id = question.customer_id;
        Some(CustomerState { customer_id, status, email: email.cloned(), version })
    }
}
