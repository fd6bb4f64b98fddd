//! A command that became a dead letter is sent again, edited or not: under a new id, as the old one keeps its outcome
//! (protocol.md W10).
use super::{
    By, CommandPlace, Desk, LetterError, LetterId,
    body::{header, schema_and_datum},
    desk::unresolved,
};
use crate::{
    client::{Answer, Client, Envelope},
    handler::decider::{Deciders, Prepared},
    ids,
};
use functions::Context;
use serde_json::Value;
use shared_events::{NAMESPACE, fleet::Verdict, headers::names};
use std::time::Duration;
use uuid::Uuid;

/// The commands of a context.
pub struct Commands {
    context: &'static str,
    deciders: Deciders,
}

/// What a command is to say instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The record, with or without its namespace; where it is absent, the one that the letter's headers name.
    pub record: Option<String>,
    /// Its fields.
    pub json: Value,
}

/// A command that was sent again.
#[derive(Clone, Debug, PartialEq)]
pub struct Resubmitted {
    /// The new command.
    pub command_id: Uuid,
    /// What became of it.
    pub answer: Answer,
    /// Whether the letter is dealt with: the command was accepted, or has become a dead letter of its own.
    pub is_resolved: bool,
}

impl Commands {
    /// Those of `C`.
    #[must_use]
    pub fn of<C: Context>() -> Self {
        Self { context: C::NAME, deciders: Deciders::of::<C>() }
    }

    fn prepare(&self, record: &str, json: &Value) -> Result<Prepared, String> {
        let full = format!("{NAMESPACE}.{}.{record}", self.context);
        let record = if record.contains('.') { record } else { &full };
        // Whichever decider it is for, its error names the records that there are.
        let decider = self.deciders.for_command(record).unwrap_or_default();
        self.deciders.at(decider).prepare(record, json)
    }
}

impl Desk {
    /// A dead command as it can be edited: the name of its record, and its fields.
    ///
    /// # Errors
    /// There is no such letter, it is dealt with, its bytes cannot be read, or the store does not answer.
    pub async fn editable(
        &self,
        commands: &Commands,
        id: &CommandPlace,
    ) -> Result<(String, Value), LetterError> {
        let letter = self.one(&LetterId::Command(id.clone())).await?;
        unresolved(&letter)?;
        let read = async {
            let (schema, datum) = schema_and_datum(&letter, &self.codec).await?;
            let decider = commands.deciders.for_command(schema.name());
            let decider = decider.ok_or_else(|| {
                format!("{} is no command of {}", schema.name(), commands.context)
            })?;
            commands.deciders.at(decider).editable(&schema, datum)
        };
        let (record, json) = read.await.map_err(|why| LetterError::Invalid {
            argument: "body",
            message: format!(
                "{} cannot be read: {why}; say what the command is, as JSON",
                letter.id
            ),
        })?;
        Ok((record.to_owned(), json))
    }

    /// Sends a dead command again, and waits for what becomes of it. The new command has the actor's name, and the
    /// expected version of the old one unless it was edited. Made again because its answer was lost, the same attempt
    /// has one effect.
    ///
    /// # Errors
    /// There is no such letter, it is dealt with, the edited fields are no command, or the command has no answer.
    pub async fn resubmit(
        &self,
        client: &Client,
        commands: &Commands,
        id: &CommandPlace,
        edit: Option<Edit>,
        by: &By,
        deadline: Duration,
    ) -> Result<Resubmitted, LetterError> {
        let letter = self.one(&LetterId::Command(id.clone())).await?;
        unresolved(&letter)?;
        let expected_version = match &edit {
            Some(_) => None,
            None => header(&letter, names::EXPECTED_VERSION).and_then(|it| it.parse().ok()),
        };
        let (record, json) = match edit {
            Some(Edit { record, json }) => {
                let record = record.or_else(|| header(&letter, names::TYPE));
                let record = record.ok_or_else(|| LetterError::Invalid {
                    argument: "record",
                    message: format!("the headers of {} name no record: name one", letter.id),
                })?;
                (record, json)
            }
            None => self.editable(commands, id).await?,
        };
        let prepared = commands
            .prepare(&record, &json)
            .map_err(|message| LetterError::Invalid { argument: "body", message })?;
        let name = letter.id.to_string();
        let before = self.store.operations(commands.context, Some(&name), i64::MAX).await?;
        let attempt = before.iter().filter(|it| it.action == RESUBMIT).count();
        let payload = letter.payload.as_deref().unwrap_or_default();
        let command_id = ids::resubmission_id(&name, attempt, [payload, &prepared.datum]);
        let correlation = header(&letter, names::CORRELATION).and_then(|it| it.parse().ok());
        let envelope = Envelope {
            command_id,
            correlation: correlation.unwrap_or(command_id),
            traceparent: header(&letter, names::TRACEPARENT),
            actor: Some(by.actor.clone()),
            expected_version,
            deadline,
        };
        let answer = client.submit(prepared, envelope).await;
        let answer = answer.map_err(|error| LetterError::Command { command_id, error })?;
        let result = match (&answer.verdict, &answer.rejection) {
            (Verdict::Accepted, _) => format!("ACCEPTED as {command_id}"),
            (Verdict::Rejected, rejection) => {
                let code = rejection.as_ref().map_or("REJECTED", |it| it.code.as_str());
                format!("{code} as {command_id}")
            }
        };
        let is_resolved = answer.verdict == Verdict::Accepted
            || self.store.is_letter(commands.context, command_id).await?;
        let operation = self.operation(RESUBMIT, name, by, result);
        if is_resolved {
            let resolution = format!("resubmitted: {}", operation.result);
            self.store.resolve(id, &resolution, &operation).await?;
        } else {
            self.store.note(commands.context, &operation).await?;
        }
        Ok(Resubmitted { command_id, answer, is_resolved })
    }
}

const RESUBMIT: &str = "resubmit";
