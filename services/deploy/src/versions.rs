//! What the fleet is deployed with that others make, each in one version: compose, manifests, Tilt, the image and the
//! development stack name them for themselves, and a test compares all of them with this list.
use serde_json::Value;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Images by name, each with its only tag.
pub const IMAGES: [(&str, &str); 14] = [
    ("apache/kafka", "4.3.1"),
    ("apicurio/apicurio-registry-sql", "2.6.13.Final"),
    ("axllent/mailpit", "v1.31.4"),
    ("debian", "bookworm-slim"),
    ("gcr.io/distroless/cc-debian12", "nonroot"),
    ("ghcr.io/cloudnative-pg/postgresql", "18.3-202602261638-system-bookworm"),
    ("ghcr.io/kafbat/kafka-ui", "v1.5.0"),
    ("grafana/grafana", "13.1.0"),
    ("jaegertracing/jaeger", "2.19.0"),
    ("maven", "3.9.11-eclipse-temurin-17"),
    ("otel/opentelemetry-collector-contrib", "0.159.0"),
    ("postgres", "18-bookworm"),
    ("prom/prometheus", "v3.13.1"),
    ("rust", "1.95.0-slim-bookworm"),
];

/// The fleet's own image.
pub const OURS: &str = "flotilla";

/// The tag of an image in the list.
#[must_use]
pub fn of(name: &str) -> Option<&'static str> {
    IMAGES.iter().find(|(it, _)| *it == name).map(|(_, tag)| *tag)
}

/// What is wrong with a reference to an image, if anything: each must be in the list, or ours, with a tag.
#[must_use]
pub fn fault(reference: &str) -> Option<String> {
    let unversioned = reference.split('@').next().unwrap_or_default();
    // A colon before the last slash is that of a port.
    let tag_at = unversioned.rfind(':').filter(|at| !unversioned[*at..].contains('/'));
    let (name, tag) = match tag_at {
        Some(at) => (&unversioned[..at], Some(&unversioned[at + 1..])),
        None => (unversioned, None),
    };
    match (of(name), tag) {
        (_, None) => Some(format!("the image {reference} has no tag")),
        (_, Some("latest")) => Some(format!("the image {reference} is whatever is the latest")),
        (Some(known), Some(tag)) if tag != known => {
            Some(format!("the image {reference} is {name}:{known} in versions.rs"))
        }
        (None, _) if name != OURS => Some(format!("the image {reference} is not in versions.rs")),
        _ => None,
    }
}

/// All references to images in a document: the value of every field `image` and `imageName`.
#[must_use]
pub fn references(document: &Value) -> Vec<String> {
    match document {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => {
            let mut found = Vec::new();
            for (name, value) in fields {
                match value.as_str().filter(|_| name == "image" || name == "imageName") {
                    Some(reference) => found.push(reference.to_owned()),
                    None => found.extend(references(value)),
                }
            }
            found
        }
        _ => Vec::new(),
    }
}

/// Every file below a folder whose name ends in one of `endings`, in order.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(folder: &Path, endings: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, endings)?);
        } else if endings.iter().any(|it| path.to_string_lossy().ends_with(it)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
