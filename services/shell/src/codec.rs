//! Between bytes in the log and messages: Confluent's framing, and which schema an id stands for.
use futures::future::BoxFuture;
use shared_events::{Family, Fingerprint, WriterSchema, frame};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

/// Where schemas are registered: a schema has an id by which records name it.
pub trait Registry: Send + Sync + 'static {
    /// The id of a schema under a subject; the schema is registered if it was not.
    fn register<'a>(
        &'a self,
        subject: &'a str,
        schema: &'a str,
    ) -> BoxFuture<'a, Result<u32, RegistryError>>;

    /// The schema with this id, if there is one.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, RegistryError>>;
}

/// The registry did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// It does not answer.
    #[error("the schema registry does not answer: {0}")]
    Away(String),
    /// It answers no.
    #[error("the schema registry refuses {subject}: {reason}")]
    Refused {
        /// The subject.
        subject: String,
        /// Its words.
        reason: String,
    },
}

/// A record that cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Nobody can open it: a matter for the dead letters.
    #[error("{0}")]
    Unreadable(String),
    /// It may open later: wait, keep nothing half done.
    #[error("{0}")]
    Away(String),
}

/// Frames and opens records. What was resolved once is never asked again, so that a registry that goes away
/// later disturbs nobody. Cheap to clone.
#[derive(Clone)]
pub struct Codec(Arc<Inner>);

struct Inner {
    registry: Arc<dyn Registry>,
    by_id: RwLock<HashMap<u32, Arc<WriterSchema>>>,
    /// By schema, and then by topic: looked up for every record, without making a key first.
    ids: RwLock<HashMap<Fingerprint, Vec<(String, u32)>>>,
}

impl Codec {
    /// A codec that asks this registry.
    pub fn new(registry: impl Registry) -> Self {
        let (by_id, ids) = (RwLock::default(), RwLock::default());
        Self(Arc::new(Inner { registry: Arc::new(registry), by_id, ids }))
    }

    /// Looks up, and where needed registers, every record of a family.
    ///
    /// # Errors
    /// If the registry is away, or refuses a schema.
    pub async fn prepare(&self, family: &Family) -> Result<(), RegistryError> {
        for record in family.records() {
            self.id(family.topic, record.name(), record.fingerprint(), record.json()).await?;
        }
        Ok(())
    }

    /// The id by which records on `topic` name this schema.
    ///
    /// # Errors
    /// If it is not known yet and the registry is away, or refuses it.
    pub async fn id(
        &self,
        topic: &str,
        name: &str,
        fingerprint: Fingerprint,
        json: &str,
    ) -> Result<u32, RegistryError> {
        if let Some(id) = self.known_id(topic, fingerprint) {
            return Ok(id);
        }
        let id = self.0.registry.register(&subject(topic, name), json).await?;
        if let Ok(schema) = WriterSchema::parse(json) {
            write(&self.0.by_id).insert(id, Arc::new(schema));
        }
        write(&self.0.ids).entry(fingerprint).or_default().push((topic.to_owned(), id));
        Ok(id)
    }

    /// The id by which records on `topic` name the schema with this fingerprint, if it was asked for before.
    #[must_use]
    pub fn known_id(&self, topic: &str, fingerprint: Fingerprint) -> Option<u32> {
        let ids = self.0.ids.read().unwrap_or_else(PoisonError::into_inner);
        let (_, id) = ids.get(&fingerprint)?.iter().find(|(it, _)| it == topic)?;
        Some(*id)
    }

    /// Takes a record's payload apart: the schema it was written with, and the datum.
    /// `claimed` is the fingerprint in the record's headers, which must agree (protocol.md L4).
    ///
    /// # Errors
    /// [`OpenError`] says whether waiting helps.
    pub async fn open<'a>(
        &self,
        payload: Option<&'a [u8]>,
        claimed: Option<Fingerprint>,
    ) -> Result<(Arc<WriterSchema>, &'a [u8]), OpenError> {
        let payload =
            payload.ok_or_else(|| OpenError::Unreadable("a record without a body".into()))?;
        let (id, datum) =
            frame::unframe(payload).map_err(|error| OpenError::Unreadable(error.to_string()))?;
        let schema = self.schema(id).await?;
        match claimed {
            Some(claimed) if claimed != schema.fingerprint() => {
                Err(OpenError::Unreadable(format!(
                    "the frame names schema {id} ({}, fingerprint {}), the header fingerprint {claimed}",
                    schema.name(),
                    schema.fingerprint()
                )))
            }
            _ => Ok((schema, datum)),
        }
    }

    async fn schema(&self, id: u32) -> Result<Arc<WriterSchema>, OpenError> {
        let known = self.0.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned();
        if let Some(schema) = known {
            return Ok(schema);
        }
        let found = self.0.registry.schema(id).await;
        let json = found
            .map_err(|error| OpenError::Away(error.to_string()))?
            .ok_or_else(|| OpenError::Unreadable(format!("no schema has the id {id}")))?;
        let schema = WriterSchema::parse(&json)
            .map_err(|error| OpenError::Unreadable(format!("schema {id}: {error}")))?;
        let schema = Arc::new(schema);
        write(&self.0.by_id).insert(id, Arc::clone(&schema));
        Ok(schema)
    }
}

/// `TopicRecordNameStrategy`, with the topic's name as the fleet knows it (no namespace).
#[must_use]
pub fn subject(topic: &str, record: &str) -> String {
    format!("{topic}-{record}")
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Headers as a JSON object, for people: what is not text is written as hexadecimal digits.
#[must_use]
pub fn headers_json(headers: &shared_events::headers::RawHeaders) -> String {
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_owned(),
        _ => hex(bytes),
    };
    let mut object = serde_json::Map::new();
    for (name, value) in headers {
        // Of a name that comes twice, the first counts.
        object.entry(text(name.as_bytes())).or_insert_with(|| text(value).into());
    }
    serde_json::Value::Object(object).to_string()
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
