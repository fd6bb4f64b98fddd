//! A Tiltfile, run without Tilt: its functions take note of what they are told, and refuse what Tilt would.
mod check;
mod functions;

pub use check::{faults, program_calls};

use crate::{
    kustomize::{self, Files},
    starlark::{self, Arguments, Value, World},
};
use std::collections::BTreeMap;

/// What a Tiltfile is run with.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The cluster that `kubectl` works on.
    pub context: String,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// What follows `tilt up --`, without dashes: `build=host`, `observability`.
    pub arguments: Vec<String>,
}

/// What a Tiltfile declares.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Clusters that it allows besides those of Tilt.
    pub allowed: Vec<String>,
    /// Images that are built.
    pub images: Vec<Call>,
    /// What runs here: builds and buttons.
    pub local: Vec<Call>,
    /// What is said of workloads.
    pub workloads: Vec<Call>,
    /// What is applied to the cluster.
    pub objects: Vec<serde_json::Value>,
}

/// A function's arguments by name.
#[derive(Debug, Clone, Default)]
pub struct Call(BTreeMap<String, Value>);

impl Call {
    /// A string; empty if it is not given.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_text).unwrap_or_default()
    }

    /// Strings, or one that stands for a list of it.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::Text(text)) => vec![text.to_string()],
            Some(value) => value.items().iter().map(Value::to_string).collect(),
            None => Vec::new(),
        }
    }

    /// What functions such as `sync` made: their names and arguments.
    #[must_use]
    pub fn made(&self, name: &str) -> Vec<(String, Vec<String>)> {
        let items = self.0.get(name).map(Value::items).unwrap_or_default();
        let made = items.iter().filter_map(|it| match it {
            Value::Made(it) => {
                let arguments = it.1.positional.iter().map(Value::to_string);
                Some((it.0.clone(), arguments.collect()))
            }
            _ => None,
        });
        made.collect()
    }

    /// Whether it is pressed, and never runs by itself.
    #[must_use]
    pub fn is_button(&self) -> bool {
        self.text("trigger_mode") == "manual"
            && self.0.get("auto_init") == Some(&Value::Bool(false))
    }
}

/// Runs a Tiltfile.
///
/// # Errors
/// With the line, and what is wrong there.
pub fn run(text: &str, files: &Files, settings: &Settings) -> Result<Declared, String> {
    let mut tilt = Tilt { files, settings, options: BTreeMap::new(), it: Declared::default() };
    starlark::run(text, &mut tilt)?;
    Ok(tilt.it)
}

struct Tilt<'a> {
    files: &'a Files,
    settings: &'a Settings,
    /// Those that were defined, and whether each is a switch.
    options: BTreeMap<String, bool>,
    it: Declared,
}

impl World for Tilt<'_> {
    fn call(&mut self, name: &str, arguments: Arguments) -> Result<Value, String> {
        let call = Call(functions::bind(name, arguments.clone())?);
        match name {
            "fail" => return Err(call.text("message").to_owned()),
            "k8s_context" => return Ok(Value::text(&self.settings.context)),
            "os.getenv" => {
                let set = self.settings.environment.get(call.text("key"));
                return Ok(Value::text(set.map_or(call.text("default"), String::as_str)));
            }
            "config.define_bool" | "config.define_string" => {
                let is_switch = name == "config.define_bool";
                self.options.insert(call.text("name").to_owned(), is_switch);
            }
            "config.parse" => return self.options(),
            "allow_k8s_contexts" => self.it.allowed.extend(call.texts("contexts")),
            "kustomize" => {
                let folder = call.text("path").to_owned();
                let objects =
                    kustomize::render(self.files, &folder).map_err(|it| it.to_string())?;
                return serde_json::to_string(&objects)
                    .map(Value::text)
                    .map_err(|it| it.to_string());
            }
            "k8s_yaml" => {
                let objects: Vec<serde_json::Value> =
                    serde_json::from_str(call.text("yaml")).map_err(|it| it.to_string())?;
                self.it.objects.extend(objects);
            }
            "docker_build" => self.it.images.push(call),
            "k8s_resource" => self.it.workloads.push(call),
            "local_resource" => self.local(call)?,
            "link" | "run" | "sync" => {
                return Ok(Value::Made((name.to_owned(), arguments).into()));
            }
            _ => {}
        }
        Ok(Value::None)
    }

    fn knows(&self, name: &str) -> bool {
        functions::all().any(|it| it == name || it.split('.').next() == Some(name))
    }

    fn constant(&self, name: &str) -> Option<Value> {
        match name {
            "TRIGGER_MODE_MANUAL" => Some(Value::text("manual")),
            "TRIGGER_MODE_AUTO" => Some(Value::text("auto")),
            _ => None,
        }
    }
}

impl Tilt<'_> {
    fn local(&mut self, call: Call) -> Result<(), String> {
        let name = call.text("name");
        if self.it.local.iter().any(|it| it.text("name") == name) {
            return Err(format!("there are two local resources {name}"));
        }
        self.it.local.push(call);
        Ok(())
    }

    /// What was given, of what was defined.
    fn options(&self) -> Result<Value, String> {
        let mut options = Vec::new();
        for argument in &self.settings.arguments {
            let (name, value) = argument.split_once('=').unwrap_or((argument, ""));
            let value = match self.options.get(name) {
                Some(true) => Value::Bool(true),
                Some(false) => Value::text(value),
                None => return Err(format!("--{name} is not defined")),
            };
            options.push((Value::text(name), value));
        }
        Ok(Value::dict(options))
    }
}
