//! Sending commands, and what became of them: for all contexts alike.
use crate::{
    errors::{Code, Failure},
    scalars::Uuid,
    session::Session,
};
use async_graphql::{Context, Enum, Object, SimpleObject};
use functions::{Answers, Context as _, Message};
use shared_events::fleet::Verdict;
use shell::client::{self, Answer, Client, Envelope, Rejected};
use std::{sync::Arc, time::Duration};

/// How long requests wait for the fleet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A mutation, for its answer.
    pub(crate) command: Duration,
    /// A query, for a view that has not come as far as its reader has been.
    pub(crate) read: Duration,
}

/// A command's answer, not looked at yet.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The command's id.
    pub(crate) command_id: uuid::Uuid,
    /// What it said.
    pub(crate) answer: Answer,
}

impl Answered {
    /// Why the command was refused, if it was for this reason.
    pub(crate) fn refused_for(&self, reason: &str) -> Option<&Rejected> {
        self.answer.rejection.as_ref().filter(|it| it.code == reason)
    }

    /// The stream that the command was about.
    ///
    /// # Errors
    /// Why it was refused, if it was.
    pub(crate) fn accepted(self) -> Result<uuid::Uuid, Failure> {
        match (self.answer.verdict, self.answer.rejection) {
            (Verdict::Accepted, _) => Ok(self.answer.stream),
            (Verdict::Rejected, Some(rejected)) => {
                Err(Failure::rejected(self.command_id, rejected))
            }
            (Verdict::Rejected, None) => {
                let failure =
                    Failure::new(Code::Internal, "the command was refused without a reason");
                Err(failure.with("commandId", self.command_id.to_string()))
            }
        }
    }
}

/// The id of the command that a mutation sends: what the client gave, in the input or else as a header; else a
/// new one.
pub(crate) fn command_id(
    context: &Context<'_>,
    given: Option<Uuid>,
) -> Result<uuid::Uuid, Failure> {
    let key = of::<Arc<Session>>(context)?.idempotency_key;
    Ok(match given.map(|it| it.0).or(key) {
        Some(id) => id,
        None => of::<Client>(context)?.new_id(),
    })
}

/// Sends a command and waits for its answer; the reader of this request has then been where it took effect.
pub(crate) async fn send(
    context: &Context<'_>,
    command_id: uuid::Uuid,
    expected_version: Option<i64>,
    command: impl Message,
) -> Result<Answered, Failure> {
    if let Some(version) = expected_version.filter(|it| *it < 0) {
        let message = format!("the expected version is {version}, and versions begin at 1");
        return Err(Failure::invalid(["input", "expectedVersion"], message));
    }
    let session = of::<Arc<Session>>(context)?;
    let envelope = Envelope {
        command_id,
        correlation: session.correlation,
        traceparent: Some(session.traceparent().to_owned()),
        actor: None,
        expected_version,
        deadline: of::<Patience>(context)?.command,
    };
    session.sends(command_id);
    let answer = of::<Client>(context)?
        .command(&command, envelope)
        .await
        .map_err(|error| Failure::unanswered(command_id, &error))?;
    session.saw(&answer.position);
    Ok(Answered { command_id, answer })
}

/// Asks the write side; the reader of this request has then been where the answer comes from.
pub(crate) async fn ask<D: Answers<Q>, Q: Message>(
    context: &Context<'_>,
    question: Q,
) -> Result<Option<D::Answer>, Failure> {
    let (session, client) = (of::<Arc<Session>>(context)?, of::<Client>(context)?);
    let envelope = Envelope {
        command_id: client.new_id(),
        correlation: session.correlation,
        traceparent: Some(session.traceparent().to_owned()),
        actor: None,
        expected_version: None,
        deadline: of::<Patience>(context)?.command,
    };
    let fact = client.ask::<D, Q>(&question, envelope).await?;
    session.saw(&fact.position);
    Ok(fact.answer)
}

/// What the resolvers need, which every request has.
pub(crate) fn of<'a, T: Send + Sync + 'static>(context: &Context<'a>) -> Result<&'a T, Failure> {
    context.data_opt::<T>().ok_or_else(|| {
        Failure::new(Code::Internal, format!("the request has no {}", std::any::type_name::<T>()))
    })
}

/// What became of a command.
#[derive(SimpleObject)]
pub(crate) struct CommandStatus {
    /// The command.
    command_id: Uuid,
    /// How far it has come.
    status: Progress,
    /// Why it was rejected, for programs: `EMAIL_TAKEN`.
    reason: Option<String>,
    /// Why it was rejected, for people.
    message: Option<String>,
    /// What it was about: of a customer's command, the customer.
    stream_id: Option<Uuid>,
    /// The version of what it was about after it.
    version: Option<i64>,
}

/// How far a command has come.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(name = "CommandProgress")]
enum Progress {
    /// Sent, and not decided yet.
    Pending,
    /// Decided; it has taken effect.
    Accepted,
    /// Decided; it has no effect.
    Rejected,
    /// Never sent, not arrived yet, or forgotten: outcomes are kept for 7 days.
    Unknown,
}

impl CommandStatus {
    fn new(id: Uuid, status: Progress) -> Self {
        Self { command_id: id, status, reason: None, message: None, stream_id: None, version: None }
    }

    pub(crate) fn decided(id: Uuid, answer: Answer) -> Self {
        let (status, version) = match answer.verdict {
            Verdict::Accepted => (Progress::Accepted, Some(answer.version)),
            Verdict::Rejected => (Progress::Rejected, None),
        };
        let (reason, message) = answer.rejection.map(|it| (it.code, it.message)).unzip();
        let stream_id = Some(Uuid(answer.stream));
        Self { reason, message, stream_id, version, ..Self::new(id, status) }
    }
}

/// Queries about commands.
#[derive(Default)]
pub(crate) struct CommandQueries;

#[Object]
impl CommandQueries {
    /// What became of a command: for a client whose mutation ended without an answer.
    async fn command(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The command's id: the commandId of its mutation.")] id: Uuid,
    ) -> Result<Option<CommandStatus>, Failure> {
        let client = of::<Client>(context)?;
        let mut pending = false;
        for name in CONTEXTS {
            match client.status(name, id.0).await? {
                client::CommandStatus::Decided(answer) => {
                    of::<Arc<Session>>(context)?.saw(&answer.position);
                    return Ok(Some(CommandStatus::decided(id, answer)));
                }
                client::CommandStatus::Pending => pending = true,
                client::CommandStatus::Unknown => {}
            }
        }
        let status = if pending { Progress::Pending } else { Progress::Unknown };
        Ok(Some(CommandStatus::new(id, status)))
    }
}

/// The contexts whose commands the mutations send.
pub(crate) const CONTEXTS: [&str; 1] = [customers::Customers::NAME];
