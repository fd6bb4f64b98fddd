//! From a run that fails to a smaller one that fails in the same way.
use super::{
    plan::Plan,
    run::{Outcome, run},
    timeline::Timeline,
};
use std::collections::BTreeSet;

/// The smallest plan found that breaks one of the promises that this one breaks, and how many runs it took to find.
#[must_use]
pub fn shrink(plan: &Plan, outcome: &Outcome, runs_max: usize) -> (Plan, usize) {
    let promises: BTreeSet<&str> = outcome.anomalies.iter().map(|it| it.promise).collect();
    let mut it = Shrinking { plan: plan.clone(), promises, runs: 0, runs_max };
    it.fewer_faults(outcome.numbers.clone());
    it.fewer_commands();
    let numbers = run(&it.plan, &Timeline::default()).numbers;
    it.fewer_faults(numbers);
    (it.plan, it.runs)
}

struct Shrinking<'a> {
    plan: Plan,
    promises: BTreeSet<&'a str>,
    runs: usize,
    runs_max: usize,
}

impl Shrinking<'_> {
    /// Takes the plan over if it fails in the same way.
    fn accept(&mut self, plan: Plan) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let outcome = run_caught(&plan, &Timeline::default());
        let fails = outcome.anomalies.iter().any(|it| self.promises.contains(it.promise));
        if fails {
            self.plan = plan;
        }
        fails
    }

    fn fewer_commands(&mut self) {
        for divide_by in [8, 4, 2] {
            let commands = self.plan.commands / divide_by;
            if commands >= self.plan.clients && self.accept(Plan { commands, ..self.plan.clone() })
            {
                return;
            }
        }
    }

    /// Leaves out halves, quarters, … of the faults, as long as it fails without them.
    fn fewer_faults(&mut self, numbers: BTreeSet<u32>) {
        let mut left: Vec<u32> = numbers.into_iter().collect();
        let mut size = left.len();
        while size > 0 && self.runs < self.runs_max {
            let mut at = 0;
            while at < left.len() {
                let end = (at + size).min(left.len());
                let chunk: Vec<u32> = left.get(at..end).unwrap_or_default().to_vec();
                let mut plan = self.plan.clone();
                plan.without.extend(&chunk);
                if self.accept(plan) {
                    left.drain(at..end);
                } else {
                    at = end;
                }
            }
            size /= 2;
        }
    }
}

/// As [`run`], where a panic is an anomaly like others.
#[must_use]
pub fn run_caught(plan: &Plan, timeline: &Timeline) -> Outcome {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(plan, timeline)));
    result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Outcome::panicked(text.unwrap_or("something").to_owned())
    })
}
