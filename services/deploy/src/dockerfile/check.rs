//! What is wrong with the Dockerfile of the fleet's image, without an engine.
use super::{Context, Dockerfile, Stage, Step, read};
use crate::versions;

/// Libraries and tools that the Kafka client needs to be compiled, whatever else is in the image of the compiler.
const PACKAGES: [&str; 5] = ["g++", "libssl-dev", "make", "pkg-config", "zlib1g-dev"];
const PROGRAM: &str = "/usr/local/bin/flotilla";
const LABELS: [&str; 5] = ["title", "description", "licenses", "version", "revision"];
/// What `BuildKit` of Docker 20.10 does not know.
const TOO_NEW: [&str; 4] = ["--chmod", "--exclude", "--link", "--parents"];

/// Everything that is wrong with it, in words; `rust` is the oldest version that compiles the fleet.
#[must_use]
pub fn faults(text: &str, context: &Context<'_>, rust: &str) -> Vec<String> {
    let file = match read(text) {
        Ok(file) => file,
        Err(error) => return vec![error],
    };
    let mut faults = language(text, &file);
    faults.extend(images(&file, rust));
    faults.extend(copies(&file, context));
    faults.extend(packages(&file));
    faults.extend(build(&file));
    match file.stages.last() {
        Some(last) => faults.extend(deployed(last)),
        None => faults.push("it has no stage".to_owned()),
    }
    faults
}

fn steps(file: &Dockerfile) -> impl Iterator<Item = &Step> {
    file.stages.iter().flat_map(|it| &it.steps)
}

fn language(text: &str, file: &Dockerfile) -> Vec<String> {
    let mut faults = Vec::new();
    let is_directive = |it: &str| it.replace(' ', "").to_lowercase().starts_with("#syntax=");
    if text.lines().any(is_directive) {
        faults.push("a syntax line fetches an image before anything else".to_owned());
    }
    for step in steps(file) {
        for flag in step.flags.iter().filter(|it| TOO_NEW.iter().any(|new| it.starts_with(new))) {
            faults.push(format!("{} {flag} needs a newer builder", step.name));
        }
        if step.name == "RUN" && step.text.contains("<<") {
            faults.push("a heredoc needs a newer builder".to_owned());
        }
        let secret = ["PASSWORD", "SECRET", "TOKEN"];
        if ["ARG", "ENV"].contains(&step.name.as_str())
            && secret.iter().any(|it| step.text.to_uppercase().contains(it))
        {
            faults.push(format!("{} {} stays in the image for all to read", step.name, step.text));
        }
    }
    faults
}

fn images(file: &Dockerfile, rust: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut releases = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        if stage.name.is_empty() && at + 1 < file.stages.len() {
            faults.push(format!("the stage from {} has no name", stage.from));
        }
        let is_stage = file.stages[..at].iter().any(|it| it.name == stage.from);
        if is_stage || stage.from == "scratch" {
            continue;
        }
        faults.extend(versions::fault(&stage.from));
        if let Some(version) = stage.from.strip_prefix("rust:") {
            let version = version.split('-').next().unwrap_or_default();
            if !version.starts_with(&format!("{rust}.")) {
                faults.push(format!("Rust {version} is not the fleet's, {rust}"));
            }
        }
        // What is linked here must be found there.
        for (release, number) in [("bookworm", "debian12"), ("trixie", "debian13")] {
            if stage.from.contains(release) || stage.from.contains(number) {
                releases.push(release);
            }
        }
    }
    if releases.windows(2).any(|it| it[0] != it[1]) || releases.len() < 2 {
        faults.push(format!("built and run on different releases of Debian: {releases:?}"));
    }
    faults
}

fn copies(file: &Dockerfile, context: &Context<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, stage) in file.stages.iter().enumerate() {
        for step in stage.all("COPY") {
            let words: Vec<_> = step.text.split_whitespace().collect();
            let sources = &words[..words.len().saturating_sub(1)];
            match step.flag("--from") {
                Some(from) if !file.stages[..at].iter().any(|it| it.name == from) => {
                    faults.push(format!("COPY --from={from}: there is no such stage before it"));
                }
                Some(_) => {}
                None => {
                    for source in sources.iter().filter(|it| !context.has(it)) {
                        faults.push(format!("COPY {source}: it is not in what is sent"));
                    }
                }
            }
        }
    }
    for unwanted in
        [".git", "README.md", "k8s", "target", "services/bff/tests", "services/fleet/target"]
    {
        if context.sends(unwanted) {
            faults.push(format!(
                "{unwanted} is sent to the builder: an edit there compiles everything"
            ));
        }
    }
    faults
}

fn packages(file: &Dockerfile) -> Vec<String> {
    let mut faults = Vec::new();
    for step in steps(file).filter(|it| it.name == "RUN" && it.text.contains("apt-get install")) {
        if !step.text.contains("--no-install-recommends") {
            faults.push("apt-get install brings what nobody asked for".to_owned());
        }
        if !step.text.contains("rm -rf /var/lib/apt/lists") || !step.text.contains("apt-get update")
        {
            faults.push("the package lists are not of the same step, or stay".to_owned());
        }
    }
    let installed = steps(file).find(|it| it.text.contains("apt-get install"));
    let installed: Vec<_> = installed.iter().flat_map(|it| it.text.split_whitespace()).collect();
    let missing = PACKAGES.iter().filter(|it| !installed.contains(it));
    faults.extend(missing.map(|it| format!("the Kafka client cannot be compiled without {it}")));
    faults
}

fn build(file: &Dockerfile) -> Vec<String> {
    let mut faults = Vec::new();
    let compiles = |it: &&Stage| it.all("RUN").any(|it| it.text.contains("cargo build"));
    let Some(stage) = file.stages.iter().find(compiles) else {
        return vec!["nothing is compiled".to_owned()];
    };
    let Some(step) = stage.all("RUN").find(|it| it.text.contains("cargo build")) else {
        return faults;
    };
    for (needed, why) in [
        ("--locked", "other versions than those of Cargo.lock may be built"),
        ("--release", "it is not optimized"),
        ("--bin flotilla", "more is compiled than the image holds"),
        ("CARGO_PROFILE_RELEASE_STRIP=symbols", "symbols are most of the file"),
        ("FLOTILLA_REVISION=\"${REVISION}\"", "--version does not know the revision"),
        ("FLOTILLA_VERSION=\"${VERSION}\"", "--version does not know the version"),
        ("${TARGETARCH}", "two architectures share a folder of cargo's"),
        (PROGRAM, "the program is not where the image expects it"),
    ] {
        if !step.text.contains(needed) {
            faults.push(format!("{why}: no {needed}"));
        }
    }
    for folder in ["/usr/local/cargo/registry", "/target"] {
        let target = format!("target={folder},");
        if !step.flags.iter().any(|it| it.contains("type=cache") && it.contains(&target)) {
            faults.push(format!("{folder} is no cache: every build begins anew"));
        }
    }
    let required = |it: &&String| it.contains("type=secret") && it.contains("required=true");
    if steps(file).flat_map(|it| &it.flags).any(|it| required(&it)) {
        faults.push("a secret is required: only some can build it".to_owned());
    }
    // An argument is known from where it stands on.
    for argument in ["TARGETARCH", "VERSION", "REVISION"] {
        let declared = stage.steps.iter().take_while(|it| *it != step);
        let mut declared = declared.filter(|it| it.name == "ARG");
        if !declared.any(|it| it.text.split('=').next() == Some(argument)) {
            faults.push(format!("{argument} is used, but not declared in its stage"));
        }
    }
    for stage in file.stages.iter().filter(|it| it.all("RUN").any(|it| it.text.contains("/image/")))
    {
        let last = stage.last("RUN").map(|it| it.text.as_str()).unwrap_or_default();
        if !(last.contains("touch") && last.contains("SOURCE_DATE_EPOCH")) {
            faults.push(format!("{}: two builds of one commit differ in times", stage.name));
        }
    }
    faults
}

fn deployed(stage: &Stage) -> Vec<String> {
    let mut faults = Vec::new();
    let user = stage.last("USER").map(|it| it.text.as_str()).unwrap_or_default();
    let uid = user.split(':').next().unwrap_or_default().parse::<u32>();
    if !uid.is_ok_and(|it| it > 0) {
        faults.push(format!(
            "it runs as {user:?}: Kubernetes must see by the number that it is not root"
        ));
    }
    let entry = stage.last("ENTRYPOINT").map(|it| it.text.as_str()).unwrap_or_default();
    if entry != format!("[\"{PROGRAM}\"]") {
        faults.push(format!("the entry point {entry} is not the program, without a shell"));
    }
    if stage.last("RUN").is_some() {
        faults.push("RUN in the last stage: there is no shell".to_owned());
    }
    for (name, value) in
        [("FLOTILLA_ASSETS", "/usr/share/flotilla/page"), ("FLOTILLA_HTTP", "0.0.0.0:8080")]
    {
        if stage.variable(name) != Some(value) {
            faults.push(format!("{name} is not {value}"));
        }
    }
    if stage.variable("FLOTILLA_HEALTH").is_some() {
        faults.push("FLOTILLA_HEALTH is set: the BFF would listen at one address twice".to_owned());
    }
    if stage.last("EXPOSE").is_none_or(|it| it.text != "8080") {
        faults.push("the port 8080 is not exposed".to_owned());
    }
    let labels: String = stage.all("LABEL").map(|it| it.text.as_str()).collect();
    for label in LABELS {
        if !labels.contains(&format!("org.opencontainers.image.{label}=")) {
            faults.push(format!("the label {label} is missing"));
        }
    }
    for (label, argument) in [("version", "VERSION"), ("revision", "REVISION")] {
        let declared = stage.all("ARG").any(|it| it.text.split('=').next() == Some(argument));
        if !declared || !labels.contains(&format!("image.{label}=\"${{{argument}}}\"")) {
            faults.push(format!("the label {label} does not say {argument}"));
        }
    }
    faults
}
