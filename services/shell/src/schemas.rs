//! The schemas that events of a ledger were written with: those of this build, and those that the ledger keeps.
use shared_events::{Fingerprint, WriterSchema, known_schema};
use std::{collections::HashMap, sync::Arc};

/// Schemas by fingerprint, each parsed once.
pub(crate) struct Schemas {
    stored: HashMap<Fingerprint, String>,
    known: HashMap<Fingerprint, Option<Arc<WriterSchema>>>,
}

impl Schemas {
    /// With those that the ledger keeps.
    pub(crate) fn new(stored: HashMap<Fingerprint, String>) -> Self {
        Self { stored, known: HashMap::new() }
    }

    /// The schema, unless it is nowhere.
    pub(crate) fn get(&mut self, fingerprint: Fingerprint) -> Option<Arc<WriterSchema>> {
        let Self { stored, known } = self;
        let find = || {
            let json = known_schema(fingerprint).map(WriterSchema::json);
            let json = json.or_else(|| stored.get(&fingerprint).map(String::as_str))?;
            WriterSchema::parse(json).ok().map(Arc::new)
        };
        known.entry(fingerprint).or_insert_with(find).clone()
    }
}
