//! What customers do, written a second time and as simply as can be: one map of customers, one of addresses.
//!
//! It shares nothing with the decider but the rule of what an address is.
use customers::email::{Email, Problem, normal_form};
use shared_events::{
    Message as _,
    customers::{
        CustomerCommand, CustomerEmailChanged, CustomerEvent, CustomerInvited, CustomerRemoved,
        CustomerVerified,
    },
};
use std::collections::BTreeMap;
use uuid::Uuid;

/// All customers, and who has which address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Model {
    customers: BTreeMap<Uuid, Customer>,
    holders: BTreeMap<String, Uuid>,
}

/// A customer who was invited at some time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Customer {
    pub(super) status: Status,
    /// As typed; of a removed customer the last one.
    pub(super) email: String,
    pub(super) version: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Invited,
    Verified,
    Removed,
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// `None`: accepted.
    pub(super) code: Option<&'static str>,
    /// Who has the address, in an `ALREADY_INVITED`.
    pub(super) holder: Option<Uuid>,
    /// The version of the customer after it.
    pub(super) version: i64,
}

impl Model {
    /// Does what a command asks for; the answer, and what happened.
    pub(super) fn apply(&mut self, command: &CustomerCommand) -> (Said, Option<CustomerEvent>) {
        let id = command.stream();
        let holder = value_of(command).and_then(|it| self.holders.get(&it).copied());
        let (said, happened) = decide(self.customers.get(&id), command, holder);
        if let Some(event) = &happened {
            let before = self.customers.remove(&id);
            if let Some(value) = before.as_ref().and_then(Customer::value) {
                self.holders.remove(&value);
            }
            if let Some(after) = after(before, event) {
                self.holders.extend(after.value().map(|it| (it, id)));
                self.customers.insert(id, after);
            }
        }
        (said, happened)
    }
}

impl Customer {
    /// The address that nobody else may have meanwhile.
    pub(super) fn value(&self) -> Option<String> {
        (self.status != Status::Removed).then(|| normal_form(&self.email))
    }
}

/// The address that a command would like to have, if it is one.
pub(super) fn value_of(command: &CustomerCommand) -> Option<String> {
    Email::parse(typed(command)?).ok().map(|it| it.normal().to_owned())
}

fn typed(command: &CustomerCommand) -> Option<&str> {
    match command {
        CustomerCommand::InviteCustomer(it) => Some(&it.email),
        CustomerCommand::ChangeCustomerEmail(it) => Some(&it.email),
        CustomerCommand::VerifyCustomer(_) | CustomerCommand::RemoveCustomer(_) => None,
    }
}

/// The answer to a command for a customer as it is, when its address is held by this one; and what happens.
pub(super) fn decide(
    customer: Option<&Customer>,
    command: &CustomerCommand,
    holder: Option<Uuid>,
) -> (Said, Option<CustomerEvent>) {
    let version = customer.map_or(0, |it| it.version);
    match rule(customer, command, holder) {
        Ok(None) => (Said { code: None, holder: None, version }, None),
        Ok(Some(it)) => (Said { code: None, holder: None, version: version + 1 }, Some(it)),
        Err(code) => {
            let holder = holder.filter(|_| code == ALREADY_INVITED);
            (Said { code: Some(code), holder, version }, None)
        }
    }
}

pub(super) const ALREADY_INVITED: &str = "ALREADY_INVITED";
pub(super) const EMAIL_TAKEN: &str = "EMAIL_TAKEN";

fn rule(
    customer: Option<&Customer>,
    command: &CustomerCommand,
    holder: Option<Uuid>,
) -> Result<Option<CustomerEvent>, &'static str> {
    use CustomerCommand::{ChangeCustomerEmail, InviteCustomer, RemoveCustomer, VerifyCustomer};
    match typed(command).map(Email::parse) {
        Some(Err(Problem::Missing)) => return Err("EMAIL_REQUIRED"),
        Some(Err(Problem::Invalid(_))) => return Err("EMAIL_INVALID"),
        Some(Ok(_)) | None => {}
    }
    let customer_id = command.stream();
    let Some(customer) = customer else {
        return match command {
            InviteCustomer(_) if holder.is_some() => Err(ALREADY_INVITED),
            InviteCustomer(it) => {
                let email = it.email.trim().to_owned();
                Ok(Some(CustomerInvited { customer_id, email }.into()))
            }
            VerifyCustomer(_) | ChangeCustomerEmail(_) | RemoveCustomer(_) => {
                Err("CUSTOMER_NOT_FOUND")
            }
        };
    };
    let previous_email = customer.email.clone();
    match (customer.status, command) {
        (Status::Removed, RemoveCustomer(_)) | (Status::Verified, VerifyCustomer(_)) => Ok(None),
        (Status::Removed, _) => Err("CUSTOMER_REMOVED"),
        (_, InviteCustomer(_)) => Err("CUSTOMER_EXISTS"),
        (_, VerifyCustomer(_)) => Ok(Some(CustomerVerified { customer_id }.into())),
        (_, ChangeCustomerEmail(it)) if normal_form(&it.email) == normal_form(&customer.email) => {
            Ok(None)
        }
        (_, ChangeCustomerEmail(_)) if holder.is_some() => Err(EMAIL_TAKEN),
        (_, ChangeCustomerEmail(it)) => {
            let email = it.email.trim().to_owned();
            Ok(Some(CustomerEmailChanged { customer_id, email, previous_email }.into()))
        }
        (_, RemoveCustomer(_)) => {
            Ok(Some(CustomerRemoved { customer_id, email: previous_email }.into()))
        }
    }
}

/// A customer after an event; `None` if the event cannot have happened to it.
pub(super) fn after(before: Option<Customer>, event: &CustomerEvent) -> Option<Customer> {
    let (status, email) = match event {
        CustomerEvent::CustomerInvited(it) if before.is_none() => {
            return Some(Customer { status: Status::Invited, email: it.email.clone(), version: 1 });
        }
        CustomerEvent::CustomerInvited(_) => return None,
        CustomerEvent::CustomerVerified(_) => (Status::Verified, None),
        CustomerEvent::CustomerEmailChanged(it) => (Status::Invited, Some(&it.email)),
        CustomerEvent::CustomerRemoved(_) => (Status::Removed, None),
    };
    let before = before?;
    let email = email.cloned().unwrap_or(before.email);
    Some(Customer { status, email, version: before.version + 1 })
}
