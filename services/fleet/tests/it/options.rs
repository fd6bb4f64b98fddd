//! The README's tables of options and of metrics are those that the program has.
use fleet::cli::options::options_table;
use shell::telemetry::metric;
use std::{
    env, fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Two tests change the same file.
static README: Mutex<()> = Mutex::new(());

#[track_caller]
fn is_in_the_readme(name: &str, expected: &str) {
    let _turn = README.lock().unwrap_or_else(PoisonError::into_inner);
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->"));
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(&readme).expect("the README");
    let (before, rest) = text.split_once(&begin).expect("the line that begins the table");
    let (table, after) = rest.split_once(&end).expect("the line that ends the table");
    if env::var_os("UPDATE_README").is_some_and(|it| it == "1") {
        if table != expected {
            fs::write(&readme, format!("{before}{begin}{expected}{end}{after}")).expect("write it");
        }
        return;
    }
    let differs = table.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        table == expected,
        "the {name} have changed: UPDATE_README=1 cargo test -p fleet options\nfirst difference: {differs:?}"
    );
}

#[test]
fn the_table_of_options_in_the_readme_is_the_programs() {
    is_in_the_readme("options", &options_table());
}

#[test]
fn the_table_of_metrics_in_the_readme_is_the_programs() {
    is_in_the_readme("metrics", &metric::table());
}
