//! What a client is told when something is wrong: a message for people, a code for programs.
use async_graphql::{Error, ErrorExtensionValues, PathSegment, ServerError, Value};
use shell::{
    client::{CommandError, FactError, Lost, Rejected, Unavailable},
    explain::ExplainError,
    history::HistoryError,
    reads::{ReadError, Unserved},
};
use uuid::Uuid;

/// What is wrong, for programs: `extensions.code` of a GraphQL error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// A rule refused the command; `reason` says which.
    Rejected,
    /// The thing has changed since the client saw it; `expected` and `actual` are its versions.
    VersionConflict,
    /// The command id was used before, for another command.
    CommandIdReused,
    /// It is for operators, and the request has not their token.
    Forbidden,
    /// A value is wrong; `path` says where.
    InvalidInput,
    /// The GraphQL document cannot be read, or does not fit the schema.
    InvalidDocument,
    /// The HTTP request is not one that this server answers.
    InvalidRequest,
    /// Too large, deep or complex; `limit` and `maximum` say what is allowed.
    LimitExceeded,
    /// No answer within the deadline: the command may yet be decided, the view may yet get there.
    Pending,
    /// The view is being built.
    Rebuilding,
    /// The position is none that this fleet has given out.
    Failed,
    /// Something was missed: read again what is to be known, and subscribe from there.
    Resync,
    /// A server that is needed does not answer, or too much is going on. Nothing was done.
    Unavailable,
    /// The request took longer than is allowed.
    Timeout,
    /// A defect of the server.
    Internal,
}

impl Code {
    /// As programs see it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "REJECTED",
            Self::VersionConflict => "VERSION_CONFLICT",
            Self::CommandIdReused => "COMMAND_ID_REUSED",
            Self::Forbidden => "FORBIDDEN",
            Self::InvalidInput => "INVALID_INPUT",
            Self::InvalidDocument => "INVALID_DOCUMENT",
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Pending => "PENDING",
            Self::Rebuilding => "REBUILDING",
            Self::Failed => "FAILED",
            Self::Resync => "RESYNC",
            Self::Unavailable => "UNAVAILABLE",
            Self::Timeout => "TIMEOUT",
            Self::Internal => "INTERNAL",
        }
    }
}

/// An error on its way to a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// What else programs may want to know.
    pub details: Vec<(&'static str, Value)>,
}

impl Failure {
    /// An error without details.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Vec::new() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.details.push((name, value.into()));
        self
    }

    /// The value at `path` (of an argument, a header, the body) is wrong.
    pub fn invalid<S: Into<String>>(
        path: impl IntoIterator<Item = S>,
        message: impl Into<String>,
    ) -> Self {
        let path = path.into_iter().map(|it| Value::from(it.into())).collect();
        Self::new(Code::InvalidInput, message).with("path", Value::List(path))
    }

    /// More of something than is allowed.
    pub fn limit(limit: &'static str, maximum: usize, message: impl Into<String>) -> Self {
        Self::new(Code::LimitExceeded, message).with("limit", limit).with("maximum", maximum as u64)
    }

    /// Why a command was refused.
    pub(crate) fn rejected(command_id: Uuid, rejected: Rejected) -> Self {
        let Rejected { code, message, details } = rejected;
        let failure = match code.as_str() {
            "VERSION_CONFLICT" => {
                let version = |name: &str| details.get(name).and_then(serde_json::Value::as_i64);
                Self::new(Code::VersionConflict, message)
                    .with("expected", version("expected"))
                    .with("actual", version("actual"))
            }
            "COMMAND_ID_REUSED" => Self::new(Code::CommandIdReused, message),
            _ => {
                let details = Value::from_json(details).unwrap_or_default();
                let failure = Self::new(Code::Rejected, message).with("reason", code);
                if details == Value::Null { failure } else { failure.with("details", details) }
            }
        };
        failure.with("commandId", command_id.to_string())
    }

    /// Why a command has no answer.
    pub(crate) fn unanswered(command_id: Uuid, error: &CommandError) -> Self {
        let message = error.to_string();
        let failure = match error {
            CommandError::Pending { .. } => Self::new(Code::Pending, message),
            CommandError::Unavailable(_) | CommandError::Overloaded { .. } => {
                Self::new(Code::Unavailable, message)
            }
            CommandError::TooLarge { .. } | CommandError::Invalid(_) => {
                Self::invalid(["input"], message)
            }
        };
        failure.with("commandId", command_id.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let message = error.to_string();
        match error {
            ReadError::Pending { missing } => {
                Self::new(Code::Pending, message).with("missing", missing)
            }
            ReadError::Rebuilding { view } => {
                Self::new(Code::Rebuilding, message).with("view", view)
            }
            ReadError::Failed(_) => Self::new(Code::Failed, message),
            ReadError::Unserved(Unserved::Filter(_)) => Self::invalid(["where"], message),
            ReadError::Unserved(Unserved::Order(_)) => Self::invalid(["orderBy"], message),
            ReadError::Unserved(Unserved::Place(_)) => Self::invalid(["after"], message),
            ReadError::Unavailable(_) => Self::new(Code::Unavailable, message),
        }
    }
}

impl From<Lost> for Failure {
    fn from(lost: Lost) -> Self {
        let message = format!("{lost}: query again, and subscribe from the position of the answer");
        Self::new(Code::Resync, message)
    }
}

impl From<Unavailable> for Failure {
    fn from(error: Unavailable) -> Self {
        Self::new(Code::Unavailable, error.to_string())
    }
}

impl From<FactError> for Failure {
    fn from(error: FactError) -> Self {
        let message = error.to_string();
        match error {
            FactError::Unanswered => Self::new(Code::Pending, message),
            FactError::Unavailable(_) => Self::new(Code::Unavailable, message),
            FactError::Refused(Rejected { code, .. }) => {
                Self::new(Code::Rejected, message).with("reason", code)
            }
            FactError::Invalid(_) => Self::invalid(["id"], message),
        }
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        let code = match error {
            HistoryError::Store(_) => Code::Unavailable,
            HistoryError::Unreadable { .. } => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}

impl From<ExplainError> for Failure {
    fn from(error: ExplainError) -> Self {
        let message = error.to_string();
        match error {
            ExplainError::NoView { .. } => Self::invalid(["view"], message),
            ExplainError::NoKey { .. } => Self::invalid(["id"], message),
            ExplainError::Rebuilding(view) => {
                Self::new(Code::Rebuilding, message).with("view", view)
            }
            ExplainError::History(error) => error.into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", failure.code.as_str());
        for (name, value) in failure.details {
            extensions.set(name, value);
        }
        Self { message: failure.message, source: None, extensions: Some(extensions) }
    }
}

impl From<Failure> for ServerError {
    fn from(failure: Failure) -> Self {
        let Error { message, source, extensions } = failure.into();
        Self { message, source, locations: Vec::new(), path: Vec::new(), extensions }
    }
}

impl From<Failure> for Box<ServerError> {
    fn from(failure: Failure) -> Self {
        Self::new(failure.into())
    }
}

/// The code of an error that the library found by itself, before or while it executed the document.
/// `None` for an error that has one.
pub(crate) fn classify(error: &ServerError, executed: bool) -> Option<Failure> {
    const ARGUMENT: &str = "Invalid value for argument \"";
    if error.extensions.as_ref().is_some_and(|it| it.get("code").is_some()) {
        return None;
    }
    let message = error.message.clone();
    if let Some(rest) = message.strip_prefix(ARGUMENT)
        && let Some((path, why)) = rest.split_once("\", ")
    {
        // A field that is missing, or too many, is named in the text only.
        let field = ["field \"", "unknown field \""]
            .iter()
            .find_map(|it| why.strip_prefix(it)?.split_once('"'))
            .map(|(name, _)| name.to_owned());
        let path: Vec<String> = path.split('.').map(str::to_owned).chain(field).collect();
        return Some(Failure::invalid(path, message));
    }
    if !executed {
        return Some(Failure::new(Code::InvalidDocument, message));
    }
    // What the library refuses while it executes are values that do not fit their type.
    let wrong = ["Failed to parse", "Expected input type", "Invalid value", "Variable "];
    if wrong.iter().any(|it| message.starts_with(it)) {
        let path = error.path.iter().map(|it| match it {
            PathSegment::Field(name) => name.clone(),
            PathSegment::Index(index) => index.to_string(),
        });
        return Some(Failure::invalid(path.collect::<Vec<_>>(), message));
    }
    Some(Failure::new(Code::Internal, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(failure: Failure) -> serde_json::Value {
        serde_json::to_value(ServerError::from(failure)).expect("serializes")
    }

    #[test]
    fn a_rejection_carries_its_reason() {
        let rejected = Rejected {
            code: "EMAIL_TAKEN".to_owned(),
            message: "another customer has this email".to_owned(),
            details: json!({ "customer_id": "x" }),
        };
        assert_eq!(
            shown(Failure::rejected(Uuid::nil(), rejected)),
            json!({ "message": "another customer has this email", "extensions": {
                "code": "REJECTED", "reason": "EMAIL_TAKEN", "commandId": Uuid::nil(),
                "details": { "customer_id": "x" },
            }})
        );
    }

    #[test]
    fn a_conflict_carries_both_versions() {
        let rejected = Rejected {
            code: "VERSION_CONFLICT".to_owned(),
            message: "it has changed".to_owned(),
            details: json!({ "expected": 1, "actual": 3 }),
        };
        assert_eq!(
            shown(Failure::rejected(Uuid::nil(), rejected))["extensions"],
            json!({ "code": "VERSION_CONFLICT", "expected": 1, "actual": 3, "commandId": Uuid::nil() })
        );
    }

    #[test]
    fn an_unanswered_command_says_whether_it_may_have_an_effect() {
        let id = Uuid::nil();
        let code = |it| Failure::unanswered(id, &it).code;
        assert_eq!(code(CommandError::Pending { command_id: id }), Code::Pending);
        assert_eq!(code(CommandError::Unavailable("no broker".to_owned())), Code::Unavailable);
        assert_eq!(code(CommandError::Overloaded { in_flight: 9 }), Code::Unavailable);
        assert_eq!(code(CommandError::TooLarge { bytes: 2, limit: 1 }), Code::InvalidInput);
    }

    #[test]
    fn a_question_without_an_answer_says_why() {
        let code = |it| Failure::from(it).code;
        assert_eq!(code(FactError::Unanswered), Code::Pending);
        assert_eq!(code(FactError::Unavailable("no broker".to_owned())), Code::Unavailable);
        let no_view = ExplainError::NoView { context: "c", view: "v".to_owned(), views: vec![] };
        assert_eq!(Failure::from(no_view).code, Code::InvalidInput);
    }

    #[test]
    fn a_view_says_why_it_cannot_be_shown() {
        let code = |it| Failure::from(it).code;
        assert_eq!(code(ReadError::Pending { missing: "12".to_owned() }), Code::Pending);
        assert_eq!(code(ReadError::Rebuilding { view: "customer".to_owned() }), Code::Rebuilding);
        assert_eq!(code(ReadError::Failed("forged".to_owned())), Code::Failed);
        assert_eq!(code(ReadError::Unavailable("down".to_owned())), Code::Unavailable);
    }
}
