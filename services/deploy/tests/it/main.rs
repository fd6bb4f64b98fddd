//! What would only fail on a cluster, found without one.
