//! Unique values, however many processes decide at once (protocol.md W3).
use crate::{
    fleet::{Random, accepted, code, customer, id, id_in, invite, run, send},
    sound::sound,
};
use customers::Customers;
use futures::future::join_all;
use shared_events::{
    customers::{ChangeCustomerEmail, RemoveCustomer},
    fleet::Verdict,
};

fn change(n: u128, email: &str) -> ChangeCustomerEmail {
    ChangeCustomerEmail { customer_id: id(n), email: email.to_owned() }
}

#[test]
fn two_handlers_racing_for_one_address_make_one_customer_and_both_callers_get_it() {
    for seed in 1..100 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _services = (
                fleet.handler::<Customers>(),
                fleet.handler::<Customers>(),
                fleet.aggregator::<Customers>(),
            );
            let (client, other) = (fleet.client::<Customers>(), fleet.client::<Customers>());
            // Two handlers share three partitions: 0 and 1 are of different ones.
            let (a, b) = (id_in(0, 0), id_in(1, 0));
            let answers = futures::join!(
                send(&client, invite(a, "Ada@example.com")),
                send(&other, invite(b, "ada@EXAMPLE.com")),
            );
            let (first, second) = (answers.0.unwrap(), answers.1.unwrap());
            let (winner, won, lost) = match first.verdict {
                Verdict::Accepted => (a, &first, &second),
                Verdict::Rejected => (b, &second, &first),
            };
            assert_eq!(won.verdict, Verdict::Accepted, "seed {seed}");
            assert_eq!(code(lost), "ALREADY_INVITED", "seed {seed}");
            let details = &lost.rejection.as_ref().unwrap().details;
            assert_eq!(details["customer_id"], id(winner).to_string(), "seed {seed}");
            // The position of the refusal shows whom it is about (R2).
            let row = customer(&other, winner, &lost.position).await;
            assert!(row.is_some(), "seed {seed}: the row of the winner is not there yet");
            sound(&fleet).await;
        });
    }
}

#[test]
fn many_racing_for_few_addresses_end_with_one_holder_each() {
    for seed in 1..25 {
        run(async |fleet| {
            fleet.store.set_slow(seed);
            let _services = (
                fleet.handler::<Customers>(),
                fleet.handler::<Customers>(),
                fleet.aggregator::<Customers>(),
            );
            let client = fleet.client::<Customers>();
            let mut random = Random(seed);
            for n in 1..=12 {
                accepted(&client, invite(n, &format!("first{n}@example.com"))).await;
            }
            let contended = (0..120).map(|_| {
                let n = u128::from(random.below(12) + 1);
                let email = format!("{}@example.com", random.below(5));
                let client = client.clone();
                async move { send(&client, change(n, &email)).await.unwrap() }
            });
            let answers = join_all(contended.collect::<Vec<_>>()).await;
            let refused = answers.iter().map(code).filter(|it| !it.is_empty());
            assert!(refused.clone().all(|it| it == "EMAIL_TAKEN"), "seed {seed}: {answers:?}");
            sound(&fleet).await;
        });
    }
}

#[test]
fn an_address_given_back_is_free_and_passed_on() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        accepted(&client, invite(1, "ada@example.com")).await;
        let taken = send(&client, invite(2, "ADA@example.com")).await.unwrap();
        assert_eq!(code(&taken), "ALREADY_INVITED");
        accepted(&client, change(1, "countess@example.com")).await;
        accepted(&client, invite(3, "ada@example.com")).await;
        accepted(&client, RemoveCustomer { customer_id: id(3) }).await;
        accepted(&client, change(1, "ada@example.com")).await;
        accepted(&client, invite(4, "countess@example.com")).await;
        let free = send(&client, change(4, "ada@example.com")).await.unwrap();
        assert_eq!(code(&free), "EMAIL_TAKEN");
        sound(&fleet).await;
    });
}

#[test]
fn an_address_is_passed_on_within_one_batch() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        // All of one partition, so that they are decided in this order and at once.
        let [a, b, c] = [0, 1, 2].map(|n| id_in(0, n));
        let all = async {
            futures::join!(
                send(&client, invite(a, "ada@example.com")),
                send(&client, change(a, "countess@example.com")),
                send(&client, invite(b, "ada@example.com")),
                send(&client, RemoveCustomer { customer_id: id(b) }),
                send(&client, invite(c, "ada@example.com")),
            )
        };
        let (answers, _services) = futures::join!(all, async {
            (fleet.handler::<Customers>(), fleet.aggregator::<Customers>())
        });
        let (invited, changed, passed_on, removed, again) = answers;
        for it in [invited, changed, passed_on, removed, again] {
            assert_eq!(it.unwrap().verdict, Verdict::Accepted);
        }
        sound(&fleet).await;
    });
}

#[test]
fn a_refusal_within_the_batch_of_the_winner_shows_the_winner() {
    run(async |fleet| {
        let client = fleet.client::<Customers>();
        let (a, b) = (id_in(0, 0), id_in(2, 0));
        let both = async {
            futures::join!(
                send(&client, invite(a, "ada@example.com")),
                send(&client, invite(b, "ada@example.com")),
            )
        };
        let (answers, _services) = futures::join!(both, async {
            (fleet.handler::<Customers>(), fleet.aggregator::<Customers>())
        });
        let lost = answers.1.unwrap();
        assert_eq!(code(&lost), "ALREADY_INVITED");
        let shown = lost.position.entries().any(|it| (it.part, it.pseq) == (0, 1));
        assert!(shown, "{:?}", lost.position);
        assert!(customer(&client, a, &lost.position).await.is_some());
    });
}
