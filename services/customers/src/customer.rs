//! What may happen to a customer.
//!
//! | Command | nobody yet | invited, or verified | removed |
//! |---|---|---|---|
//! | invite | invited; `ALREADY_INVITED` where another customer has the e-mail | `CUSTOMER_EXISTS` | `CUSTOMER_REMOVED` |
//! | verify | `CUSTOMER_NOT_FOUND` | verified; nothing when it was before | `CUSTOMER_REMOVED` |
//! | change e-mail | `CUSTOMER_NOT_FOUND` | changed, and invited again; nothing for the same e-mail; `EMAIL_TAKEN` | `CUSTOMER_REMOVED` |
//! | remove | `CUSTOMER_NOT_FOUND` | removed | nothing |
//!
//! Before all of that: an e-mail that is empty is `EMAIL_REQUIRED`, one that is no address `EMAIL_INVALID`. What is
//! wrong with a command itself is said first, because it is wrong whoever it is sent to: the sender is told the same
//! before and after the customer exists, and nobody is looked up for an address that cannot be one.
use crate::email::{self, Email};
use functions::{Claim, Decider, Known, Unique};
use serde::{Deserialize, Serialize};
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, CustomerEmailChanged, CustomerEvent, CustomerInvited,
    CustomerRemoved, CustomerVerified, InviteCustomer, RemoveCustomer, VerifyCustomer,
};
use uuid::Uuid;

/// A customer, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Customer {
    /// Nobody was invited by this id.
    #[default]
    Unknown,
    /// Invited to an e-mail address that may still be anybody's.
    Invited {
        /// As typed.
        email: String,
    },
    /// The e-mail address proved to be theirs.
    Verified {
        /// As typed.
        email: String,
    },
    /// Left for good: the id is never used again, the e-mail address is free.
    Removed,
}

/// Why a command is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
// The code says which it is; what travels beside it are the fields.
#[serde(untagged)]
pub enum Rejection {
    /// There is nothing but white space.
    #[error("email is required")]
    EmailRequired,
    /// It is no e-mail address.
    #[error("{problem}")]
    EmailInvalid {
        /// Which rule it breaks.
        problem: email::Invalid,
    },
    /// Another customer has this e-mail address.
    #[error("another customer has this email")]
    EmailTaken,
    /// Somebody was invited to this e-mail address before; to most callers that is as good as an invitation.
    #[error("this email was invited before")]
    AlreadyInvited {
        /// Who has the e-mail address.
        customer_id: Uuid,
    },
    /// Nobody was invited by this id.
    #[error("there is no such customer")]
    CustomerNotFound,
    /// The id of an invitation is another customer's.
    #[error("a customer with this id exists already")]
    CustomerExists,
    /// The customer left.
    #[error("this customer was removed")]
    CustomerRemoved,
}

impl functions::Rejection for Rejection {
    fn code(&self) -> &'static str {
        match self {
            Self::EmailRequired => "EMAIL_REQUIRED",
            Self::EmailInvalid { .. } => "EMAIL_INVALID",
            Self::EmailTaken => "EMAIL_TAKEN",
            Self::AlreadyInvited { .. } => "ALREADY_INVITED",
            Self::CustomerNotFound => "CUSTOMER_NOT_FOUND",
            Self::CustomerExists => "CUSTOMER_EXISTS",
            Self::CustomerRemoved => "CUSTOMER_REMOVED",
        }
    }
}

impl From<email::Problem> for Rejection {
    fn from(problem: email::Problem) -> Self {
        match problem {
            email::Problem::Missing => Self::EmailRequired,
            email::Problem::Invalid(problem) => Self::EmailInvalid { problem },
        }
    }
}

type Decision = Result<Vec<CustomerEvent>, Rejection>;

impl Decider for Customer {
    type Command = CustomerCommand;
    type Event = CustomerEvent;
    type Rejection = Rejection;
    const REVISION: u32 = 1;

    fn asks(command: &CustomerCommand) -> Vec<Unique> {
        match command {
            CustomerCommand::InviteCustomer(InviteCustomer { email, .. })
            | CustomerCommand::ChangeCustomerEmail(ChangeCustomerEmail { email, .. }) => {
                // Nobody can hold what is no address; the decision refuses it.
                Email::parse(email).iter().map(Email::unique).collect()
            }
            CustomerCommand::VerifyCustomer(_) | CustomerCommand::RemoveCustomer(_) => Vec::new(),
        }
    }

    fn decide(&self, command: &CustomerCommand, known: &Known) -> Decision {
        match command {
            CustomerCommand::InviteCustomer(it) => self.invite(it, known),
            CustomerCommand::VerifyCustomer(it) => self.verify(it),
            CustomerCommand::ChangeCustomerEmail(it) => self.change_email(it, known),
            CustomerCommand::RemoveCustomer(it) => self.remove(it),
        }
    }

    fn evolve(&mut self, event: &CustomerEvent) {
        match event {
            CustomerEvent::CustomerInvited(CustomerInvited { email, .. })
            // A new address may be anybody's, whatever was shown about the old one.
            | CustomerEvent::CustomerEmailChanged(CustomerEmailChanged { email, .. }) => {
                *self = Self::Invited { email: email.clone() };
            }
            CustomerEvent::CustomerVerified(_) => {
                if let Self::Invited { email } = self {
                    *self = Self::Verified { email: std::mem::take(email) };
                }
            }
            CustomerEvent::CustomerRemoved(_) => *self = Self::Removed,
        }
    }

    fn claims(event: &CustomerEvent) -> Vec<Claim> {
        match event {
            CustomerEvent::CustomerInvited(it) => vec![Claim::Take(email::unique(&it.email))],
            CustomerEvent::CustomerVerified(_) => Vec::new(),
            CustomerEvent::CustomerEmailChanged(it) => vec![
                Claim::Release(email::unique(&it.previous_email)),
                Claim::Take(email::unique(&it.email)),
            ],
            CustomerEvent::CustomerRemoved(it) => vec![Claim::Release(email::unique(&it.email))],
        }
    }
}

impl Customer {
    fn invite(&self, command: &InviteCustomer, known: &Known) -> Decision {
        let email = Email::parse(&command.email)?;
        match self {
            Self::Unknown => match known.holder(&email.unique()) {
                Some(customer_id) => Err(Rejection::AlreadyInvited { customer_id }),
                None => Ok(vec![
                    CustomerInvited {
                        customer_id: command.customer_id,
                        email: email.typed().to_owned(),
                    }
                    .into(),
                ]),
            },
            // Also when it is the very same invitation: whoever sends one twice uses the command's id for that, and
            // is answered with what was decided the first time.
            Self::Invited { .. } | Self::Verified { .. } => Err(Rejection::CustomerExists),
            // The id is used up. It says more than that it exists.
            Self::Removed => Err(Rejection::CustomerRemoved),
        }
    }

    fn verify(&self, command: &VerifyCustomer) -> Decision {
        match self {
            Self::Unknown => Err(Rejection::CustomerNotFound),
            Self::Invited { .. } => {
                Ok(vec![CustomerVerified { customer_id: command.customer_id }.into()])
            }
            // Verifying twice changes nothing: people click links twice.
            Self::Verified { .. } => Ok(Vec::new()),
            Self::Removed => Err(Rejection::CustomerRemoved),
        }
    }

    fn change_email(&self, command: &ChangeCustomerEmail, known: &Known) -> Decision {
        let email = Email::parse(&command.email)?;
        match self {
            Self::Unknown => Err(Rejection::CustomerNotFound),
            Self::Invited { email: previous } | Self::Verified { email: previous } => {
                // The same address in other letters is the same address: mail goes where it went, so nothing needs
                // to be verified again. It stays as it was typed first.
                if email.unique() == email::unique(previous) {
                    return Ok(Vec::new());
                }
                if known.holder(&email.unique()).is_some() {
                    return Err(Rejection::EmailTaken);
                }
                Ok(vec![
                    CustomerEmailChanged {
                        customer_id: command.customer_id,
                        email: email.typed().to_owned(),
                        previous_email: previous.clone(),
                    }
                    .into(),
                ])
            }
            Self::Removed => Err(Rejection::CustomerRemoved),
        }
    }

    fn remove(&self, command: &RemoveCustomer) -> Decision {
        match self {
            Self::Unknown => Err(Rejection::CustomerNotFound),
            Self::Invited { email } | Self::Verified { email } => Ok(vec![
                CustomerRemoved { customer_id: command.customer_id, email: email.clone() }.into(),
            ]),
            // Removing twice changes nothing.
            Self::Removed => Ok(Vec::new()),
        }
    }
}
