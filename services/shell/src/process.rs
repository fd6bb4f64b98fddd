//! The life of a process: start, health, signals, and an end in good order.
use crate::{
    config::Config,
    service::{Service, Shell},
    telemetry,
};
use anyhow::Context as _;
use clap::Parser;
use std::{io::IsTerminal as _, process::ExitCode, sync::mpsc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// A batch is thousands of small things, made by one thread and in part dropped by another: the system's allocator
/// took a third of a handler's time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A service of the Flotilla fleet.
#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    config: Config,
}

/// The whole `main` of a deployable: options from the command line and the environment, the services until a
/// signal comes, an exit code.
#[must_use]
pub fn run(services: impl IntoIterator<Item = Service>) -> ExitCode {
    let program = Program::parse();
    start_logging();
    match run_with(program.config, services) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs services until a signal comes, with health and metrics where the configuration says.
///
/// # Errors
/// Whatever ended a service before its time.
pub fn run_with(config: Config, services: impl IntoIterator<Item = Service>) -> anyhow::Result<()> {
    let health = config.health;
    let shutdown = CancellationToken::new();
    let mut services: Vec<Service> = services.into_iter().collect();
    let shell = Shell::new(config, shutdown.clone())?;
    if let Some(address) = health {
        services.push(crate::http::service(address));
    }
    services.push(Service::new("signals", "", |shell: Shell| async move {
        signals(&shell.shutdown).await
    }));
    supervise(&shell, services)
}

/// Runs each service on its thread until all have ended. The first failure stops the others.
///
/// # Errors
/// The first failure.
pub fn supervise(shell: &Shell, mut services: Vec<Service>) -> anyhow::Result<()> {
    let told = &shell.config.telemetry;
    let name = services.iter().find(|it| it.reports()).map_or("flotilla", Service::name).to_owned();
    // Dropped last: what the services did until their end is sent as well.
    let _sending = telemetry::start(told, &name)?;
    if told.endpoint.is_some() {
        services.push(crate::http::observer());
    }
    let (ended, end) = mpsc::channel();
    for it in services.iter().filter(|it| it.reports()) {
        shell.status.expect(it.name());
    }
    let mut left = 0;
    for service in services {
        let (shell, ended) = (shell.clone(), ended.clone());
        let name = service.name().to_owned();
        let thread = std::thread::Builder::new().name(name.clone());
        thread
            .spawn(move || {
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    service.run(shell.clone())
                }));
                let result = result.unwrap_or_else(|_| Err(anyhow::anyhow!("{name} panicked")));
                let _ = ended.send(result);
            })
            .context("cannot start a thread")?;
        left += 1;
    }
    drop(ended);
    let mut first = Ok(());
    while left > 0 {
        let result = if shell.shutdown.is_cancelled() {
            let Ok(result) = end.recv_timeout(STOP_DEADLINE) else {
                anyhow::bail!("not everything ended within {STOP_DEADLINE:?}");
            };
            result
        } else {
            match end.recv() {
                Ok(result) => result,
                Err(_) => break,
            }
        };
        left -= 1;
        if let (Ok(()), Err(error)) = (&first, result) {
            tracing::error!("{error:#}");
            first = Err(error);
        }
        // A service ends when it is told to, or has failed: either way it is time for the others.
        shell.shutdown.cancel();
    }
    first
}

/// The first signal is soft; the second, or a deadline, hard.
async fn signals(shutdown: &CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    tracing::info!("stopping");
    shutdown.cancel();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        });
        tracing::warn!("a second signal: stopping at once");
        std::process::exit(130);
    });
    Ok(())
}

/// Logs for people on a terminal, JSON otherwise; `RUST_LOG` chooses what. Called twice, the first wins.
pub fn start_logging() {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,librdkafka=warn,sqlx=warn"));
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = std::io::stderr().is_terminal();
    let result = if is_terminal {
        registry.with(fmt::layer().with_target(false).with_writer(std::io::stderr)).try_init()
    } else {
        registry
            .with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
            .try_init()
    };
    drop(result);
}

/// A planned stop has to be over by then.
const STOP_DEADLINE: Duration = Duration::from_secs(15);
