//! Secrets, which are read from files, and how Kafka knows whom it talks to.
use rdkafka::ClientConfig;
use std::{fmt, fs, path::PathBuf, str::FromStr};

/// What stands in a file, and is never printed: files can be mounted, and do not show among a process's variables.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile(String);

impl SecretFile {
    /// The secret.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl FromStr for SecretFile {
    type Err = String;

    fn from_str(path: &str) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
        // Editors end a file with a new line, and passwords do not.
        let secret = text.trim_end_matches(['\n', '\r']);
        if secret.is_empty() || secret.contains('\0') {
            return Err("holds no secret: it is empty, or not a text".into());
        }
        Ok(Self(secret.to_owned()))
    }
}

/// How Kafka is spoken to: as librdkafka has it.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct KafkaSecurity {
    /// Whether the connection is encrypted, and whether one signs in over it.
    #[arg(long = "kafka-security-protocol", env = "KAFKA_SECURITY_PROTOCOL", value_name = "PROTOCOL", value_enum,
        rename_all = "snake_case", ignore_case = true, default_value_t = SecurityProtocol::Plaintext)]
    pub protocol: SecurityProtocol,

    /// How one signs in, where the protocol is one with SASL.
    #[arg(long = "kafka-sasl-mechanism", env = "KAFKA_SASL_MECHANISM", value_name = "MECHANISM", value_enum,
        ignore_case = true, default_value_t = Mechanism::ScramSha512)]
    pub mechanism: Mechanism,

    /// Who signs in.
    #[arg(long = "kafka-sasl-username", env = "KAFKA_SASL_USERNAME", value_name = "USER",
        required_if_eq_any = [("protocol", "sasl_plaintext"), ("protocol", "sasl_ssl")])]
    pub username: Option<String>,

    /// A file with the password; read once, at the start.
    #[arg(long = "kafka-sasl-password-file", env = "KAFKA_SASL_PASSWORD_FILE", value_name = "FILE",
        required_if_eq_any = [("protocol", "sasl_plaintext"), ("protocol", "sasl_ssl")])]
    pub password_file: Option<SecretFile>,

    /// The certificates (PEM) that the brokers' are signed with; without it, those of the system.
    #[arg(long = "kafka-ca-file", env = "KAFKA_CA_FILE", value_name = "FILE", value_parser = there)]
    pub ca_file: Option<PathBuf>,

    /// The certificate (PEM) that this process shows.
    #[arg(long = "kafka-certificate-file", env = "KAFKA_CERTIFICATE_FILE", value_name = "FILE",
        value_parser = there, requires = "key_file")]
    pub certificate_file: Option<PathBuf>,

    /// The key of that certificate (PEM).
    #[arg(long = "kafka-key-file", env = "KAFKA_KEY_FILE", value_name = "FILE", value_parser = there)]
    pub key_file: Option<PathBuf>,
}

/// As Kafka calls them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither.
    #[default]
    Plaintext,
    /// Encrypted; with a certificate of one's own, that says who one is.
    Ssl,
    /// One signs in, in the open.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

/// As Kafka calls them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mechanism {
    /// The password itself.
    #[value(name = "PLAIN")]
    Plain,
    /// A proof that one has the password.
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[default]
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

impl KafkaSecurity {
    /// Tells a client.
    pub(crate) fn tell(&self, client: &mut ClientConfig) {
        let protocol = match self.protocol {
            SecurityProtocol::Plaintext => return,
            SecurityProtocol::Ssl => "ssl",
            SecurityProtocol::SaslPlaintext => "sasl_plaintext",
            SecurityProtocol::SaslSsl => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                client.set(name, file.display().to_string());
            }
        }
        if let (Some(user), Some(password)) = (&self.username, &self.password_file) {
            let mechanism = match self.mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            client
                .set("sasl.mechanism", mechanism)
                .set("sasl.username", user)
                .set("sasl.password", password.secret());
        }
    }
}

fn there(path: &str) -> Result<PathBuf, String> {
    // Whether it is what it should be, the client finds out; that it is missing is better said at once.
    fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(path.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(flatten)]
        security: KafkaSecurity,
    }

    fn parsed(args: &[&str]) -> Result<KafkaSecurity, String> {
        let args = [&["program"], args].concat();
        Program::try_parse_from(args).map(|it| it.security).map_err(|error| error.to_string())
    }

    #[test]
    fn a_user_has_a_password_which_no_one_sees() {
        let file = std::env::temp_dir().join(format!("flotilla-secret-{}", std::process::id()));
        fs::write(&file, "s3cret\n").unwrap();
        let path = file.display().to_string();
        let args = ["--kafka-security-protocol", "SASL_SSL", "--kafka-sasl-username", "ada"];
        let missing = parsed(&args).unwrap_err();
        assert!(missing.contains("--kafka-sasl-password-file"), "{missing}");
        let security = parsed(&[&args[..], &["--kafka-sasl-password-file", &path]].concat());
        let security = security.unwrap();
        assert!(!format!("{security:?}").contains("s3cret"), "{security:?}");
        let mut client = ClientConfig::new();
        security.tell(&mut client);
        assert_eq!(client.get("sasl.password"), Some("s3cret"));
        assert_eq!(client.get("sasl.mechanism"), Some("SCRAM-SHA-512"));
        assert_eq!(client.get("security.protocol"), Some("sasl_ssl"));
        fs::remove_file(file).unwrap();
    }

    #[test]
    fn what_is_not_there_is_said_at_once() {
        for option in ["--kafka-ca-file", "--kafka-sasl-password-file", "--kafka-key-file"] {
            let said = parsed(&[option, "/nowhere/at-all"]).unwrap_err();
            assert!(said.contains(option) && said.contains("cannot be read"), "{said}");
        }
        let said = parsed(&["--kafka-security-protocol", "tls"]).unwrap_err();
        assert!(said.contains("sasl_ssl"), "{said}");
    }

    #[test]
    fn nothing_is_told_where_nothing_is_secured() {
        let mut client = ClientConfig::new();
        parsed(&[]).unwrap().tell(&mut client);
        assert!(client.config_map().is_empty());
    }
}
