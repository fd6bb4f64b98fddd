//! Connections that are encrypted and signed in: to a Kafka that lets nobody in otherwise, with passwords from files.
use crate::servers::{Folder, one_after_another};
use fleet::stack::{SecureWay, Stack, StackOptions, free_port};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tokio::task::spawn_blocking;

/// Who signs Kafka's certificate, and the certificate and its key: PEM.
struct Certificates {
    authority: String,
    certificate: String,
    key: String,
}

impl Certificates {
    fn new() -> Self {
        let mut params = named("an authority", []);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = named("kafka", ["127.0.0.1"]);
        let certificate = params.signed_by(&key, &authority).expect("a certificate");
        Self {
            authority: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn named<const N: usize>(name: &str, addresses: [&str; N]) -> CertificateParams {
    let mut params = CertificateParams::new(addresses.map(str::to_owned)).expect("addresses");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

struct Client {
    options: Vec<String>,
    folder: PathBuf,
}

impl Client {
    /// Signs in with this password, and trusts whom `authority` names.
    fn new(stack: &Stack, port: u16, folder: &Path, password: &str, authority: &str) -> Self {
        let file = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let addresses = stack.addresses();
        let options = [
            ("--kafka-brokers", format!("127.0.0.1:{port}")),
            ("--schema-registry-url", addresses.schema_registry_url.clone()),
            ("--database-url", addresses.database_url.clone()),
            ("--partitions", "3".to_owned()),
            ("--kafka-security-protocol", "sasl_ssl".to_owned()),
            ("--kafka-sasl-mechanism", "PLAIN".to_owned()),
            ("--kafka-sasl-username", "fleet".to_owned()),
            ("--kafka-sasl-password-file", file("password", &format!("{password}\n"))),
            ("--kafka-ca-file", file("ca.crt", authority)),
        ];
        let options = options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        Self { options: options.collect(), folder: folder.to_owned() }
    }

    async fn flotilla(&self, words: &[&str]) -> Output {
        let mut it = Command::new(env!("CARGO_BIN_EXE_flotilla"));
        it.args(words).args(&self.options).current_dir(&self.folder).stdin(Stdio::null());
        spawn_blocking(move || it.output()).await.expect("it ends").expect("it runs")
    }
}

#[tokio::test]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn services_sign_in_and_who_may_not_is_told_so() {
    let _turn = one_after_another();
    let folder = Folder::new("security");
    let (certificates, port) = (Certificates::new(), free_port().expect("a port"));
    let secure = SecureWay {
        port,
        certificates: format!("{}{}", certificates.certificate, certificates.authority),
        key: certificates.key.clone(),
        users: vec![("fleet".to_owned(), "fair winds".to_owned())],
    };
    let options = StackOptions { secure: Some(secure), ..folder.options() };
    let stack = Stack::start(options, Arc::new(())).await.expect("a stack");
    let client = |name: &str, password: &str, authority: &str| {
        let of_its_own = folder.0.join("logs").join(name);
        fs::create_dir_all(&of_its_own).expect("a folder");
        Client::new(&stack, port, &of_its_own, password, authority)
    };

    let right = client("right", "fair winds", &certificates.authority);
    let migrated = right.flotilla(&["migrate"]).await;
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    let services = ["customers-handler", "customers-aggregator", "bff"];
    let address = crate::fleet::free_address();
    let fleet = crate::process::Process::start(&services, &right.options, address);
    let server = fleet.server();
    server.ready().await;
    let ada = server.invite("ada@example.com").await;
    assert!(ada["id"].is_string(), "{ada}");

    for (name, password, authority, reason) in [
        ("password", "foul winds", certificates.authority.clone(), "uthentication failed"),
        ("authority", "fair winds", Certificates::new().authority, "certificate"),
    ] {
        let wrong = client(name, password, &authority);
        let out = wrong.flotilla(&["migrate"]).await;
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success(), "a wrong {name} was let in: {said}");
        assert!(said.contains(reason), "a wrong {name}: {said}");
        assert!(!said.contains("winds"), "a secret is printed: {said}");
    }
    fleet.stop().await;
    stack.stop(Arc::new(())).await;
}
