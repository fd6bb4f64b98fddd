//! Whatever comes from outside: all that the fuzzer found so far, and as much again that looks like it.
use crate::hostile::{TARGETS, Target};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{RngSeed, TestRunner},
};
use std::{fs, path::Path};

/// How many inputs are made for each target, besides those of the corpus; more if `PROPTEST_CASES` says so.
const MADE: u32 = 300;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let files =
        fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|it| it.expect("a file").path()).collect();
    files.sort_unstable();
    files.iter().map(|it| fs::read(it).expect("its bytes")).collect()
}

/// One input of the corpus, or a part of it, with a part of another behind it and some bytes changed.
fn inputs(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let part =
        (any::<Index>(), any::<Index>(), any::<Index>()).prop_map(move |(which, from, to)| {
            let whole = which.get(&corpus);
            let (from, to) = (from.index(whole.len() + 1), to.index(whole.len() + 1));
            (whole.clone(), whole[from.min(to)..from.max(to)].to_vec())
        });
    let changes = proptest::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    let noise = proptest::collection::vec(any::<u8>(), 0..40);
    (part.clone(), part, any::<bool>(), changes, noise, 0..10).prop_map(
        |((whole, begin), (_, end), is_whole, changes, noise, luck)| {
            let mut bytes = if is_whole { whole } else { [begin, end].concat() };
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                }
            }
            if luck == 0 { noise } else { bytes }
        },
    )
}

fn withstands((name, target): Target) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "{name} has no corpus");
    for it in &corpus {
        target(it);
    }
    // The same ones each time: what fails here fails again.
    let usual = ProptestConfig::default();
    let config = ProptestConfig {
        cases: usual.cases.max(MADE),
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..usual
    };
    let made = TestRunner::new(config).run(&inputs(corpus), |bytes| {
        target(&bytes);
        Ok(())
    });
    made.unwrap_or_else(|error| panic!("{name}: {error}"));
}

macro_rules! each_target {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            let name = stringify!($name);
            withstands(*TARGETS.iter().find(|it| it.0 == name).expect("a target"));
        })*

        #[test]
        fn every_target_is_called_and_fuzzed() {
            assert_eq!([$(stringify!($name)),*], TARGETS.map(|it| it.0));
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
            for (name, _) in TARGETS {
                assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} in the manifest");
                let source = fs::read_to_string(folder.join(format!("targets/{name}.rs")));
                let source = source.expect("a fuzz target");
                assert!(source.contains(&format!("call(\"{name}\", bytes)")), "{name}: {source}");
            }
        }
    };
}

each_target!(commands, cursors, events, frames, graphql, headers, outcomes, position, schemas,);
