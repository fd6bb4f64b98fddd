//! The whole fleet in virtual time: the same seed is the same run, seeds keep every promise, and what is deliberately
//! wrong is found.
use fleet::simulation::{Kind, Plan, Search, Timeline, run, run_caught, search, shrink};
use shell::defect::Defect;
use std::{collections::BTreeSet, time::Duration};

/// Seeds that once found a mistake. What a seed means changes with the code; those that are as good as any stay.
const FOUND: [u64; 9] = [20, 28, 59, 105, 228, 346, 1, 403_473, 501_369];

fn without_anomaly(plan: &Plan) {
    let outcome = run_caught(plan, &Timeline::default());
    let seen: Vec<String> = outcome.anomalies.iter().map(ToString::to_string).collect();
    assert!(seen.is_empty(), "flotilla simulate --seed {}\n{}", plan.seed, seen.join("\n"));
    assert!(outcome.answered * 2 > plan.commands, "hardly anything is answered: {outcome:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2, 3] {
        let (first, second) = (Timeline::kept(), Timeline::kept());
        let (one, two) = (run(&Plan::of(seed), &first), run(&Plan::of(seed), &second));
        assert_eq!((one.trace, one.took, one.answered), (two.trace, two.took, two.answered));
        assert_eq!(first.lines(), second.lines());
        assert!(one.trace.0 > 1000, "hardly anything happened: {one:?}");
    }
}

#[test]
fn seeds_that_found_something_find_nothing() {
    for seed in FOUND {
        without_anomaly(&Plan::of(seed));
    }
}

#[test]
fn thirty_seconds_of_seeds_keep_every_promise() {
    let what = Search {
        from: 1000,
        seeds: u64::MAX,
        time: Duration::from_secs(30),
        failures_max: 1,
        defect: None,
    };
    let found = search(&what, |_| {});
    for (plan, _) in &found.failures {
        without_anomaly(plan);
    }
    let struck: BTreeSet<Kind> = found.faults.keys().copied().collect();
    assert_eq!(struck, Kind::ALL.into_iter().collect(), "each kind of fault struck");
    eprintln!("{} schedules, {:.1} a second and core", found.schedules, found.rate());
}

/// How many seeds it takes at most to find each mistake.
const SEEDS_MAX: u64 = 300;

#[test]
fn every_deliberate_mistake_is_found() {
    let mut blind = Vec::new();
    for defect in Defect::ALL {
        let what = Search {
            from: 1,
            seeds: SEEDS_MAX,
            time: Duration::MAX,
            failures_max: 1,
            defect: Some(*defect),
        };
        let found = search(&what, |_| {});
        match found.failures.first() {
            Some((plan, outcome)) => {
                let promises: BTreeSet<_> = outcome.anomalies.iter().map(|it| it.promise).collect();
                eprintln!("{defect}: seed {}: {promises:?}", plan.seed);
            }
            None => blind.push(defect.to_string()),
        }
    }
    assert!(blind.is_empty(), "not found within {SEEDS_MAX} seeds: {blind:#?}");
}

#[test]
fn a_run_that_fails_shrinks_to_a_smaller_one_that_fails_alike() {
    let plan = (1..SEEDS_MAX)
        .map(|seed| Plan { defect: Some(Defect::RowsFoldedWithoutLock), ..Plan::of(seed) })
        .find(|plan| !run(plan, &Timeline::default()).anomalies.is_empty());
    let plan = plan.expect("one of them fails");
    let outcome = run(&plan, &Timeline::default());
    let (small, runs) = shrink(&plan, &outcome, 100);
    assert!(runs <= 100);
    let timeline = Timeline::kept();
    let least = run(&small, &timeline);
    assert!(least.numbers.len() <= outcome.numbers.len(), "more faults than before");
    assert!(
        outcome
            .anomalies
            .iter()
            .any(|it| least.anomalies.iter().any(|its| its.promise == it.promise))
    );
    assert!(timeline.lines().iter().any(|it| it.who.starts_with("client")), "a readable timeline");
}
