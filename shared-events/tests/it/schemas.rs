//! The committed schemas and the Rust types say the same. `UPDATE_SCHEMAS=1` writes what is missing:
//!
//! - a record whose docs alone changed: its newest file is written anew (nobody reads by docs);
//! - any other change: a file with the next number. Files are never changed beyond docs, as something may have been
//!   written with them. A number that never left your machine may be deleted by hand before the next update.
use shared_events::{
    Family, RecordSchema, WriterSchema, committed, compatibility::family_of, families, known_schema,
};
use std::{collections::BTreeMap, fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// Every schema file: context, record, version, text.
fn files() -> BTreeMap<(String, String, u32), String> {
    let mut found = BTreeMap::new();
    let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|it| it.unwrap().path());
    let name = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for context in entries(folder()).filter(|it| it.is_dir()) {
        for record in entries(context.clone()) {
            for file in entries(record.clone()) {
                assert_eq!(file.extension().unwrap(), "avsc", "{} is no schema", file.display());
                let version = name(&file).parse().unwrap();
                let text = fs::read_to_string(&file).unwrap();
                found.insert((name(&context), name(&record), version), text);
            }
        }
    }
    found
}

/// Context, short name, and schema of every record that is written or read.
fn records() -> Vec<(&'static str, &'static str, &'static RecordSchema)> {
    let of = |family: &'static Family| {
        let all = family.records().chain(family.retired());
        all.map(|it| (family.context, it.name().rsplit('.').next().unwrap(), it))
    };
    families().into_iter().flat_map(of).collect()
}

/// Without docs: what readers go by.
fn essence(json: &str) -> serde_json::Value {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                // A field named `doc` is a value of `name`, never a key.
                object.remove("doc");
                object.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    strip(&mut value);
    value
}

fn newest(
    files: &BTreeMap<(String, String, u32), String>,
    context: &str,
    record: &str,
) -> Option<(u32, String)> {
    let mut versions = files.iter().filter(|((c, r, _), _)| c == context && r == record);
    versions.next_back().map(|((_, _, version), text)| (*version, text.clone()))
}

fn update() {
    for (context, record, schema) in records() {
        let version = match newest(&files(), context, record) {
            Some((version, text)) if essence(&text) == essence(schema.json()) => version,
            Some((version, _)) => version + 1,
            None => 1,
        };
        let file = folder().join(context).join(record).join(format!("{version}.avsc"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, schema.json()).unwrap();
    }
    fs::write(folder().join("list.rs"), list()).unwrap();
}

/// The list that the crate embeds.
fn list() -> String {
    let line = |(context, record, version): &(String, String, u32)| {
        format!(
            "    Committed {{\n        context: \"{context}\",\n        record: \"{record}\",\n        \
             version: {version},\n        json: include_str!(\"{context}/{record}/{version}.avsc\"),\n    }},\n"
        )
    };
    let lines: String = files().keys().map(line).collect();
    format!("// Written by `UPDATE_SCHEMAS=1 cargo test -p shared-events`.\n&[\n{lines}]\n")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        return update();
    }
    let files = files();
    for (context, record, schema) in records() {
        let found = newest(&files, context, record);
        let hint = format!(
            "schemas/{context}/{record} is behind the Rust type; \
             run UPDATE_SCHEMAS=1 cargo test -p shared-events, and look at what changed"
        );
        assert_eq!(found.map(|it| it.1).as_deref(), Some(schema.json()), "{hint}");
    }
    assert_eq!(fs::read_to_string(folder().join("list.rs")).unwrap(), list(), "schemas/list.rs");
}

#[test]
fn every_committed_schema_is_embedded_and_known_by_its_fingerprint() {
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        return; // The list is compiled in: it is new only after the next build.
    }
    assert_eq!(committed().len(), files().len());
    for it in committed() {
        let writer = WriterSchema::parse(it.json).unwrap();
        let known = known_schema(writer.fingerprint()).expect("known");
        assert_eq!(known.name(), writer.name());
        assert_eq!(writer.name(), format!("flotilla.{}.{}", it.context, it.record));
    }
}

#[test]
fn every_committed_schema_belongs_to_a_family() {
    for it in committed() {
        let name = format!("flotilla.{}.{}", it.context, it.record);
        assert!(
            family_of(&name).is_some(),
            "{name} was written once and must still be read: put it into its family's `retired`"
        );
    }
}

#[test]
fn versions_have_no_holes() {
    let mut last: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for it in committed() {
        let before = last.insert((it.context, it.record), it.version).unwrap_or(0);
        assert_eq!(it.version, before + 1, "{}/{}", it.context, it.record);
    }
}

#[test]
fn every_record_and_field_has_a_doc() {
    fn check(path: &str, value: &serde_json::Value) {
        if let serde_json::Value::Object(object) = value {
            if object.contains_key("name") {
                let doc = object.get("doc").and_then(|it| it.as_str()).unwrap_or_default();
                assert!(doc.len() > 3, "{path} {} has no doc", object["name"]);
            }
            for (key, value) in object {
                check(&format!("{path}/{key}"), value);
            }
        }
        if let serde_json::Value::Array(items) = value {
            for it in items {
                check(path, it);
            }
        }
    }
    for (_, record, schema) in records() {
        check(record, &serde_json::from_str(schema.json()).unwrap());
    }
}

#[test]
fn ids_and_instants_are_portable() {
    use crate::toy::ToySold;
    let schema: serde_json::Value = serde_json::from_str(ToySold::schema().json()).unwrap();
    let field = |name: &str| {
        let fields = schema["fields"].as_array().unwrap();
        fields.iter().find(|it| it["name"] == name).unwrap().clone()
    };
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(field("toy_id")["type"], json(r#"{"type": "string", "logicalType": "uuid"}"#));
    assert_eq!(
        field("sold_at")["type"],
        json(r#"["null", {"type": "long", "logicalType": "timestamp-micros"}]"#)
    );
    assert_eq!(field("sold_at")["default"], json("null"));
    assert_eq!(field("postage")["default"], json("0"));
    assert_eq!(field("place")["default"], json(r#""SHOP""#));
    assert_eq!(field("tips")["default"], json("[]"));
    // Defined where it is first used, named after that.
    assert_eq!(field("price")["type"]["name"], "Money");
    assert_eq!(field("price")["type"]["namespace"], "flotilla.fleet");
    assert_eq!(field("tips")["type"]["items"], "flotilla.fleet.Money");
    assert!(field("toy_id").get("default").is_none());
}

/// The same as what other implementations of Avro compute.
#[test]
fn fingerprints_are_those_of_other_languages() {
    let schema = r#"{"type": "record", "name": "flotilla.toys.T", "doc": "not counted",
        "fields": [{"name": "id", "type": {"type": "string", "logicalType": "uuid"}}]}"#;
    let fingerprint = WriterSchema::parse(schema).unwrap().fingerprint();
    assert_eq!(fingerprint.to_string(), "609c7ecb8b3a7980");
    assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
}
