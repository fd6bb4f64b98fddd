//! Short names for messages about a few people.
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, CustomerEmailChanged, CustomerEvent, CustomerInvited,
    CustomerRemoved, CustomerVerified, InviteCustomer, RemoveCustomer, VerifyCustomer,
};
use uuid::Uuid;

pub(crate) const ADA: Uuid = Uuid::from_u128(0xada);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb0b);

pub(crate) fn invite(customer_id: Uuid, email: &str) -> CustomerCommand {
    InviteCustomer { customer_id, email: email.to_owned() }.into()
}

pub(crate) fn verify(customer_id: Uuid) -> CustomerCommand {
    VerifyCustomer { customer_id }.into()
}

pub(crate) fn change_email(customer_id: Uuid, email: &str) -> CustomerCommand {
    ChangeCustomerEmail { customer_id, email: email.to_owned() }.into()
}

pub(crate) fn remove(customer_id: Uuid) -> CustomerCommand {
    RemoveCustomer { customer_id }.into()
}

pub(crate) fn invited(customer_id: Uuid, email: &str) -> CustomerEvent {
    CustomerInvited { customer_id, email: email.to_owned() }.into()
}

pub(crate) fn verified(customer_id: Uuid) -> CustomerEvent {
    CustomerVerified { customer_id }.into()
}

pub(crate) fn email_changed(customer_id: Uuid, previous: &str, email: &str) -> CustomerEvent {
    CustomerEmailChanged {
        customer_id,
        email: email.to_owned(),
        previous_email: previous.to_owned(),
    }
    .into()
}

pub(crate) fn removed(customer_id: Uuid, email: &str) -> CustomerEvent {
    CustomerRemoved { customer_id, email: email.to_owned() }.into()
}
