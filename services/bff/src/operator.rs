//! What operators may do over GraphQL: look at dead letters, and deal with them. Only who knows the token is let in.
use crate::{
    commands::{CommandStatus, Patience, of},
    config::Config,
    errors::{Code, Failure},
    scalars::{Instant, Uuid},
    session::Session,
};
use async_graphql::{Context, InputObject, Json, Object, SimpleObject};
use functions::Context as _;
use serde_json::Value;
use shell::{
    Client,
    letters::{
        Body, By, Commands, Desk, Edit, Kind, Letter, LetterError, LetterId, Operation, Settled,
        Wanted,
    },
};
use std::{fmt, sync::Arc};
use subtle::ConstantTimeEq as _;

/// The secret of operators.
#[derive(Clone)]
pub struct Token(String);

impl std::str::FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_sign = |it: u8| it.is_ascii_graphic();
        if text.len() < TOKEN_BYTES_MIN || !text.bytes().all(is_sign) {
            return Err(format!(
                "a token has at least {TOKEN_BYTES_MIN} signs of ASCII, no spaces"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where it is decided who is an operator. Without a token nobody is.
#[derive(Clone, Debug)]
pub(crate) struct Gate(pub(crate) Option<Token>);

impl Gate {
    pub(crate) fn of(config: &Config) -> Self {
        Self(config.operator_token.clone().or_else(|| config.operator_token_file.clone()))
    }

    pub(crate) fn lets_in(&self, given: Option<&str>) -> bool {
        let (Some(Token(token)), Some(given)) = (&self.0, given) else { return false };
        // As long for a token that is wrong in its last sign as for one that is wrong in its first.
        token.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

/// The desk, for those who are let in.
fn desk(context: &Context<'_>) -> Result<Desk, Failure> {
    let given = of::<Arc<Session>>(context)?.operator();
    if !of::<Gate>(context)?.lets_in(given) {
        let message = "this is for operators: send their token in the header Flotilla-Operator";
        return Err(Failure::new(Code::Forbidden, message));
    }
    Ok(of::<Client>(context)?.desk(&crate::commands::CONTEXTS))
}

impl From<LetterError> for Failure {
    fn from(error: LetterError) -> Self {
        let message = error.to_string();
        match error {
            LetterError::Invalid { argument, .. } => Self::invalid(["input", argument], message),
            LetterError::Refused(_) => {
                Self::new(Code::Rejected, message).with("reason", "NOT_POSSIBLE")
            }
            LetterError::Unavailable(_) => Self::new(Code::Unavailable, message),
            LetterError::Command { command_id, error } => Self::unanswered(command_id, &error),
        }
    }
}

fn letter_id(text: &str, path: &[&str]) -> Result<LetterId, Failure> {
    text.parse().map_err(|error| Failure::invalid(path.iter().copied(), format!("{error}")))
}

/// Of a query, whose arguments stand by themselves.
fn asked(error: LetterError) -> Failure {
    match error {
        LetterError::Invalid { argument, message } => Failure::invalid([argument], message),
        other => other.into(),
    }
}

const INPUT_ID: &[&str] = &["input", "id"];

/// Queries of operators.
#[derive(Default)]
pub(crate) struct OperatorQueries;

#[Object]
impl OperatorQueries {
    /// Commands that could not be decided, and events that a view could not fold. For operators.
    #[graphql(complexity = "10 + usize::try_from(first).unwrap_or_default() * child_complexity")]
    async fn dead_letters(
        &self,
        context: &Context<'_>,
        #[graphql(name = "context", desc = "Those of this context only.")] of_context: Option<
            String,
        >,
        #[graphql(desc = "Events of this view only.")] view: Option<String>,
        #[graphql(desc = "Those of this stream only.")] stream: Option<Uuid>,
        #[graphql(
            desc = "Also commands that were dealt with, and events of older versions.",
            default
        )]
        all: bool,
        #[graphql(desc = "At most so many, and never more than 200.", default = 50)] first: i32,
    ) -> Result<Option<DeadLetters>, Failure> {
        let desk = desk(context)?;
        if !(1..=200).contains(&first) {
            return Err(Failure::invalid(["first"], format!("first is {first}: ask for 1 to 200")));
        }
        let (kind, stream) = (view.map(Kind::View), stream.map(|it| it.0));
        let wanted = Wanted { kind, stream, all, limit: first.into(), ..Wanted::default() };
        let listed = desk.list(of_context.as_deref(), &wanted).await.map_err(asked)?;
        let nodes = listed.letters.into_iter().map(DeadLetter::from).collect();
        Ok(Some(DeadLetters { total_count: listed.total, nodes }))
    }

    /// One dead letter with all that is known of it. For operators.
    #[graphql(complexity = "10 + child_complexity")]
    async fn dead_letter(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "As it is listed: customers/customer/3:17.")] id: String,
    ) -> Result<Option<DeadLetterDetails>, Failure> {
        let desk = desk(context)?;
        let shown = desk.show(&letter_id(&id, &["id"])?).await.map_err(asked)?;
        let headers = serde_json::from_str(&shown.letter.headers).unwrap_or_default();
        let (record, body, bytes) = match shown.body {
            Body::Record { record, json } => (Some(record), Some(Json(json)), None),
            Body::Bytes { hex, .. } => (None, None, Some(hex)),
        };
        let operations = shown.operations.into_iter().map(DeadLetterOperation::from).collect();
        let letter = shown.letter.into();
        Ok(Some(DeadLetterDetails {
            letter,
            headers: Json(headers),
            record,
            body,
            bytes,
            operations,
        }))
    }
}

/// Mutations of operators.
#[derive(Default)]
pub(crate) struct OperatorMutations;

#[Object]
impl OperatorMutations {
    /// Tries parked events again, in order, and opens their streams where all of them can be folded. For operators.
    #[graphql(complexity = "10 + child_complexity")]
    async fn retry_dead_letters(
        &self,
        context: &Context<'_>,
        input: RetryDeadLettersInput,
    ) -> Result<Option<RetryPayload>, Failure> {
        let desk = desk(context)?;
        let RetryDeadLettersInput { id, of_context, view, stream, all, actor, reason } = input;
        let by = By::new(&actor, reason.as_deref().unwrap_or_default())?;
        let is_narrow = id.is_some() || view.is_some() || stream.is_some() || of_context.is_some();
        if is_narrow == all {
            let message = "name an id, a view, a stream or a context, or else set all";
            return Err(Failure::invalid(["input"], message));
        }
        let place = id.as_deref().map(|it| letter_id(it, INPUT_ID)).transpose()?;
        let of_context = of_context.or_else(|| place.as_ref().map(|it| it.context().to_owned()));
        let kind = view.map(Kind::View).or_else(|| place.is_none().then_some(Kind::Events));
        let wanted = Wanted { kind, stream: stream.map(|it| it.0), place, ..Wanted::default() };
        let patience = of::<Patience>(context)?.command;
        let settled = desk.retry(of_context.as_deref(), &wanted, &by, patience).await?;
        Ok(Some(settled.into()))
    }

    /// Passes over a parked event for good, in every version of the view, and tries the rest of its stream again; a
    /// command is taken for dealt with. For operators.
    #[graphql(complexity = "10 + child_complexity")]
    async fn discard_dead_letter(
        &self,
        context: &Context<'_>,
        input: DiscardDeadLetterInput,
    ) -> Result<Option<RetryPayload>, Failure> {
        let desk = desk(context)?;
        let by = By::new(&input.actor, &input.reason)?;
        let patience = of::<Patience>(context)?.command;
        let settled = desk.discard(&letter_id(&input.id, INPUT_ID)?, &by, patience).await?;
        Ok(Some(settled.into()))
    }

    /// Sends a command that could not be decided again, under a new id. For operators.
    #[graphql(complexity = "10 + child_complexity")]
    async fn resubmit_command(
        &self,
        context: &Context<'_>,
        input: ResubmitCommandInput,
    ) -> Result<Option<ResubmitPayload>, Failure> {
        let desk = desk(context)?;
        let ResubmitCommandInput { id, record, body, actor, reason } = input;
        let by = By::new(&actor, reason.as_deref().unwrap_or_default())?;
        let LetterId::Command(place) = letter_id(&id, INPUT_ID)? else {
            let message = format!("{id} is an event: retry it, or discard it");
            return Err(Failure::invalid(INPUT_ID.iter().copied(), message));
        };
        if record.is_some() && body.is_none() {
            return Err(Failure::invalid(["input", "body"], "a record needs its fields: add body"));
        }
        let edit = body.map(|Json(json)| Edit { record, json });
        let Some(commands) = commands(&place.context) else {
            let message = format!("there is no context {}", place.context);
            return Err(Failure::invalid(INPUT_ID.iter().copied(), message));
        };
        let (client, patience) = (of::<Client>(context)?, of::<Patience>(context)?.command);
        let done = desk.resubmit(client, &commands, &place, edit, &by, patience).await?;
        of::<Arc<Session>>(context)?.saw(&done.answer.position);
        let command = CommandStatus::decided(Uuid(done.command_id), done.answer);
        Ok(Some(ResubmitPayload { command, is_resolved: done.is_resolved }))
    }
}

/// The commands of a context.
fn commands(context: &str) -> Option<Commands> {
    (context == customers::Customers::NAME).then(Commands::of::<customers::Customers>)
}

/// Dead letters, and how many there are.
#[derive(SimpleObject)]
struct DeadLetters {
    /// How many there are.
    total_count: i64,
    /// The first of them.
    nodes: Vec<DeadLetter>,
}

/// A command that could not be decided, or an event that a view could not fold.
#[derive(SimpleObject)]
struct DeadLetter {
    /// Names it: customers/customer/3:17, customers/commands/3:42.
    id: String,
    /// Why a command was rejected, for programs; PARKED for events.
    code: String,
    /// What is wrong with it, or with the event that it waits behind.
    reason: String,
    /// The stream that it is of, if that can be read.
    stream_id: Option<Uuid>,
    /// The command, if it can be read.
    command_id: Option<Uuid>,
    /// The number of the event that it waits behind; absent for the one that all others of its stream wait behind.
    waits_behind: Option<i64>,
    /// Whether it was asked to be tried again, and has not been yet.
    is_asked: bool,
    /// When the event was decided, or the log took the command.
    at: Instant,
    /// When it was dealt with.
    resolved_at: Option<Instant>,
    /// How it was dealt with.
    resolution: Option<String>,
}

impl From<Letter> for DeadLetter {
    fn from(it: Letter) -> Self {
        let (resolved_at, resolution) = it.resolution.map(|it| (Instant(it.at), it.what)).unzip();
        Self {
            id: it.id.to_string(),
            code: it.code,
            reason: it.reason,
            stream_id: it.stream.map(Uuid),
            command_id: it.command_id.map(Uuid),
            waits_behind: it.behind,
            is_asked: it.asked,
            at: Instant(it.at),
            resolved_at,
            resolution,
        }
    }
}

/// A dead letter with all that is known of it.
#[derive(SimpleObject)]
struct DeadLetterDetails {
    /// The letter.
    letter: DeadLetter,
    /// The headers of the record.
    headers: Json<Value>,
    /// The full name of the record in it, if it can be read.
    record: Option<String>,
    /// The fields of the record in it, if it can be read.
    body: Option<Json<Value>>,
    /// The bytes in hexadecimal digits, if it cannot be read.
    bytes: Option<String>,
    /// What was done to it, the latest first.
    operations: Vec<DeadLetterOperation>,
}

/// What an operator did to a dead letter.
#[derive(SimpleObject)]
struct DeadLetterOperation {
    /// When.
    at: Instant,
    /// Who.
    actor: String,
    /// What: retry, discard or resubmit.
    action: String,
    /// Why.
    reason: String,
    /// What came of it.
    result: String,
}

impl From<Operation> for DeadLetterOperation {
    fn from(Operation { at, by: By { actor, reason }, action, result, .. }: Operation) -> Self {
        Self { at: Instant(at), actor, action, reason, result }
    }
}

/// What is to be tried again: a letter's stream, those of a view, a stream, a context, or all.
#[derive(InputObject)]
struct RetryDeadLettersInput {
    /// The stream of this letter.
    id: Option<String>,
    /// Those of this context.
    #[graphql(name = "context")]
    of_context: Option<String>,
    /// Those of this view.
    view: Option<String>,
    /// This stream.
    stream: Option<Uuid>,
    /// Everything that waits.
    #[graphql(default)]
    all: bool,
    /// Who asks for it.
    actor: String,
    /// Why.
    reason: Option<String>,
}

/// Which letter is discarded.
#[derive(InputObject)]
struct DiscardDeadLetterInput {
    /// The letter.
    id: String,
    /// Who says so.
    actor: String,
    /// Why; it is kept for whoever wonders.
    reason: String,
}

/// What came of trying streams again.
#[derive(SimpleObject)]
struct RetryPayload {
    /// How many streams there were to be tried.
    streams: i32,
    /// Whether some have not been tried in time: they may yet be.
    is_pending: bool,
    /// The first letters of the streams that go on waiting.
    waiting: Vec<DeadLetter>,
}

impl From<Settled> for RetryPayload {
    fn from(Settled { streams, is_pending, waiting }: Settled) -> Self {
        let streams = i32::try_from(streams).unwrap_or(i32::MAX);
        Self { streams, is_pending, waiting: waiting.into_iter().map(DeadLetter::from).collect() }
    }
}

/// Which command is sent again.
#[derive(InputObject)]
struct ResubmitCommandInput {
    /// The letter.
    id: String,
    /// What it is to say instead: the fields of its record.
    body: Option<Json<Value>>,
    /// The record that the fields are of, where the letter does not say it.
    record: Option<String>,
    /// Who sends it; the actor of what comes of it.
    actor: String,
    /// Why.
    reason: Option<String>,
}

/// What became of a command that was sent again.
#[derive(SimpleObject)]
struct ResubmitPayload {
    /// The new command.
    command: CommandStatus,
    /// Whether the letter is dealt with; it is not where a rule refused the new command.
    is_resolved: bool,
}

const TOKEN_BYTES_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_the_token_is_let_in() {
        let token = "0123456789abcdef";
        let gate = Gate(token.parse().ok());
        assert!(gate.lets_in(Some(token)));
        for wrong in
            [None, Some(""), Some("0123456789abcdeF"), Some("0123456789abcdef0"), Some("0")]
        {
            assert!(!gate.lets_in(wrong), "{wrong:?}");
        }
        for given in [None, Some(""), Some(token)] {
            assert!(!Gate(None).lets_in(given), "{given:?}");
        }
    }

    #[test]
    fn a_token_is_long_enough_and_never_shown() {
        for wrong in ["", "short", "0123456789 abcdef", "0123456789abcdé"] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
        let token: Token = "0123456789abcdef".parse().expect("a token");
        assert!(!format!("{token:?}").contains("0123"));
    }
}
