//! The compatibility gate: which change of a record would break whom.
//!
//! Events are kept for ever, and read by services of any age: every version must be read by every other
//! (`FULL_TRANSITIVE`). So must replies and answers, which old and new services send to each other in both directions
//! while they are deployed. Commands, questions and control records live for days: a version must read the one before it
//! (`BACKWARD`), so readers are deployed first. The registry is set to the same rules.
mod pair;

use crate::{Committed, Family, Kind, SchemaError, WriterSchema, committed, families};
use apache_avro::{
    Schema,
    schema_compatibility::{Compatibility, SchemaCompatibility},
};
use std::{collections::BTreeMap, fmt};

/// What a family's records promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Every version reads every other.
    FullTransitive,
    /// A version reads the one before it.
    Backward,
}

impl Kind {
    /// What the records of this kind promise.
    #[must_use]
    pub fn rule(self) -> Rule {
        match self {
            Kind::Event | Kind::Reply | Kind::Answer => Rule::FullTransitive,
            Kind::Command | Kind::Control | Kind::Question => Rule::Backward,
        }
    }
}

impl fmt::Display for Rule {
    /// As a Confluent registry wants it.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Rule::FullTransitive => "FULL_TRANSITIVE",
            Rule::Backward => "BACKWARD",
        })
    }
}

/// Who could no longer read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Services of the older version meet messages of the newer one.
    OldReaders,
    /// Services of the newer version meet messages of the older one.
    NewReaders,
}

/// A change that a rule forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The record's full name.
    pub record: String,
    /// The field, with the fields that it is inside of: `position.[].pseq`; empty for the record itself.
    pub field: String,
    /// Who breaks.
    pub who: Who,
    /// The older version.
    pub old: u32,
    /// The newer version.
    pub new: u32,
    /// What they meet, and what to do.
    pub why: String,
}

impl fmt::Display for Break {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { record, field, who, old, new, why } = self;
        write!(formatter, "{record}")?;
        if !field.is_empty() {
            write!(formatter, ", field {field}")?;
        }
        let (readers, reader, writer) = match who {
            Who::OldReaders => ("old", old, new),
            Who::NewReaders => ("new", new, old),
        };
        write!(
            formatter,
            ": {readers} readers break (version {reader} reads what {writer} writes)"
        )?;
        write!(formatter, ": {why}")
    }
}

/// What the versions of one record, oldest first, break of a rule.
///
/// # Errors
/// One of them is no schema of a record.
pub fn check(rule: Rule, versions: &[(u32, &str)]) -> Result<Vec<Break>, SchemaError> {
    let mut parsed = Vec::new();
    for (version, json) in versions {
        let writer = WriterSchema::parse(json)?;
        let schema = Schema::parse_str(json).map_err(|error| SchemaError::Malformed {
            reason: error.to_string(),
            schema: crate::clip(json, 120),
        })?;
        parsed.push((*version, writer.name().to_owned(), schema));
    }
    let mut breaks = Vec::new();
    for (index, (new, name, newer)) in parsed.iter().enumerate() {
        let earlier = match rule {
            Rule::FullTransitive => &parsed[..index],
            Rule::Backward => &parsed[index.saturating_sub(1)..index],
        };
        for (old, _, older) in earlier {
            let mut directions = vec![(Who::NewReaders, older, newer)];
            if rule == Rule::FullTransitive {
                directions.push((Who::OldReaders, newer, older));
            }
            for (who, writer, reader) in directions {
                for (field, why) in differences(writer, reader) {
                    breaks.push(Break {
                        record: name.clone(),
                        field,
                        who,
                        old: *old,
                        new: *new,
                        why,
                    });
                }
            }
        }
    }
    Ok(breaks)
}

/// Why `reader` could not read what `writer` wrote, field by field.
fn differences(writer: &Schema, reader: &Schema) -> Vec<(String, String)> {
    let mut found = pair::differences(writer, reader);
    if found.is_empty() {
        // The library's own rules have the last word, as the registry's are much the same.
        match SchemaCompatibility::can_read(writer, reader) {
            Ok(Compatibility::Full) => {}
            Ok(Compatibility::Partial) => {
                found.push((String::new(), "some values could not be read".to_owned()));
            }
            Err(error) => found.push((String::new(), error.to_string())),
        }
    }
    found
}

/// What the committed schemas break: nothing, in a tree that may be released.
///
/// # Errors
/// A committed file is no schema of a record.
pub fn check_committed() -> Result<Vec<Break>, SchemaError> {
    let mut records: BTreeMap<(&str, &str), Vec<&Committed>> = BTreeMap::new();
    for it in committed() {
        records.entry((it.context, it.record)).or_default().push(it);
    }
    let mut breaks = Vec::new();
    for ((context, record), mut versions) in records {
        versions.sort_by_key(|it| it.version);
        let name = format!("{}.{context}.{record}", crate::NAMESPACE);
        // Nobody knows what an orphan was for: the stricter rule.
        let rule = family_of(&name).map_or(Rule::FullTransitive, |it| it.kind.rule());
        let versions: Vec<_> = versions.iter().map(|it| (it.version, it.json)).collect();
        breaks.extend(check(rule, &versions)?);
    }
    Ok(breaks)
}

/// The family that a record belongs to, retired ones included.
#[must_use]
pub fn family_of(record: &str) -> Option<&'static Family> {
    let has = |it: &&'static Family| it.records().chain(it.retired()).any(|it| it.name() == record);
    families().into_iter().find(has)
}
