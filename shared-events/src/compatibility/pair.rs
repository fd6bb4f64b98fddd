//! One writer, one reader: which fields of the reader cannot be filled.
//!
//! Stricter than Avro's own resolution where Avro looks at bytes only: a changed logical type (microseconds that
//! become milliseconds) reads well, and wrongly.
use apache_avro::{
    Schema,
    schema::{
        DecimalSchema, EnumSchema, Name, NamesRef, RecordSchema, ResolvedSchema, SchemaKind,
        UnionSchema,
    },
};

/// Field and reason of everything that `reader` could not read of `writer`.
pub(super) fn differences(writer: &Schema, reader: &Schema) -> Vec<(String, String)> {
    let (Ok(writers), Ok(readers)) =
        (ResolvedSchema::try_from(writer), ResolvedSchema::try_from(reader))
    else {
        return vec![(String::new(), "a type is named but nowhere defined".to_owned())];
    };
    let mut pair = Pair {
        writers: writers.get_names(),
        readers: readers.get_names(),
        seen: Vec::new(),
        found: Vec::new(),
    };
    pair.compare("", writer, reader);
    pair.found
}

struct Pair<'a> {
    writers: &'a NamesRef<'a>,
    readers: &'a NamesRef<'a>,
    /// Named types compared already: a type may be inside of itself.
    seen: Vec<(Name, Name)>,
    found: Vec<(String, String)>,
}

impl Pair<'_> {
    fn compare(&mut self, field: &str, writer: &Schema, reader: &Schema) {
        let (writer, reader) = (resolve(writer, self.writers), resolve(reader, self.readers));
        if let (Some(writer), Some(reader)) = (writer.name(), reader.name()) {
            if self.seen.iter().any(|(w, r)| w == writer && r == reader) {
                return;
            }
            self.seen.push((writer.clone(), reader.clone()));
            if writer != reader {
                self.found(
                    field,
                    format!(
                        "{} was written, {} is read; \
                     a renamed record is retired under its old name",
                        full(writer),
                        full(reader)
                    ),
                );
                return;
            }
        }
        match (writer, reader) {
            (Schema::Record(writer), Schema::Record(reader)) => self.records(field, writer, reader),
            (Schema::Enum(writer), Schema::Enum(reader)) => self.enums(field, writer, reader),
            (Schema::Array(writer), Schema::Array(reader)) => {
                self.compare(&join(field, "[]"), &writer.items, &reader.items);
            }
            (Schema::Map(writer), Schema::Map(reader)) => {
                self.compare(&join(field, "{}"), &writer.types, &reader.types);
            }
            (Schema::Union(writer), _) => {
                for variant in writer.variants() {
                    self.compare(field, variant, reader);
                }
            }
            (_, Schema::Union(reader)) => self.alternatives(field, writer, reader),
            _ if is_readable(writer, reader) => {}
            _ => self.found(
                field,
                format!(
                    "{} was written, {} is read; keep the field as it is and add another",
                    words(writer),
                    words(reader)
                ),
            ),
        }
    }

    fn records(&mut self, path: &str, writer: &RecordSchema, reader: &RecordSchema) {
        for field in &reader.fields {
            let path = join(path, &field.name);
            match writer.fields.iter().find(|it| it.name == field.name) {
                Some(written) => self.compare(&path, &written.schema, &field.schema),
                None if field.default.is_some() => {}
                None => self.found(
                    &path,
                    "the field was not written and has no default; give it one".to_owned(),
                ),
            }
        }
    }

    fn enums(&mut self, field: &str, writer: &EnumSchema, reader: &EnumSchema) {
        let unknown: Vec<_> =
            writer.symbols.iter().filter(|it| !reader.symbols.contains(it)).cloned().collect();
        if !unknown.is_empty() && reader.default.is_none() {
            self.found(
                field,
                format!("the words {} may be written, but are not known", unknown.join(", ")),
            );
        }
    }

    /// The reader has alternatives: the one of the writer's kind counts.
    fn alternatives(&mut self, field: &str, writer: &Schema, reader: &UnionSchema) {
        let readers = self.readers;
        let same = |it: &&Schema| {
            let it = resolve(it, readers);
            it.name() == writer.name() && SchemaKind::from(it) == SchemaKind::from(writer)
        };
        match reader.variants().iter().find(same) {
            Some(variant) => self.compare(field, writer, variant),
            None if reader.variants().iter().any(|it| is_readable(writer, it)) => {}
            None => self.found(
                field,
                format!("{} may be written, but is none of the types that are read", words(writer)),
            ),
        }
    }

    fn found(&mut self, field: &str, why: String) {
        self.found.push((field.to_owned(), why));
    }
}

fn resolve<'a>(schema: &'a Schema, names: &NamesRef<'a>) -> &'a Schema {
    match schema {
        Schema::Ref { name } => names.get(name).copied().unwrap_or(schema),
        _ => schema,
    }
}

/// Types without parts: the same kind, or an int for a long.
fn is_readable(writer: &Schema, reader: &Schema) -> bool {
    match (writer, reader) {
        (Schema::Int, Schema::Long) => true,
        (Schema::Fixed(writer), Schema::Fixed(reader)) => writer.size == reader.size,
        (Schema::Decimal(writer), Schema::Decimal(reader)) => {
            let DecimalSchema { precision, scale, .. } = writer;
            (*precision, *scale) == (reader.precision, reader.scale)
        }
        (Schema::Ref { name: writer }, Schema::Ref { name: reader }) => writer == reader,
        _ => SchemaKind::from(writer) == SchemaKind::from(reader),
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

fn words(schema: &Schema) -> String {
    match schema.name() {
        Some(name) => full(name),
        None => format!("{:?}", SchemaKind::from(schema)).to_lowercase(),
    }
}

fn full(name: &Name) -> String {
    name.fullname(None)
}
