//! The fleet's messages as an `AsyncAPI` 3 document, for readers in every language and the tools they have.
mod headers;

use crate::{Family, Kind, RecordSchema, families};
use serde_json::{Map, Value, json};

/// The document: every topic, every record, every header. `prefix` comes before the name of each topic, as the
/// installation has it (mostly empty); `partitions` is how many each topic has.
///
/// Its schemas are the current ones; `schemas/` in the source, and the registry, have the earlier ones.
#[must_use]
pub fn asyncapi(prefix: &str, partitions: u32) -> Value {
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:flotilla",
        "info": {
            "title": "Flotilla",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
        },
        "defaultContentType": "application/avro",
        "channels": object(topics().into_iter().map(|it| (it.name.to_owned(), it.channel(prefix, partitions)))),
        "operations": object(topics().into_iter().map(|it| it.operation())),
        "components": {
            "messages": object(records().map(|(family, record)| {
                (record.name().to_owned(), message(family, record))
            })),
            "schemas": object(KINDS.map(|kind| (headers::name(kind).to_owned(), headers::schema(kind)))),
        },
    })
}

const INTRODUCTION: &str = "Commands ask, events say what happened, replies answer commands; questions change nothing, and are answered \
    beside the replies. A record's value is in \
    Confluent's wire format: a zero byte, the schema's id in the registry (4 bytes, big-endian), the Avro datum; \
    subjects are named by TopicRecordNameStrategy. What is known about a message is in its headers, as UTF-8 text. \
    A topic of events may hold an event twice, or earlier ones again: keep the highest `pseq` seen in each \
    partition, with its `incarnation`, and drop what is not above it. A jump in `pseq` is a gap: its events come \
    again. A record name that you do not know is from a later version: pass over it.";

/// In the order of first need; the envelope of control records and questions is that of commands, that of answers is
/// that of replies.
const KINDS: [Kind; 3] = [Kind::Command, Kind::Event, Kind::Reply];

/// A topic, and the families it carries.
struct Topic {
    name: &'static str,
    families: Vec<&'static Family>,
}

fn topics() -> Vec<Topic> {
    let mut topics: Vec<Topic> = Vec::new();
    for family in families().into_iter().filter(|it| it.kind != Kind::Control) {
        match topics.iter_mut().find(|it| it.name == family.topic) {
            Some(topic) => topic.families.push(family),
            None => topics.push(Topic { name: family.topic, families: vec![family] }),
        }
    }
    for control in families().into_iter().filter(|it| it.kind == Kind::Control) {
        let commands = topics.iter_mut().filter(|it| it.kind() == Kind::Command);
        commands.for_each(|it| it.families.push(control));
    }
    topics
}

fn records() -> impl Iterator<Item = (&'static Family, &'static RecordSchema)> {
    families().into_iter().flat_map(|family| family.records().map(move |record| (family, record)))
}

impl Topic {
    fn kind(&self) -> Kind {
        self.families[0].kind
    }

    fn records(&self) -> impl Iterator<Item = &'static RecordSchema> {
        self.families.iter().flat_map(|it| it.records())
    }

    fn channel(&self, prefix: &str, partitions: u32) -> Value {
        let address = format!("{prefix}{}", self.name);
        let (retention, key) = match self.kind() {
            Kind::Event => (-1, "the stream's id"),
            Kind::Reply | Kind::Answer => (3_600_000, "the command's id"),
            Kind::Command | Kind::Control | Kind::Question => (259_200_000, "the stream's id"),
        };
        json!({
            "address": address,
            "title": self.name,
            "description": format!("{} Its key is {key}.", self.families[0].doc),
            "messages": object(self.records().map(|it| {
                (short(it).to_owned(), reference(&format!("components/messages/{}", it.name())))
            })),
            "bindings": { "kafka": {
                "topic": address,
                "partitions": partitions,
                "topicConfiguration": { "cleanup.policy": ["delete"], "retention.ms": retention },
                "bindingVersion": "0.5.0",
            } },
        })
    }

    /// What the fleet does with the topic: it sends events and replies, and receives commands.
    fn operation(&self) -> (String, Value) {
        let action = match self.kind() {
            Kind::Command | Kind::Control | Kind::Question => "receive",
            Kind::Event | Kind::Reply | Kind::Answer => "send",
        };
        let mut operation = json!({
            "action": action,
            "summary": self.families[0].doc,
            "channel": reference(&format!("channels/{}", self.name)),
            "messages": self.records().map(|it| {
                reference(&format!("channels/{}/messages/{}", self.name, short(it)))
            }).collect::<Vec<_>>(),
        });
        if self.kind() == Kind::Command {
            operation["reply"] = json!({ "channel": reference("channels/replies") });
        }
        (format!("{action}.{}", self.name), operation)
    }
}

fn message(family: &Family, record: &RecordSchema) -> Value {
    let key = match family.kind {
        Kind::Reply => "The command's id.",
        Kind::Answer => "The question's id.",
        Kind::Control => "None: the record is sent to a partition.",
        Kind::Command | Kind::Question | Kind::Event => {
            "The stream's id; it chooses the partition, by murmur2."
        }
    };
    // The fleet's own JSON, so it parses.
    let schema: Value = serde_json::from_str(record.json()).unwrap_or_default();
    json!({
        "name": record.name(),
        "title": short(record),
        "summary": schema["doc"],
        "contentType": "application/avro",
        "headers": reference(&format!("components/schemas/{}", headers::name(family.kind))),
        "correlationId": {
            "description": "The same for all that follows from one request.",
            "location": headers::correlation(family.kind),
        },
        "payload": {
            "schemaFormat": "application/vnd.apache.avro;version=1.9.0",
            "schema": schema,
        },
        "bindings": { "kafka": {
            "key": { "type": "string", "description": key },
            "schemaIdLocation": "payload",
            "schemaIdPayloadEncoding": "confluent",
            "schemaLookupStrategy": "TopicRecordNameStrategy",
            "bindingVersion": "0.5.0",
        } },
    })
}

/// The record's name without its namespace.
fn short(record: &RecordSchema) -> &str {
    record.name().rsplit('.').next().unwrap_or_default()
}

fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/{path}") })
}

fn object(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    Value::Object(entries.into_iter().collect::<Map<_, _>>())
}
