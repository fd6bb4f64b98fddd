//! Customers as clients see them. To add a command: its input and its payload, and a mutation of three lines.
mod live;
mod past;
mod rows;

pub(crate) use live::{CustomerSubscriptions, RowsMax};
pub(crate) use past::CustomerPastQueries;
pub(crate) use rows::Rows;

use crate::{
    commands::{self, Answered, Patience, of},
    counts::{CountOf, FieldOf},
    errors::Failure,
    filter::Where,
    order::OrderBy,
    relay::{self, Arguments, Pages},
    scalars::{Date, Instant, Uuid},
    session::Session,
};
use async_graphql::{
    ComplexObject, Context, Enum, InputObject, Object, SimpleObject, dataloader::DataLoader,
};
use customers::{
    Customers,
    email::{Email, Problem},
    views,
};
use functions::Context as _;
use shared_events::customers::{
    ChangeCustomerEmail, CustomerCommand, InviteCustomer, RemoveCustomer, VerifyCustomer,
};
use shell::{
    client::Client,
    ids,
    reads::{Comparison, Counts, Filter, Query, Test, Value},
};
use std::sync::Arc;

/// Mutations of customers.
#[derive(Default)]
pub(crate) struct CustomerMutations;

#[Object]
impl CustomerMutations {
    /// Invites somebody by e-mail to become a customer. Where a customer has this e-mail already, the answer is
    /// that customer, and nothing happens.
    #[graphql(complexity = "10 + child_complexity")]
    async fn invite_customer(
        &self,
        context: &Context<'_>,
        input: InviteCustomerInput,
    ) -> Result<InviteCustomerPayload, Failure> {
        let command_id = commands::command_id(context, input.command_id)?;
        // Derived from the command's id, so that a retry goes to the same customer.
        let customer_id = input.customer_id.map_or_else(|| ids::derived_id(command_id), |it| it.0);
        let command = InviteCustomer { customer_id, email: input.email };
        let answered =
            commands::send(context, command_id, None, CustomerCommand::from(command)).await?;
        InviteCustomerPayload::new(answered)
    }

    /// Takes note that the customer's e-mail address proved to be theirs.
    #[graphql(complexity = "10 + child_complexity")]
    async fn verify_customer(
        &self,
        context: &Context<'_>,
        input: VerifyCustomerInput,
    ) -> Result<VerifyCustomerPayload, Failure> {
        let command = VerifyCustomer { customer_id: input.customer_id.0 };
        let (command_id, customer_id) =
            send(context, input.command_id, input.expected_version, command).await?;
        Ok(VerifyCustomerPayload { command_id, customer_id })
    }

    /// Changes the e-mail address of a customer, who has to verify the new one.
    #[graphql(complexity = "10 + child_complexity")]
    async fn change_customer_email(
        &self,
        context: &Context<'_>,
        input: ChangeCustomerEmailInput,
    ) -> Result<ChangeCustomerEmailPayload, Failure> {
        let command = ChangeCustomerEmail { customer_id: input.customer_id.0, email: input.email };
        let (command_id, customer_id) =
            send(context, input.command_id, input.expected_version, command).await?;
        Ok(ChangeCustomerEmailPayload { command_id, customer_id })
    }

    /// Removes a customer for good; the e-mail address becomes free.
    #[graphql(complexity = "10 + child_complexity")]
    async fn remove_customer(
        &self,
        context: &Context<'_>,
        input: RemoveCustomerInput,
    ) -> Result<RemoveCustomerPayload, Failure> {
        let command = RemoveCustomer { customer_id: input.customer_id.0 };
        let (command_id, customer_id) =
            send(context, input.command_id, input.expected_version, command).await?;
        Ok(RemoveCustomerPayload { command_id, customer_id })
    }
}

/// Sends a command to an existing customer; the ids of the command and of the customer if it was accepted.
async fn send(
    context: &Context<'_>,
    command_id: Option<Uuid>,
    expected_version: Option<i64>,
    command: impl Into<CustomerCommand>,
) -> Result<(Uuid, Uuid), Failure> {
    let command_id = commands::command_id(context, command_id)?;
    let answered = commands::send(context, command_id, expected_version, command.into()).await?;
    Ok((Uuid(command_id), Uuid(answered.accepted()?)))
}

/// Whom to invite.
#[derive(InputObject)]
struct InviteCustomerInput {
    /// The e-mail address, at most 254 bytes; shown as it is typed here.
    email: String,
    /// The id of the new customer; made from the command's id if absent.
    customer_id: Option<Uuid>,
    /// The command's id, which makes it safe to send the mutation again: one effect, the same answer. The header
    /// `Idempotency-Key` does the same; if neither is there, a new one is made.
    command_id: Option<Uuid>,
}

/// Whose e-mail address is verified.
#[derive(InputObject)]
struct VerifyCustomerInput {
    /// The customer.
    customer_id: Uuid,
    /// The version of the customer that the decision rests on: `VERSION_CONFLICT` if it has another one by now.
    expected_version: Option<i64>,
    /// The command's id, which makes it safe to send the mutation again: one effect, the same answer. The header
    /// `Idempotency-Key` does the same; if neither is there, a new one is made.
    command_id: Option<Uuid>,
}

/// Whose e-mail address changes, and to what.
#[derive(InputObject)]
struct ChangeCustomerEmailInput {
    /// The customer.
    customer_id: Uuid,
    /// The new e-mail address, at most 254 bytes; shown as it is typed here.
    email: String,
    /// The version of the customer that the decision rests on: `VERSION_CONFLICT` if it has another one by now.
    expected_version: Option<i64>,
    /// The command's id, which makes it safe to send the mutation again: one effect, the same answer. The header
    /// `Idempotency-Key` does the same; if neither is there, a new one is made.
    command_id: Option<Uuid>,
}

/// Who leaves.
#[derive(InputObject)]
struct RemoveCustomerInput {
    /// The customer.
    customer_id: Uuid,
    /// The version of the customer that the decision rests on: `VERSION_CONFLICT` if it has another one by now.
    expected_version: Option<i64>,
    /// The command's id, which makes it safe to send the mutation again: one effect, the same answer. The header
    /// `Idempotency-Key` does the same; if neither is there, a new one is made.
    command_id: Option<Uuid>,
}

/// What became of an invitation.
#[derive(SimpleObject)]
#[graphql(complex)]
struct InviteCustomerPayload {
    /// The id of the command that was sent.
    command_id: Uuid,
    /// Whether the customer is new.
    outcome: InviteOutcome,
    #[graphql(skip)]
    customer_id: Uuid,
}

/// What an invitation came to.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
enum InviteOutcome {
    /// There is a new customer.
    Invited,
    /// A customer has this e-mail already; nothing happened.
    AlreadyInvited,
}

impl InviteCustomerPayload {
    fn new(answered: Answered) -> Result<Self, Failure> {
        let command_id = Uuid(answered.command_id);
        let holder = answered
            .refused_for("ALREADY_INVITED")
            .and_then(|it| it.details.get("customer_id")?.as_str()?.parse().ok().map(Uuid));
        Ok(match holder {
            Some(customer_id) => {
                Self { command_id, outcome: InviteOutcome::AlreadyInvited, customer_id }
            }
            None => Self {
                command_id,
                outcome: InviteOutcome::Invited,
                customer_id: Uuid(answered.accepted()?),
            },
        })
    }
}

/// The customer of a payload: looked up when it is selected, and only then waited for.
macro_rules! customer_of {
    ($payload:ident) => {
        #[ComplexObject]
        impl $payload {
            /// The customer as the command left it.
            #[graphql(complexity = "1 + child_complexity")]
            async fn customer(&self, context: &Context<'_>) -> Result<Option<Customer>, Failure> {
                customer(context, self.customer_id).await
            }
        }
    };
}
macro_rules! payload {
    ($(#[doc = $doc:literal])* $payload:ident) => {
        $(#[doc = $doc])*
        #[derive(SimpleObject)]
        #[graphql(complex)]
        struct $payload {
            /// The id of the command that was sent.
            command_id: Uuid,
            #[graphql(skip)]
            customer_id: Uuid,
        }
        customer_of!($payload);
    };
}
customer_of!(InviteCustomerPayload);
payload!(
    /// What became of a verification.
    VerifyCustomerPayload
);
payload!(
    /// What became of a change of the e-mail address.
    ChangeCustomerEmailPayload
);
payload!(
    /// What became of a removal.
    RemoveCustomerPayload
);

/// Queries about customers.
#[derive(Default)]
pub(crate) struct CustomerQueries;

#[expect(clippy::too_many_arguments, reason = "so many has a page")]
#[Object]
impl CustomerQueries {
    /// The customer with this id.
    async fn customer(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The customer's id.")] id: Uuid,
    ) -> Result<Option<Customer>, Failure> {
        customer(context, id).await
    }

    /// Customers, removed ones among them, in the order of their ids if no other is asked for.
    #[graphql(complexity = "relay::cost(first, last, child_complexity)")]
    async fn customers(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first so many, 1 to 500; 50 if neither first nor last is given.")]
        first: Option<i64>,
        #[graphql(desc = "Only those after this cursor.")] after: Option<String>,
        #[graphql(desc = "The last so many, 1 to 500; in the same order all the same.")]
        last: Option<i64>,
        #[graphql(desc = "Only those before this cursor.")] before: Option<String>,
        #[graphql(name = "where", desc = "Only those of which this holds.")] filter: Option<
            Where<views::Customer>,
        >,
        #[graphql(desc = "In which order; what it leaves open their ids decide.")] order_by: Option<
            Vec<OrderBy<views::Customer>>,
        >,
    ) -> Result<CustomerPages, Failure> {
        let count = context.look_ahead().field("totalCount").exists();
        let filter = filter.map(|it| it.filter).transpose()?.unwrap_or_default();
        let order = order_by.into_iter().flatten().map(|it| it.order).collect();
        let arguments = Arguments { filter, order, first, after, last, before };
        let query = arguments.query::<views::Customer>(count)?;
        let rows = read(context, query.clone()).await?;
        Ok(relay::connection(&query, rows, Customer))
    }

    /// Whether a customer has this e-mail address, in whatever form it is typed. Strongly consistent: it asks the side
    /// that decides, and is never older than any answer to a mutation.
    #[graphql(complexity = 5)]
    async fn is_email_taken(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The e-mail address.")] email: String,
    ) -> Result<bool, Failure> {
        let email = Email::parse(&email).map_err(|problem| match problem {
            Problem::Missing => Failure::invalid(["email"], "email is empty"),
            Problem::Invalid(why) => Failure::invalid(["email"], why.to_string()),
        })?;
        Ok(of::<Client>(context)?.holder(Customers::NAME, &email.unique()).await?.is_some())
    }

    /// How many customers there are, by what they are like: `customerCounts(by: [STATUS]) { status count }`. At most
    /// 1,000 lines, in the order of the values.
    #[graphql(complexity = "1 + 50 * child_complexity")]
    async fn customer_counts(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "By what; without any, all are counted together.", default)] by: Vec<
            FieldOf<views::Customer>,
        >,
        #[graphql(name = "where", desc = "Only those of which this holds.")] filter: Option<
            Where<views::Customer>,
        >,
    ) -> Result<Vec<CountOf<views::Customer>>, Failure> {
        let filter = filter.map(|it| it.filter).transpose()?.unwrap_or_default();
        let by: Vec<_> = by.into_iter().map(|it| it.column).collect();
        let (session, patience) = (of::<Arc<Session>>(context)?, of::<Patience>(context)?);
        let counts = Counts { filter, by: by.clone() };
        let client = of::<Client>(context)?;
        let counted = client
            .count::<views::Customer>(counts, &session.seen(), session.patience(patience.read))
            .await?;
        session.saw(&counted.position);
        Ok(counted.rows.into_iter().map(|it| CountOf::new(it, by.clone())).collect())
    }

    /// How many customers were invited and verified, day by day; a day without either is left out.
    #[graphql(complexity = "1 + 366 * child_complexity")]
    async fn invitations_per_day(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The first day; from the beginning if absent.")] from: Option<Date>,
        #[graphql(desc = "The last day; up to today if absent.")] to: Option<Date>,
    ) -> Result<Vec<InvitationsPerDay>, Failure> {
        if let (Some(first), Some(last)) = (from, to)
            && first > last
        {
            let message = format!("the last day, {}, is before the first, {}", last.0, first.0);
            return Err(Failure::invalid(["to"], message));
        }
        let bound = |is, day: Option<Date>| {
            day.map(|it| Filter::field("day", Test::Is(is, Value::Date(it.0))))
        };
        let from = bound(Comparison::GreaterOrEqual, from);
        let to = bound(Comparison::LessOrEqual, to);
        let query =
            Query { filter: Filter::All(from.into_iter().chain(to).collect()), ..Query::default() };
        let rows = read::<views::InvitationsPerDay>(context, query).await?.rows;
        Ok(rows.into_iter().map(InvitationsPerDay).collect())
    }
}

/// The connection to all customers.
pub(crate) type CustomerPages = Pages<views::Customer, Customer>;

/// Reads rows as new as all that this request's reader has seen.
async fn read<V: functions::View>(
    context: &Context<'_>,
    query: Query,
) -> Result<shell::client::Rows<V>, Failure> {
    let (session, patience) = (of::<Arc<Session>>(context)?, of::<Patience>(context)?);
    let rows = of::<Client>(context)?
        .read::<V>(query, &session.seen(), session.patience(patience.read))
        .await?;
    session.saw(&rows.position);
    Ok(rows)
}

/// Somebody who was invited by e-mail.
pub(crate) struct Customer(views::Customer);

/// Somebody who was invited by e-mail.
#[Object]
impl Customer {
    /// Names the customer, for ever.
    async fn id(&self) -> Uuid {
        Uuid(self.0.id)
    }

    /// The e-mail address, as typed; of a removed customer the last one.
    async fn email(&self) -> &str {
        &self.0.email
    }

    /// How far the customer has come.
    async fn status(&self) -> CustomerStatus {
        self.0.status.into()
    }

    /// When the invitation went out.
    async fn invited_at(&self) -> Instant {
        Instant(self.0.invited_at)
    }

    /// When the e-mail address proved to be theirs.
    async fn verified_at(&self) -> Option<Instant> {
        self.0.verified_at.map(Instant)
    }

    /// How often the customer has changed: what `expectedVersion` means.
    async fn version(&self) -> i64 {
        self.0.version
    }
}

/// How far a customer has come.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "views::CustomerStatus")]
enum CustomerStatus {
    /// The e-mail address may still be anybody's.
    Invited,
    /// The e-mail address is theirs.
    Verified,
    /// They left, and the e-mail address is free.
    Removed,
}

/// What happened on a day.
struct InvitationsPerDay(views::InvitationsPerDay);

/// What happened on a day, in UTC.
#[Object]
impl InvitationsPerDay {
    /// The day.
    async fn day(&self) -> Date {
        Date(self.0.day)
    }

    /// How many customers were invited.
    async fn invited(&self) -> i64 {
        self.0.invited
    }

    /// How many e-mail addresses were verified.
    async fn verified(&self) -> i64 {
        self.0.verified
    }
}

async fn customer(context: &Context<'_>, id: Uuid) -> Result<Option<Customer>, Failure> {
    let rows = of::<DataLoader<Rows>>(context)?;
    Ok(rows.load_one(id).await?.map(Customer))
}
