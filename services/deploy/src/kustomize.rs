//! Renders a kustomize folder to objects, with those features of kustomize that our tree uses and no others: so that tests
//! see what a cluster would get, on a machine that has no kustomize. A field that it does not know is an error, never
//! passed over; a patch, an image or a number of replicas that meets nothing is one too, where kustomize is silent.
mod files;
mod generate;
mod json_patch;
mod kustomization;
mod merge;
mod references;
mod transform;

pub use files::Files;

use kustomization::{Kustomization, Patch};
use serde_json::Value;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// A file that cannot be rendered, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The file, or the folder if it is about the whole of it.
    pub file: PathBuf,
    /// What is wrong, with the field's name.
    pub reason: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for Error {}

/// Gives an error its file.
fn at(file: &Path) -> impl Fn(String) -> Error {
    move |reason| Error { file: file.to_owned(), reason }
}

/// An object on its way: where it comes from matters until all names are final.
#[derive(Debug, Clone)]
struct Object {
    value: Value,
    /// Its name is to end in a hash of what it holds.
    wants_hash: bool,
    /// What others call it.
    first_name: String,
}

impl Object {
    fn new(value: Value) -> Self {
        let first_name = text(&value, "/metadata/name").to_owned();
        Self { value, wants_hash: false, first_name }
    }
}

/// The objects that a folder with a `kustomization.yaml` stands for.
///
/// # Errors
/// If a file cannot be read, a field is not known, or something named in a file is not there.
pub fn render(files: &Files, folder: impl AsRef<Path>) -> Result<Vec<Value>, Error> {
    let mut objects = Vec::new();
    accumulate(files, folder.as_ref(), "Kustomization", &mut objects)?;
    references::finish(&mut objects);
    Ok(objects.into_iter().map(|it| it.value).collect())
}

/// Adds what a folder holds. A component changes what is already there; a kustomization only knows its own.
fn accumulate(
    files: &Files,
    folder: &Path,
    kind: &str,
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    let (file, it) = Kustomization::read(files, folder, kind)?;
    for resource in &it.resources {
        let path = files::join(folder, resource);
        if files.is_folder(&path) {
            let mut inner = Vec::new();
            accumulate(files, &path, "Kustomization", &mut inner)?;
            objects.append(&mut inner);
        } else {
            objects.extend(files.documents(&path)?.into_iter().map(Object::new));
        }
    }
    for component in &it.components {
        accumulate(files, &files::join(folder, component), "Component", objects)?;
    }
    generate::all(files, folder, &file, &it, objects)?;
    for patch in &it.patches {
        apply(files, folder, &file, patch, objects)?;
    }
    transform::all(&it, objects).map_err(at(&file))
}

fn apply(
    files: &Files,
    folder: &Path,
    file: &Path,
    patch: &Patch,
    objects: &mut Vec<Object>,
) -> Result<(), Error> {
    let (source, patches) = match (&patch.path, &patch.text) {
        (Some(other), None) => {
            let other = files::join(folder, other);
            let documents = files.documents(&other)?;
            (other, documents)
        }
        (None, Some(text)) => (file.to_owned(), files::documents(text).map_err(at(file))?),
        _ => return Err(at(file)("patches: one of path and patch is needed".into())),
    };
    for it in &patches {
        let targets: Vec<usize> = match &patch.target {
            Some(target) => objects
                .iter()
                .enumerate()
                .filter(|(_, o)| target.selects(o))
                .map(|(i, _)| i)
                .collect(),
            None => objects
                .iter()
                .enumerate()
                .filter(|(_, o)| merge::is_about(it, o))
                .map(|(i, _)| i)
                .collect(),
        };
        if targets.is_empty() {
            let of = patch.target.as_ref().map_or_else(|| merge::name(it), ToString::to_string);
            return Err(at(&source)(format!("patches: {of} is not among the objects")));
        }
        for index in targets.into_iter().rev() {
            let object = &mut objects[index];
            if it.is_array() {
                json_patch::apply(&mut object.value, it).map_err(at(&source))?;
            } else if it.get("$patch").and_then(Value::as_str) == Some("delete") {
                objects.remove(index);
            } else {
                merge::apply(&mut object.value, it).map_err(at(&source))?;
            }
        }
    }
    Ok(())
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
