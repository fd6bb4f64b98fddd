//! Yet to come.
use super::{Anomaly, History, Stored};
pub(super) fn check(_history: &History, _stored: &Stored, _found: &mut Vec<Anomaly>) {}
