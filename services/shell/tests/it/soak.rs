//! Hundreds of random commands while everything that can go wrong does, by a seeded choice.
use crate::{
    fleet::{
        EVENTS, HANDLERS, REPLIES, Random, envelope_of, id, invite, outcome, pass, run_with, until,
    },
    sound::{published, sound},
};
use customers::{Customers, views::Customer};
use futures::future::join_all;
use shared_events::{
    customers::{ChangeCustomerEmail, CustomerCommand, RemoveCustomer, VerifyCustomer},
    fleet::Verdict,
};
use shell::{
    Client,
    client::{Answer, CommandError, Envelope},
    memory::{Fleet, FleetOptions},
    position::Position,
    reads::Query,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

const CUSTOMERS: u64 = 25;
const EMAILS: u64 = 12;

fn command(random: &mut Random) -> CustomerCommand {
    let n = u128::from(random.below(CUSTOMERS));
    let email = format!("{}@example.com", random.below(EMAILS));
    let customer_id = id(n);
    match random.below(10) {
        0..4 => invite(n, &email).into(),
        4..6 => VerifyCustomer { customer_id }.into(),
        6..9 => ChangeCustomerEmail { customer_id, email }.into(),
        _ => RemoveCustomer { customer_id }.into(),
    }
}

/// Sends commands one after another, some of them twice; all that was answered.
async fn client_of(fleet: &Fleet, seed: u64, count: usize) -> Vec<(Uuid, Answer)> {
    let mut random = Random(seed);
    let (client, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
    let mut answered = Vec::new();
    let mut position = Position::new();
    for _ in 0..count {
        let (command, command_id) = (command(&mut random), random.id());
        let again = random.below(5) == 0;
        let answer = answer_of(&client, &command, command_id).await;
        if again {
            let second = answer_of(&other, &command, command_id).await;
            assert_eq!(answer, second, "the same command has two answers");
        }
        assert_reads_own_write(&client, &command, &answer, &mut position).await;
        answered.push((command_id, answer));
        pass(Duration::from_millis(random.below(20))).await;
    }
    answered
}

/// Tries until there is an answer, as a caller with an idempotency key does.
async fn answer_of(client: &Client, command: &CustomerCommand, command_id: Uuid) -> Answer {
    for _ in 0..60 {
        let deadline = Duration::from_secs(2);
        let envelope = Envelope { deadline, ..envelope_of(command_id) };
        match client.command(command, envelope).await {
            Ok(answer) => return answer,
            Err(CommandError::Pending { .. } | CommandError::Unavailable(_)) => {
                pass(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{command:?} is never answered");
}

/// Whoever changed something sees it, and never an older state than before.
async fn assert_reads_own_write(
    client: &Client,
    command: &CustomerCommand,
    answer: &Answer,
    seen: &mut Position,
) {
    seen.merge(&answer.position);
    let query = Query::keys::<Customer>([shared_events::Message::stream(command)]);
    // The store may be away: then there is an error, and no old row.
    let Ok(found) = client.read::<Customer>(query, seen, Duration::from_millis(200)).await else {
        return;
    };
    if answer.verdict == Verdict::Accepted {
        assert!(found.rows.iter().any(|it| it.version >= answer.version), "{answer:?}: {found:?}");
    }
    seen.merge(&found.position);
}

/// Kills, restarts, freezes and outages until told to end; in the end all runs.
async fn chaos(fleet: &Fleet, seed: u64, end: &Cell<bool>) -> Vec<shell::memory::Running> {
    let mut random = Random(seed ^ 0xc4a0);
    let mut handlers = vec![fleet.handler::<Customers>(), fleet.handler::<Customers>()];
    let mut aggregators = vec![fleet.aggregator::<Customers>(), fleet.aggregator::<Customers>()];
    while !end.get() {
        pass(Duration::from_millis(random.below(150))).await;
        let which = usize::from(random.below(2) == 1);
        let pause = Duration::from_millis(random.below(400));
        match random.below(10) {
            0 | 1 => {
                for _ in 0..random.below(200) {
                    tokio::task::yield_now().await;
                }
                handlers.swap_remove(which).kill().await;
                handlers.push(fleet.handler::<Customers>());
            }
            2 => {
                handlers.swap_remove(which).stop().await;
                pass(pause).await;
                handlers.push(fleet.handler::<Customers>());
            }
            3 => {
                aggregators.swap_remove(which).kill().await;
                aggregators.push(fleet.aggregator::<Customers>());
            }
            4 => {
                fleet.store.set_away(true);
                pass(pause).await;
                fleet.store.set_away(false);
            }
            5 => {
                fleet.store.set_answers_lost(true);
                pass(pause / 8).await;
                fleet.store.set_answers_lost(false);
            }
            6 => {
                fleet.log.set_swallowed(REPLIES, true);
                pass(pause).await;
                fleet.log.set_swallowed(REPLIES, false);
            }
            7 => {
                // A broker that takes events and loses them, and a handler that dies of it.
                fleet.log.set_swallowed(EVENTS, true);
                pass(pause / 4).await;
                while let Some(it) = handlers.pop() {
                    it.kill().await;
                }
                fleet.log.set_swallowed(EVENTS, false);
                handlers.push(fleet.handler::<Customers>());
                handlers.push(fleet.handler::<Customers>());
            }
            8 => {
                fleet.log.freeze(HANDLERS);
                let next = fleet.handler::<Customers>();
                pass(pause).await;
                fleet.log.thaw(HANDLERS);
                handlers.swap_remove(which).kill().await;
                handlers.push(next);
            }
            _ => {
                fleet.registry.set_away(true);
                pass(pause).await;
                fleet.registry.set_away(false);
            }
        }
    }
    handlers.into_iter().chain(aggregators).collect()
}

fn soak(seed: u64) {
    let options = FleetOptions {
        batch_max: usize::try_from(1 + seed * 7 % 40).unwrap(),
        cache_bytes: if seed.is_multiple_of(3) { 2000 } else { 1 << 20 },
        ..FleetOptions::default()
    };
    run_with(options, async |fleet| {
        fleet.store.set_slow(seed);
        let end = Cell::new(false);
        let clients = async {
            let all = (0..8).map(|n| client_of(&fleet, seed * 100 + n, 40));
            let answered = join_all(all).await;
            end.set(true);
            answered
        };
        let (answered, _services) = futures::join!(clients, chaos(&fleet, seed, &end));
        let answered: BTreeMap<Uuid, Answer> = answered.into_iter().flatten().collect();
        sound(&fleet).await;
        check_answers(&fleet, &answered).await;
        until("all is ready", || fleet.status.not_ready().is_empty()).await;
        assert_eq!(fleet.store.dead_letters("customers"), []);
        assert!(!published(&fleet).is_empty());
    });
}

/// Every command has the outcome that its sender was told, and those accepted with a new version an event.
async fn check_answers(fleet: &Fleet, answered: &BTreeMap<Uuid, Answer>) {
    let client = fleet.client::<Customers>();
    for (command_id, answer) in answered {
        assert_eq!(outcome(&client, "customers", *command_id).await, *answer);
    }
    let decided: BTreeSet<Uuid> =
        fleet.store.outcomes("customers").iter().map(|it| it.command_id).collect();
    assert_eq!(decided, answered.keys().copied().collect());
}

#[test]
fn whatever_goes_wrong_every_command_has_one_effect_and_one_answer() {
    let seeds = match std::env::var("SOAK_SEED") {
        Ok(seed) => vec![seed.parse().unwrap()],
        Err(_) => (1..=20).collect(),
    };
    for seed in seeds {
        let result = std::panic::catch_unwind(|| soak(seed));
        assert!(result.is_ok(), "with SOAK_SEED={seed}");
    }
}
