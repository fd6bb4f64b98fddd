//! The schemas that this build knows by itself: every version ever committed.
use crate::{Fingerprint, RecordSchema, WriterSchema, families};
use std::{collections::HashMap, sync::LazyLock};

/// A schema file of `schemas/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The context, a folder.
    pub context: &'static str,
    /// The record's name, a folder in it.
    pub record: &'static str,
    /// The version, the file's name.
    pub version: u32,
    /// What is in it.
    pub json: &'static str,
}

/// Every version of every record there ever was, oldest version first.
#[must_use]
pub fn committed() -> &'static [Committed] {
    static LIST: &[Committed] = include!("../schemas/list.rs");
    LIST
}

/// The schema with this fingerprint, if this build or an earlier one wrote with it: no registry is needed for those.
#[must_use]
pub fn known_schema(fingerprint: Fingerprint) -> Option<&'static WriterSchema> {
    static KNOWN: LazyLock<HashMap<Fingerprint, WriterSchema>> = LazyLock::new(|| {
        let own = families().into_iter().flat_map(|it| it.records().chain(it.retired()));
        // A test parses every one of them, so that none is left out here.
        let all = committed().iter().map(|it| it.json).chain(own.map(RecordSchema::json));
        all.filter_map(|json| WriterSchema::parse(json).ok())
            .map(|it| (it.fingerprint(), it))
            .collect()
    });
    KNOWN.get(&fingerprint)
}
