//! What topics, groups and databases are called: in one place, so that programs and tools agree.
use std::sync::Arc;

/// The names within a namespace.
#[derive(Clone, Debug)]
pub struct Names {
    namespace: String,
}

impl Names {
    /// All names begin with `namespace`.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned() }
    }

    /// The prefix.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The topic of a context's commands.
    #[must_use]
    pub fn commands(&self, context: &str) -> Arc<str> {
        Arc::from(format!("{}{context}.commands", self.namespace))
    }

    /// The topic of a context's events.
    #[must_use]
    pub fn events(&self, context: &str) -> Arc<str> {
        Arc::from(format!("{}{context}.events", self.namespace))
    }

    /// The topic of all answers.
    #[must_use]
    pub fn replies(&self) -> Arc<str> {
        Arc::from(format!("{}replies", self.namespace))
    }

    /// The group of a context's handlers.
    #[must_use]
    pub fn handler_group(&self, context: &str) -> String {
        format!("{}{context}.handler", self.namespace)
    }

    /// A context's database.
    #[must_use]
    pub fn database(&self, context: &str) -> String {
        format!("{}{context}", self.namespace)
    }
}
