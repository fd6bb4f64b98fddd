//! Ctrl-C and a polite request to end: the first one asks, the second one insists.
use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What the signals of this process have asked for so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// Stop in order.
    pub(super) soft: CancellationToken,
    /// Stop at once.
    pub(super) hard: CancellationToken,
}

impl Signals {
    /// Listens from now on, instead of ending the process.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listen for signals");
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut terminate = listen(SignalKind::terminate())?;
        let mut hang_up = listen(SignalKind::hangup())?;
        let signals = Self::default();
        let ours = signals.clone();
        tokio::spawn(async move {
            for asked in [&ours.soft, &ours.hard] {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hang_up.recv() => {}
                }
                asked.cancel();
            }
        });
        Ok(signals)
    }
}
