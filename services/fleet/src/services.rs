//! The list of deployables: a context is a line of it.
use customers::Customers;
use functions::Context as _;
use shell::{Service, aggregator, handler};

/// Every context.
pub const CONTEXTS: &[&str] = &[Customers::NAME];

/// Every deployable of the fleet.
#[must_use]
pub fn all(bff: bff::Config) -> Vec<Service> {
    vec![handler::<Customers>(), aggregator::<Customers>(), bff::service(bff)]
}
