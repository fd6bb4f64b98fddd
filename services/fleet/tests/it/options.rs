//! The README's table of options is the one that the program has.
use fleet::cli::options::options_table;
use std::{env, fs, path::Path};

const BEGIN: &str = "<!-- options: begin -->\n";
const END: &str = "<!-- options: end -->";

#[test]
fn the_table_in_the_readme_is_the_programs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = fs::read_to_string(&readme).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the line that begins the table");
    let (table, after) = rest.split_once(END).expect("the line that ends the table");
    let expected = options_table();
    if env::var_os("UPDATE_README").is_some_and(|it| it == "1") {
        if table != expected {
            fs::write(&readme, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        }
        return;
    }
    let differs = table.lines().zip(expected.lines()).find(|(is, should)| is != should);
    assert!(
        table == expected,
        "the options have changed: UPDATE_README=1 cargo test -p fleet options\nfirst difference: {differs:?}"
    );
}
