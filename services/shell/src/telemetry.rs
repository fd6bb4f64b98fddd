//! What a process tells those who watch it from afar: traces and metrics, by OTLP to a collector.
//!
//! - [`trace`]: what became of a request, from its beginning to the row, as spans
//! - [`metric`]: every metric, with its unit and what it says; `/metrics` has them as text for Prometheus
//!
//! Nobody has to listen: without an address nothing is sent, and a span costs one look at a variable.
pub mod metric;
mod otlp;
pub mod trace;

use crate::config::HttpUrl;

/// The version of this build: whoever built a release said so (`FLOTILLA_VERSION`).
pub const VERSION: &str = match option_env!("FLOTILLA_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};
/// The revision that it was built from, where whoever built it said so (`FLOTILLA_REVISION`).
pub const REVISION: Option<&str> = option_env!("FLOTILLA_REVISION");

/// Where telemetry goes.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct TelemetryConfig {
    /// The OpenTelemetry collector (OTLP over gRPC); without it nothing is sent.
    #[arg(long = "otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub endpoint: Option<HttpUrl>,

    /// The share of requests that are traced, from 0 to 1; a request that comes with a trace is traced if that one is.
    #[arg(long = "trace-share", env = "OTEL_TRACES_SAMPLER_ARG", value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub trace_share: f64,
}

/// Begins to send, until what is returned is dropped: then what is left is sent first. `service` is what the process is called,
/// unless the environment says otherwise (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).
///
/// # Errors
/// If the address is none that can be sent to; whether somebody listens there is found out later.
pub fn start(config: &TelemetryConfig, service: &str) -> anyhow::Result<Option<impl Drop + use<>>> {
    metric::recorder();
    config
        .endpoint
        .as_ref()
        .map(|it| otlp::send(it.as_str(), config.trace_share, service))
        .transpose()
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("not a share from 0 to 1, such as 0.01".into()),
    }
}
