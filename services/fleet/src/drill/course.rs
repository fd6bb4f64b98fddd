//! The steps of a drill, and what was felt of them.
use super::{Felt, Report};
use crate::trial::{Trial, Verdict, Waits};
use std::{path::PathBuf, time::Duration};

/// Between two steps, so that one is not felt in the next.
const CALM: Duration = Duration::from_secs(2);

/// The steps, as they are taken.
pub(super) struct Course<'a> {
    trial: &'a Trial<'a>,
    begun: Duration,
    steps: Vec<Taken>,
}

/// All steps that were taken.
pub(super) struct Done {
    begun: Duration,
    until: Duration,
    steps: Vec<Taken>,
}

struct Taken {
    name: String,
    begun: Duration,
    /// When mutations were answered in every partition again.
    until: Duration,
}

impl<'a> Course<'a> {
    /// Waits until the clients' mutations are answered everywhere.
    pub(super) async fn begin(trial: &'a Trial<'a>) -> Self {
        trial.tell("waiting until mutations are answered in every partition");
        trial.goes_on(trial.now(), async || Vec::new()).await;
        trial.calm(CALM).await;
        Self { trial, begun: trial.now(), steps: Vec::new() }
    }

    /// A step begins.
    pub(super) fn step(&mut self, name: &str) {
        self.trial.tell(name);
        let now = self.trial.now();
        self.steps.push(Taken { name: name.to_owned(), begun: now, until: now });
    }

    /// The step is taken: waits until everything goes on as before.
    pub(super) async fn done(&mut self, not_ready: impl AsyncFn() -> Vec<String>) {
        self.trial.goes_on(self.trial.now(), not_ready).await;
        if let Some(last) = self.steps.last_mut() {
            last.until = self.trial.now();
        }
        self.trial.calm(CALM).await;
    }

    pub(super) fn ends(self) -> Done {
        self.trial.tell("no more steps: waiting until nothing is pending");
        Done { begun: self.begun, until: self.trial.now(), steps: self.steps }
    }
}

impl Done {
    /// What was felt of all of it.
    pub(super) fn report(
        &self,
        seed: u64,
        verdict: &Verdict,
        partitions: i32,
        kept: Option<PathBuf>,
    ) -> Report {
        let waits = Waits::new(&verdict.story, partitions);
        let felt = |it: &Taken| Felt {
            step: it.name.clone(),
            took_s: it.until.saturating_sub(it.begun).as_secs_f64(),
            longest_s: waits.longest(it.begun, it.until).as_secs_f64(),
            attempts_failed: waits.failures(it.begun, it.until),
        };
        Report {
            seed,
            took_s: self.until.saturating_sub(self.begun).as_secs_f64(),
            steps: self.steps.iter().map(felt).collect(),
            calm_longest_s: self.calm(&waits).as_secs_f64(),
            tally: verdict.tally(),
            kept,
        }
    }

    /// The longest mutation that was under way while no step was being taken at any time of it.
    fn calm(&self, waits: &Waits) -> Duration {
        let is_calm = |begun: Duration, ended: Duration| {
            begun >= self.begun
                && ended <= self.until
                && self.steps.iter().all(|it| ended < it.begun || begun > it.until)
        };
        let calm = waits.waits.iter().filter(|it| is_calm(it.begun, it.ended));
        calm.map(|it| it.ended.saturating_sub(it.begun)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::Wait;

    #[test]
    fn what_reaches_into_a_step_is_not_calm() {
        let at = Duration::from_secs;
        let wait = |begun, ended| Wait { part: 0, begun: at(begun), ended: at(ended) };
        let waits = vec![wait(0, 9), wait(10, 12), wait(13, 17), wait(19, 26), wait(30, 35)];
        let waits = Waits { waits, failed: Vec::new() };
        let step = Taken { name: "restart".to_owned(), begun: at(15), until: at(20) };
        let done = Done { begun: at(10), until: at(32), steps: vec![step] };
        assert_eq!(done.calm(&waits), at(2));
        assert_eq!(waits.longest(at(15), at(20)), at(7));
    }
}
