//! What can be configured of the GraphQL endpoint.
use crate::operator::Token;
use shell::config::SecretFile;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The options of the GraphQL endpoint, to be flattened into a command line.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "GraphQL")]
pub struct Config {
    /// Where GraphQL is served, with `/live`, `/ready` and `/metrics`
    #[arg(
        long = "http",
        env = "FLOTILLA_HTTP",
        value_name = "HOST:PORT",
        default_value_t = LOCAL
    )]
    pub http: SocketAddr,

    /// The folder with `GraphiQL`'s files; without it, `/` says how to get them
    #[arg(long = "assets", env = "FLOTILLA_ASSETS", value_name = "FOLDER")]
    pub assets: Option<PathBuf>,

    /// Whether clients may ask for the schema by introspection
    #[arg(
        long = "graphql-introspection",
        env = "FLOTILLA_GRAPHQL_INTROSPECTION",
        value_name = "true|false",
        default_value_t = true,
        action = clap::ArgAction::Set
    )]
    pub introspection: bool,

    /// What operators send in the header `Flotilla-Operator` to deal with dead letters; without it nobody can
    #[arg(
        long = "graphql-operator-token",
        env = "FLOTILLA_GRAPHQL_OPERATOR_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    pub operator_token: Option<Token>,

    /// A file with that token instead; read once, at the start
    #[arg(
        long = "graphql-operator-token-file",
        env = "FLOTILLA_GRAPHQL_OPERATOR_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "operator_token",
        value_parser = token_in
    )]
    pub operator_token_file: Option<Token>,

    /// How deep fields may be nested
    #[arg(
        long = "graphql-depth",
        env = "FLOTILLA_GRAPHQL_DEPTH",
        value_name = "COUNT",
        default_value_t = 20
    )]
    pub depth: usize,

    /// How complex an operation may be: a point a field, those of a list times its page size
    #[arg(
        long = "graphql-complexity",
        env = "FLOTILLA_GRAPHQL_COMPLEXITY",
        value_name = "POINTS",
        default_value_t = 10_000
    )]
    pub complexity: usize,

    /// How many fields a document may select, fragments expanded, aliases included
    #[arg(
        long = "graphql-fields",
        env = "FLOTILLA_GRAPHQL_FIELDS",
        value_name = "COUNT",
        default_value_t = 1_000
    )]
    pub fields: usize,

    /// How many fields an operation may have at its root
    #[arg(
        long = "graphql-root-fields",
        env = "FLOTILLA_GRAPHQL_ROOT_FIELDS",
        value_name = "COUNT",
        default_value_t = 20
    )]
    pub root_fields: usize,

    /// How many directives a document may use, fragments expanded
    #[arg(
        long = "graphql-directives",
        env = "FLOTILLA_GRAPHQL_DIRECTIVES",
        value_name = "COUNT",
        default_value_t = 50
    )]
    pub directives: usize,

    /// How many words and signs a document may have
    #[arg(
        long = "graphql-tokens",
        env = "FLOTILLA_GRAPHQL_TOKENS",
        value_name = "COUNT",
        default_value_t = 5_000
    )]
    pub tokens: usize,

    /// How large the body of a request may be, in bytes
    #[arg(
        long = "graphql-body-bytes",
        env = "FLOTILLA_GRAPHQL_BODY_BYTES",
        value_name = "BYTES",
        default_value_t = 256 * 1024
    )]
    pub body_bytes: usize,

    /// How long a request may take in all; keep it above the two below together
    #[arg(
        long = "graphql-request-time",
        env = "FLOTILLA_GRAPHQL_REQUEST_TIME",
        value_name = "TIME",
        default_value = "30s",
        value_parser = duration
    )]
    pub request_time: Duration,

    /// How long a mutation waits for its answer before it says PENDING
    #[arg(
        long = "graphql-command-time",
        env = "FLOTILLA_GRAPHQL_COMMAND_TIME",
        value_name = "TIME",
        default_value = "5s",
        value_parser = duration
    )]
    pub command_time: Duration,

    /// How long a query waits for views that have not come as far as its reader has been
    #[arg(
        long = "graphql-read-time",
        env = "FLOTILLA_GRAPHQL_READ_TIME",
        value_name = "TIME",
        default_value = "5s",
        value_parser = duration
    )]
    pub read_time: Duration,

    /// How long a client may take to send the head of a request; also ends idle connections
    #[arg(
        long = "graphql-head-time",
        env = "FLOTILLA_GRAPHQL_HEAD_TIME",
        value_name = "TIME",
        default_value = "30s",
        value_parser = duration
    )]
    pub head_time: Duration,

    /// How long a client may take to send the body of a request
    #[arg(
        long = "graphql-body-time",
        env = "FLOTILLA_GRAPHQL_BODY_TIME",
        value_name = "TIME",
        default_value = "10s",
        value_parser = duration
    )]
    pub body_time: Duration,

    /// How long a client may leave an answer unread
    #[arg(
        long = "graphql-write-time",
        env = "FLOTILLA_GRAPHQL_WRITE_TIME",
        value_name = "TIME",
        default_value = "30s",
        value_parser = duration
    )]
    pub write_time: Duration,

    /// How many requests are worked on at once; one more is answered UNAVAILABLE
    #[arg(
        long = "graphql-in-flight",
        env = "FLOTILLA_GRAPHQL_IN_FLIGHT",
        value_name = "COUNT",
        default_value_t = 1_000
    )]
    pub in_flight: usize,

    /// How many connections are open at once; one more is turned away
    #[arg(
        long = "graphql-connections",
        env = "FLOTILLA_GRAPHQL_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 2_000
    )]
    pub connections: usize,

    /// How many subscriptions are open at once; one more is answered UNAVAILABLE
    #[arg(
        long = "graphql-subscriptions",
        env = "FLOTILLA_GRAPHQL_SUBSCRIPTIONS",
        value_name = "COUNT",
        default_value_t = 10_000
    )]
    pub subscriptions: usize,

    /// How many subscriptions may be open on one connection
    #[arg(
        long = "graphql-subscriptions-each",
        env = "FLOTILLA_GRAPHQL_SUBSCRIPTIONS_EACH",
        value_name = "COUNT",
        default_value_t = 100
    )]
    pub subscriptions_each: usize,

    /// How many rows may wait for a slow subscriber, each in its latest state; with more, it is told to RESYNC
    #[arg(
        long = "graphql-subscription-rows",
        env = "FLOTILLA_GRAPHQL_SUBSCRIPTION_ROWS",
        value_name = "COUNT",
        default_value_t = 2_000
    )]
    pub subscription_rows: usize,

    /// How long requests in hand may take to finish when the service stops
    #[arg(
        long = "graphql-stop-time",
        env = "FLOTILLA_GRAPHQL_STOP_TIME",
        value_name = "TIME",
        default_value = "5s",
        value_parser = duration
    )]
    pub stop_time: Duration,
}

impl Default for Config {
    /// The defaults of the command line, whatever the environment says.
    fn default() -> Self {
        Self {
            http: LOCAL,
            assets: None,
            introspection: true,
            operator_token: None,
            operator_token_file: None,
            depth: 20,
            complexity: 10_000,
            fields: 1_000,
            root_fields: 20,
            directives: 50,
            tokens: 5_000,
            body_bytes: 256 * 1024,
            request_time: Duration::from_secs(30),
            command_time: Duration::from_secs(5),
            read_time: Duration::from_secs(5),
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(10),
            write_time: Duration::from_secs(30),
            in_flight: 1_000,
            connections: 2_000,
            subscriptions: 10_000,
            subscriptions_each: 100,
            subscription_rows: 2_000,
            stop_time: Duration::from_secs(5),
        }
    }
}

/// A longer time nobody means.
const DAY: u64 = 24 * 60 * 60 * 1_000;

/// Reads a time such as `300ms`, `5s` or `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("not a time: {text:?}; write it like 300ms, 5s or 1m");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let milliseconds = match unit {
        "ms" => number,
        "s" => number.saturating_mul(1_000),
        "m" => number.saturating_mul(60_000),
        _ => return Err(wrong()),
    };
    match milliseconds {
        0 => Err("a time of 0 lets nothing through; write it like 300ms, 5s or 1m".to_owned()),
        1..=DAY => Ok(Duration::from_millis(milliseconds)),
        _ => Err(format!("{text} is more than a day; write it like 300ms, 5s or 1m")),
    }
}

/// The token that stands in a file.
fn token_in(path: &str) -> Result<Token, String> {
    path.parse::<SecretFile>()?.secret().parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    #[test]
    fn the_defaults_are_those_of_the_command_line() {
        let parsed = Cli::parse_from(["bff"]).config;
        assert_eq!(format!("{parsed:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_mins(2)));
        for wrong in ["", "5", "s", "5 s", "-5s", "5h", "0s", "99999999999999999999s", "2000m"] {
            let error = duration(wrong).expect_err(wrong);
            assert!(error.contains("like 300ms"), "{error}");
        }
    }

    #[test]
    fn wrong_values_are_refused_by_name() {
        let error = Cli::try_parse_from(["bff", "--graphql-depth", "deep"]).err();
        assert!(error.is_some_and(|it| it.to_string().contains("--graphql-depth")));
    }
}
