//! What is said to those who type a command that there is not.
use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// With advice, where the mistake is a known one.
pub(super) fn explain(mut error: Error) -> Error {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return error;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    if let Some(advice) = advice(word) {
        // Words that look alike are not what was meant.
        error.remove(ContextKind::SuggestedSubcommand);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![advice.into()]));
    }
    error
}

fn advice(word: &str) -> Option<&'static str> {
    Some(match word {
        "start" | "serve" | "dev" | "boot" => "`flotilla up` starts everything",
        "stop" | "down" | "kill" | "quit" => {
            "Ctrl-C in the terminal of `flotilla up` stops everything, in order"
        }
        "restart" => {
            "Ctrl-C in the terminal of `flotilla up`, then `flotilla up` again; the data stays"
        }
        "test" | "check" | "lint" => {
            "the script `./flotilla test`, in the folder of the sources, runs all checks"
        }
        "clean" | "delete" | "destroy" | "wipe" => {
            "`flotilla reset` deletes the data of a fleet that is stopped"
        }
        "ps" | "list" | "ls" | "health" | "info" | "lag" => {
            "`flotilla status` shows what is up, `flotilla services` what there is"
        }
        "schemas" | "asyncapi" => "`flotilla schema --help` tells what can be done with schemas",
        "version" => "`flotilla --version` shows it",
        "logs" | "log" => {
            "`flotilla status` says where the logs of the servers are; the services log to their terminal"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser as _;

    fn said(word: &str) -> String {
        explain(Cli::try_parse_from(["flotilla", word]).unwrap_err()).to_string()
    }

    #[test]
    fn a_known_mistake_is_answered_with_what_was_meant() {
        for (word, expected) in
            [("start", "flotilla up"), ("stop", "Ctrl-C"), ("test", "./flotilla test")]
        {
            let said = said(word);
            assert!(said.contains(word) && said.contains(expected), "{said}");
            assert!(!said.contains("similar subcommand"), "{said}");
        }
    }

    #[test]
    fn an_unknown_one_is_answered_with_what_looks_like_it() {
        assert!(said("statsu").contains("'status'"), "{}", said("statsu"));
        assert!(said("xyz").contains("--help"), "{}", said("xyz"));
    }
}
