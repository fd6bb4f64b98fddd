//! The shape of a type as an Avro schema, printed in one fixed order so that committed files never differ by chance.
use serde::Serialize;
use std::collections::BTreeSet;

/// An Avro type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Shape {
    /// A primitive type, or the full name of a type defined earlier in the same schema.
    Name(String),
    /// One of several types.
    Union(Vec<Shape>),
    /// A primitive type with a meaning.
    Logical {
        /// The primitive type.
        r#type: &'static str,
        /// The meaning, in Avro's own words.
        #[serde(rename = "logicalType")]
        logical: &'static str,
    },
    /// Any number of one type.
    Array {
        /// Always `array`.
        r#type: &'static str,
        /// The type of the items.
        items: Box<Shape>,
    },
    /// One of some words.
    Enum {
        /// Always `enum`.
        r#type: &'static str,
        /// The name without its namespace: some tools refuse dots here.
        name: &'static str,
        /// Always written, so that it is never inherited.
        namespace: &'static str,
        /// What it means, and what each word means.
        doc: String,
        /// The words.
        symbols: Vec<&'static str>,
    },
    /// Named fields.
    Record {
        /// Always `record`.
        r#type: &'static str,
        /// The name without its namespace: some tools refuse dots here.
        name: &'static str,
        /// Always written, so that it is never inherited.
        namespace: &'static str,
        /// What it means.
        doc: String,
        /// Its fields, in the order in which they are written.
        fields: Vec<Field>,
    },
}

/// A field of a [`Shape::Record`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// As in Rust.
    pub name: &'static str,
    /// What it means.
    pub doc: String,
    /// Its type.
    pub r#type: Shape,
    /// What a reader takes where the writer did not have the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

/// The named types defined so far: Avro wants each defined once, and then only named.
#[derive(Debug, Default)]
pub struct Defined(BTreeSet<String>);

impl Defined {
    /// The definition of a named type at its first use, its name after that.
    pub fn define(
        &mut self,
        namespace: &str,
        name: &str,
        shape: impl FnOnce(&mut Self) -> Shape,
    ) -> Shape {
        let name = format!("{namespace}.{name}");
        if self.0.insert(name.clone()) { shape(self) } else { Shape::Name(name) }
    }
}

/// A doc comment as one line: Rust gives each line with its leading space.
#[must_use]
pub fn doc(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}
