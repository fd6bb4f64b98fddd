//! The list of deployables: a context is a line of it.
use customers::Customers;
use functions::Context;
use shell::{Service, aggregator, handler};

/// Every context.
pub const CONTEXTS: &[&str] = &[Customers::NAME];

/// Every deployable of the fleet.
#[must_use]
pub fn all(bff: bff::Config) -> Vec<Service> {
    vec![handler::<Customers>(), aggregator::<Customers>(), bff::service(bff)]
}

/// Is told the type of every context, for what is done to each of them.
pub trait EachContext {
    /// The fleet has the context `C`.
    fn context<C: Context>(&mut self);
}

/// Names every context.
pub fn each(visitor: &mut impl EachContext) {
    visitor.context::<Customers>();
}
