//! Whatever may come from outside, as bytes, and what must hold of it. Each target takes any bytes at all, and panics
//! where a promise is broken: what is read can be written and read again, nothing grows beyond what came in, and
//! everything else is refused.
//!
//! The fuzzer calls them (`services/fleet/fuzz`), and so do tests (`hostile_input.rs`), with all that the fuzzer found.
mod avro;
mod envelopes;
mod graphql;
mod loops;
mod texts;

/// A name, and what is called with any bytes.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All targets.
pub(crate) const TARGETS: [Target; 9] = [
    ("commands", loops::commands),
    ("cursors", texts::cursors),
    ("events", loops::events),
    ("frames", avro::frames),
    ("graphql", graphql::requests),
    ("headers", envelopes::headers),
    ("outcomes", avro::outcomes),
    ("position", texts::position),
    ("schemas", avro::schemas),
];

/// Calls the target of this name.
#[cfg_attr(test, expect(dead_code, reason = "the fuzzer's way in"))]
pub(crate) fn call(name: &str, bytes: &[u8]) {
    for (_, target) in TARGETS.iter().filter(|it| it.0 == name) {
        target(bytes);
    }
}
