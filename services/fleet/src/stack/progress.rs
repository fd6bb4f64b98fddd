//! Who is told how far a start is.
use std::time::Duration;

/// Is told how far a start is. Called from several threads: the servers start side by side.
pub trait Progress: Send + Sync {
    /// A step began, and this is what it waits for.
    fn began(&self, step: &str, waits_for: &str);
    /// Something about a step that takes long.
    fn goes_on(&self, step: &str, detail: &str);
    /// A step is done.
    fn done(&self, step: &str, result: &str, took: Duration);
}

/// Tells nobody.
impl Progress for () {
    fn began(&self, _step: &str, _waits_for: &str) {}
    fn goes_on(&self, _step: &str, _detail: &str) {}
    fn done(&self, _step: &str, _result: &str, _took: Duration) {}
}
