//! Deciders without their types, so that one loop serves all deciders of a context.
use super::fact::Fact;
use chrono::{DateTime, Utc};
use functions::{Answers, Claim, Context, Decider, Known, Message, Parts, Rejection, Unique, View};
use serde_json::Value;
use shared_events::{Decoded, EncodeError, Family, RecordSchema, WriterSchema};
use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    marker::PhantomData,
};
use uuid::Uuid;

/// The deciders of a context, and what they are asked.
pub(crate) struct Deciders {
    all: Vec<Box<dyn AnyDecider>>,
    facts: Vec<Fact>,
}

impl Deciders {
    pub(crate) fn of<C: Context>() -> Self {
        let mut list = Self { all: Vec::new(), facts: Vec::new() };
        C::parts(&mut list);
        list
    }

    /// The decider with an index that this list gave out.
    pub(crate) fn at(&self, index: usize) -> &dyn AnyDecider {
        self.all[index].as_ref()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &dyn AnyDecider> {
        self.all.iter().map(AsRef::as_ref)
    }

    /// The decider whose streams have events of this record name.
    pub(crate) fn for_event(&self, record: &str) -> Option<usize> {
        self.all.iter().position(|it| it.events().knows(record))
    }

    /// The topic of events of this record name, as the schema registry's subjects name it: without the namespace.
    pub(crate) fn event_topic(&self, record: &str) -> &'static str {
        self.at(self.for_event(record).unwrap_or_default()).events().topic
    }

    /// The decider that commands of this record name are for.
    pub(crate) fn for_command(&self, record: &str) -> Option<usize> {
        self.all.iter().position(|it| it.commands().knows(record))
    }

    /// The fact that questions of this record name ask for, and the decider that answers them.
    pub(crate) fn for_question(&self, record: &str) -> Option<(&Fact, usize)> {
        let fact = self.facts.iter().find(|it| it.questions.knows(record))?;
        let decider = self.all.iter().position(|it| it.state() == fact.decider)?;
        Some((fact, decider))
    }

    pub(crate) fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.facts.iter()
    }
}

impl Parts for Deciders {
    fn decider<D: Decider>(&mut self) -> &mut Self {
        self.all.push(Box::new(Typed::<D>(PhantomData)));
        self
    }

    fn view<V: View>(&mut self) -> &mut Self {
        self
    }

    fn fact<D: Answers<Q>, Q: Message>(&mut self) -> &mut Self {
        self.facts.push(Fact::of::<D, Q>());
        self
    }
}

/// A decider.
pub(crate) trait AnyDecider: Send + Sync {
    fn commands(&self) -> &'static Family;
    fn events(&self) -> &'static Family;
    /// The type of its state.
    fn state(&self) -> TypeId;
    /// Names the fold: snapshots of another one are not used.
    fn fold(&self) -> String;
    /// Why not, in words.
    fn command(&self, writer: &WriterSchema, datum: &[u8]) -> Result<Box<dyn AnyCommand>, String>;
    /// A command as its record's name and fields today.
    fn editable(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<(&'static str, Value), String>;
    /// A command from its record's name and fields.
    fn prepare(&self, record: &str, json: &Value) -> Result<Prepared, String>;
    fn empty(&self) -> Box<dyn AnyState>;
    /// An event as it is told today: the records that it is, and their fields.
    fn told(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<Vec<(&'static str, Value)>, EvolveError>;
    /// The state of a snapshot, if it can be read.
    fn restore(&self, snapshot: &str) -> Option<Box<dyn AnyState>>;
    /// What an event that was written down takes and gives back.
    fn claims(&self, writer: &WriterSchema, datum: &[u8]) -> Result<Vec<Claim>, EvolveError>;
}

/// A command that is ready to be sent.
pub(crate) struct Prepared {
    pub(crate) family: &'static Family,
    pub(crate) record: &'static RecordSchema,
    pub(crate) stream: Uuid,
    pub(crate) datum: Vec<u8>,
}

impl Prepared {
    /// Refuses values that may not travel.
    pub(crate) fn new<M: Message>(command: &M) -> Result<Self, EncodeError> {
        let mut datum = Vec::with_capacity(128);
        command.encode(&mut datum)?;
        Ok(Self { family: M::family(), record: command.record(), stream: command.stream(), datum })
    }
}

/// A command that was decoded.
pub(crate) trait AnyCommand: Send {
    fn stream(&self) -> Uuid;
    fn asks(&self) -> Vec<Unique>;
    fn as_any(&self) -> &dyn Any;
}

/// The state of a stream.
pub(crate) trait AnyState: Send {
    fn copy(&self) -> Box<dyn AnyState>;
    /// Takes note of an event as it was written down.
    fn evolve(&mut self, writer: &WriterSchema, datum: &[u8]) -> Result<(), EvolveError>;
    /// Decides, and takes note of what it made happen.
    fn decide(&mut self, command: &dyn AnyCommand, known: &Known) -> Result<Vec<Made>, Refused>;
    /// As JSON.
    fn snapshot(&self) -> Option<String>;
    /// A rough size in bytes.
    fn weight(&self) -> usize;
    /// The decider itself.
    fn as_any(&self) -> &dyn Any;
}

/// An event that a decision made happen, ready to be written down.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) record: &'static RecordSchema,
    pub(crate) datum: Vec<u8>,
    pub(crate) claims: Vec<Claim>,
}

/// A rejection without its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) details: Value,
}

/// An event in a stream's own history that this build cannot take note of (protocol.md W11).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvolveError {
    #[error(
        "the stream's history has a {0}, which this build does not know: deploy handlers before those that send commands"
    )]
    FromTheFuture(String),
    #[error("the stream's history cannot be read: {0}")]
    Unreadable(String),
}

struct Typed<D>(PhantomData<fn() -> D>);
struct Command<D: Decider>(D::Command);
struct State<D>(D);

impl<D: Decider> AnyDecider for Typed<D> {
    fn commands(&self) -> &'static Family {
        D::Command::family()
    }

    fn events(&self) -> &'static Family {
        D::Event::family()
    }

    fn state(&self) -> TypeId {
        TypeId::of::<D>()
    }

    fn fold(&self) -> String {
        format!(
            "{}.{}",
            std::any::type_name::<D>().rsplit("::").next().unwrap_or_default(),
            D::REVISION
        )
    }

    fn command(&self, writer: &WriterSchema, datum: &[u8]) -> Result<Box<dyn AnyCommand>, String> {
        Ok(Box::new(Command::<D>(decode(writer, datum)?)))
    }

    fn editable(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<(&'static str, Value), String> {
        let command: D::Command = decode(writer, datum)?;
        Ok((command.record().name(), command.json()))
    }

    fn prepare(&self, record: &str, json: &Value) -> Result<Prepared, String> {
        let command = D::Command::from_json(record, json).map_err(|error| error.to_string())?;
        Prepared::new(&command).map_err(|error| error.to_string())
    }

    fn empty(&self) -> Box<dyn AnyState> {
        Box::new(State(D::default()))
    }

    fn told(
        &self,
        writer: &WriterSchema,
        datum: &[u8],
    ) -> Result<Vec<(&'static str, Value)>, EvolveError> {
        match D::Event::decode(writer, datum) {
            Ok(Decoded::Messages(events)) => {
                Ok(events.iter().map(|it| (it.record().name(), it.json())).collect())
            }
            Ok(Decoded::FromTheFuture) => Err(EvolveError::FromTheFuture(writer.name().to_owned())),
            Err(error) => Err(EvolveError::Unreadable(error.to_string())),
        }
    }

    fn restore(&self, snapshot: &str) -> Option<Box<dyn AnyState>> {
        let state: D = serde_json::from_str(snapshot).ok()?;
        Some(Box::new(State(state)))
    }

    fn claims(&self, writer: &WriterSchema, datum: &[u8]) -> Result<Vec<Claim>, EvolveError> {
        match D::Event::decode(writer, datum) {
            Ok(Decoded::Messages(events)) => Ok(events.iter().flat_map(D::claims).collect()),
            Ok(Decoded::FromTheFuture) => Err(EvolveError::FromTheFuture(writer.name().to_owned())),
            Err(error) => Err(EvolveError::Unreadable(error.to_string())),
        }
    }
}

fn decode<M: Message>(writer: &WriterSchema, datum: &[u8]) -> Result<M, String> {
    match M::decode(writer, datum).map_err(|error| error.to_string())? {
        Decoded::Messages(mut messages) => match (messages.pop(), messages.is_empty()) {
            (Some(command), true) => Ok(command),
            (Some(_), false) => Err("a retired command became several".into()),
            (None, _) => Err("a retired command became none".into()),
        },
        Decoded::FromTheFuture => Err(format!("{} is unknown here", writer.name())),
    }
}

impl<D: Decider> AnyCommand for Command<D> {
    fn stream(&self) -> Uuid {
        self.0.stream()
    }

    fn asks(&self) -> Vec<Unique> {
        D::asks(&self.0)
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }
}

impl<D: Decider> AnyState for State<D> {
    fn copy(&self) -> Box<dyn AnyState> {
        Box::new(State(self.0.clone()))
    }

    fn evolve(&mut self, writer: &WriterSchema, datum: &[u8]) -> Result<(), EvolveError> {
        match D::Event::decode(writer, datum) {
            Ok(Decoded::Messages(events)) => {
                for event in &events {
                    self.0.evolve(event);
                }
                Ok(())
            }
            Ok(Decoded::FromTheFuture) => Err(EvolveError::FromTheFuture(writer.name().to_owned())),
            Err(error) => Err(EvolveError::Unreadable(error.to_string())),
        }
    }

    fn decide(&mut self, command: &dyn AnyCommand, known: &Known) -> Result<Vec<Made>, Refused> {
        let Some(command) = command.as_any().downcast_ref::<D::Command>() else {
            return Err(defect("the command is another decider's".into()));
        };
        let events = self.0.decide(command, known).map_err(|rejection| Refused {
            code: rejection.code().to_owned(),
            message: rejection.to_string(),
            details: fields(&rejection),
        })?;
        let mut made = Vec::with_capacity(events.len());
        for event in &events {
            if event.stream() != command.stream() {
                return Err(defect(format!(
                    "an event of stream {} was decided for stream {}",
                    event.stream(),
                    command.stream()
                )));
            }
            let mut datum = Vec::with_capacity(64);
            event.encode(&mut datum).map_err(|error| defect(error.to_string()))?;
            made.push(Made { record: event.record(), datum, claims: D::claims(event) });
            self.0.evolve(event);
        }
        Ok(made)
    }

    fn snapshot(&self) -> Option<String> {
        serde_json::to_string(&self.0).ok()
    }

    fn weight(&self) -> usize {
        // What the state owns on the heap is seldom more than its JSON.
        let mut count = Count(size_of::<D>());
        let _ = serde_json::to_writer(&mut count, &self.0);
        count.0
    }

    fn as_any(&self) -> &dyn Any {
        &self.0
    }
}

/// A decision that broke a rule of deciders: rejected, and kept as a dead letter.
pub(crate) fn defect(what: String) -> Refused {
    Refused { code: "PANICKED".into(), message: what, details: Value::Null }
}

/// The fields of a rejection, if it has any.
fn fields<R: Rejection>(rejection: &R) -> Value {
    serde_json::to_value(rejection).ok().filter(Value::is_object).unwrap_or(Value::Null)
}

struct Count(usize);

impl std::io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is known about the values that a command asks about.
pub(crate) fn known(at: DateTime<Utc>, holders: impl IntoIterator<Item = (Unique, Uuid)>) -> Known {
    Known { at, holders: BTreeMap::from_iter(holders) }
}
