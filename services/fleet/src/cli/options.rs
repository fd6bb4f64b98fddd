//! Every option of `up` and `run` as a Markdown table, for the README.
use super::Cli;
use clap::{Arg, ArgAction, CommandFactory as _};
use std::{collections::BTreeMap, fmt::Write as _};

/// What no option stands for.
const VARIABLES: [(&str, &str, &str); 2] = [
    (
        "FLOTILLA_CACHE",
        "the user's cache folder",
        "Where Kafka, the schema registry and the `GraphiQL` page are kept once they were fetched",
    ),
    (
        "RUST_LOG",
        "`info,librdkafka=warn,sqlx=warn`",
        "What is logged, by the rules of `tracing-subscriber`, such as `debug`",
    ),
];

/// The table: those of `up`, those of `run`, which `up` takes from the environment too, and the rest of the
/// environment.
#[must_use]
pub fn options_table() -> String {
    let mut cli = Cli::command();
    // Global options and help are complete only then.
    cli.build();
    let mut table = "| Option | Variable | Default | Meaning |\n|---|---|---|---|\n".to_owned();
    for name in ["up", "run"] {
        let Some(command) = cli.find_subcommand(name) else { continue };
        let options = command.get_arguments().filter(|it| {
            it.get_long().is_some()
                && !matches!(it.get_action(), ArgAction::Help | ArgAction::HelpLong)
        });
        for it in options {
            let _ = writeln!(table, "{}", row(name, it));
        }
    }
    for (variable, default, meaning) in VARIABLES {
        let _ = writeln!(table, "| | `{variable}` | {default} | {meaning} |");
    }
    table
}

fn row(command: &str, option: &Arg) -> String {
    let cell = |text: String| text.replace('|', "\\|").replace('\n', " ");
    let long = option.get_long().unwrap_or_default();
    let value = option.get_value_names().and_then(|it| it.first());
    let value = value.map_or_else(String::new, |it| format!(" <{it}>"));
    let variable = option.get_env().map(|it| code(&it.to_string_lossy())).unwrap_or_default();
    let defaults = option.get_default_values().iter().map(|it| it.to_string_lossy());
    let default = defaults.collect::<Vec<_>>().join(",");
    let default = if default.is_empty() { default } else { code(&default) };
    let mut meaning = option.get_help().map(ToString::to_string).unwrap_or_default();
    let choices = option.get_possible_values();
    let choices: Vec<String> = choices.iter().map(|it| code(it.get_name())).collect();
    if !choices.is_empty() && option.get_action().takes_values() {
        let _ = write!(meaning, " ({})", choices.join(" or "));
    }
    let option = code(&format!("{command} --{long}{value}"));
    let cells = [option, variable, default, meaning].map(cell);
    format!("| {} |", cells.join(" | "))
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// What of a call of this program it would not understand: its arguments (without the program's name) and its environment, in
/// which `None` is a value that is not known here. Files need not be there. For those who check how the program is called
/// elsewhere.
#[must_use]
pub fn misunderstood(
    arguments: &[String],
    environment: &BTreeMap<String, Option<String>>,
) -> Vec<String> {
    let mut cli = Cli::command();
    cli.build();
    let named = arguments.first().and_then(|it| cli.find_subcommand(it));
    let options: Vec<&Arg> = named.into_iter().flat_map(clap::Command::get_arguments).collect();
    let (mut wrong, mut words) = (Vec::new(), vec!["flotilla".to_owned()]);
    words.extend_from_slice(arguments);
    for (name, value) in environment {
        let is_known_elsewhere =
            VARIABLES.iter().any(|(it, ..)| it == name) || FOREIGN.contains(&name.as_str());
        let option = options.iter().find(|it| it.get_env().is_some_and(|it| it == name.as_str()));
        match (option, value) {
            (None, _) if !is_known_elsewhere => {
                wrong.push(format!("`{}` has no variable {name}", arguments.join(" ")));
            }
            (Some(option), Some(value)) => {
                let value = if names_a_file(option) { SOME_FILE } else { value };
                words.push(format!("--{}={value}", option.get_long().unwrap_or_default()));
            }
            _ => {}
        }
    }
    let understood = Cli::command().try_get_matches_from(words);
    wrong.extend(understood.err().map(|error| error.to_string()));
    wrong
}

/// A text that is there, of which files that are not here can be taken to be.
const SOME_FILE: &str = "/proc/sys/kernel/random/boot_id";
/// What libraries read from the environment.
const FOREIGN: [&str; 2] = ["OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"];

fn names_a_file(option: &Arg) -> bool {
    let names = option.get_value_names().unwrap_or_default();
    names.iter().any(|it| ["FILE", "FOLDER"].contains(&it.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_a_row_a_variable_and_a_meaning() {
        let table = options_table();
        for expected in [
            "| `up --data <FOLDER>` | `FLOTILLA_DATA` | `.flotilla` | ",
            "| `up --ports <WHICH>` | `FLOTILLA_PORTS` | `fixed` | ",
            "| `run --kafka-brokers <HOST:PORT>` | `KAFKA_BROKERS` | `127.0.0.1:19092` | ",
            "| `run --graphql-depth <COUNT>` | `FLOTILLA_GRAPHQL_DEPTH` | `20` | ",
            "`consumer` or `classic`",
        ] {
            assert!(table.contains(expected), "{expected:?} is not in\n{table}");
        }
        for row in table.lines().skip(2) {
            let cells: Vec<&str> = row.replace("\\|", "/").leak().split(" | ").collect();
            assert_eq!(cells.len(), 4, "{row}");
            assert!(cells[1].starts_with('`') || row.starts_with("| |"), "no variable: {row}");
            assert!(cells[3].len() > 12, "no meaning: {row}");
        }
    }
}
