//! As much of Starlark, the language of Tiltfiles, as ours uses: so that a test can run it. (The crate of that name has
//! the whole language, and takes two minutes to compile.) What is not known here is an error with its line.
mod evaluate;
mod lex;
mod operate;
mod parse;
mod value;

pub use value::{Arguments, Value};

use std::collections::BTreeMap;

/// What a program finds around it: functions and constants that are not the language's own.
pub trait World {
    /// Calls the function of a name: `docker_build`, `os.getenv`.
    ///
    /// # Errors
    /// If there is no such function, or it refuses its arguments.
    fn call(&mut self, name: &str, arguments: Arguments) -> Result<Value, String>;

    /// Whether there is a function of this name, or one that begins with it and a dot.
    fn knows(&self, name: &str) -> bool;

    /// A constant.
    fn constant(&self, name: &str) -> Option<Value>;
}

/// Runs a program.
///
/// # Errors
/// With the line, and what is wrong there.
pub fn run(text: &str, world: &mut dyn World) -> Result<BTreeMap<String, Value>, String> {
    let program = parse::program(&lex::tokens(text)?)?;
    evaluate::run(&program, world)
}
