//! Several of each service, in processes of their own, side by side.
use crate::{
    client::whole_mutation,
    fleet::{Fleet, events},
    process::Process,
    server::{Server, answer, until_some},
};
use ::fleet::stack::shared;
use serde_json::{Value, json};
use shell::{codec::Registry as _, ids, registry::HttpRegistry};
use std::collections::BTreeSet;

const ROUNDS: usize = 20;

struct Instances {
    fleet: Fleet,
    one: Server,
    other: Server,
    _processes: Vec<Process>,
}

/// Two of each; the handlers share the partitions.
async fn instances() -> Instances {
    let fleet = Fleet::new().await;
    let start = |services: &[&str]| fleet.process(services);
    let bffs = [start(&["bff"]), start(&["bff"])];
    let handlers = [start(&["customers-handler"]), start(&["customers-handler"])];
    let aggregators = [start(&["customers-aggregator"]), start(&["customers-aggregator"])];
    let (one, other) = (bffs[0].server(), bffs[1].server());
    for it in &handlers {
        let handler = it.server();
        until_some("each handler has a share", async || {
            (1..=2).contains(&handler.parts().await).then_some(())
        })
        .await;
    }
    one.ready().await;
    other.ready().await;
    let processes = bffs.into_iter().chain(handlers).chain(aggregators).collect();
    Instances { fleet, one, other, _processes: processes }
}

#[tokio::test]
async fn instances_work_side_by_side() {
    let Instances { fleet, one, other, _processes } = instances().await;

    // Two that race for one e-mail get one customer.
    for round in 0..ROUNDS {
        let email = json!({ "email": format!("racer-{round}@example.com") });
        let (a, b) = tokio::join!(
            one.mutate("inviteCustomer", email.clone()),
            other.mutate("inviteCustomer", email)
        );
        let (a, b) = (&a.body["data"]["inviteCustomer"], &b.body["data"]["inviteCustomer"]);
        assert!(a["customer"].is_object(), "{a}");
        assert_eq!(a["customer"], b["customer"]);
        let mut outcomes = [&a["outcome"], &b["outcome"]].map(Value::to_string);
        outcomes.sort();
        assert_eq!(outcomes, ["\"ALREADY_INVITED\"", "\"INVITED\""]);
    }
    assert_eq!(events(&fleet), ROUNDS);

    // What was written by way of one is seen by way of the other.
    for n in 0..ROUNDS {
        let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
        let input = json!({ "email": format!("reader-{n}@example.com") });
        let body = crate::client::mutation("inviteCustomer", &input, "commandId");
        let it = answer(writer.post(&body)).await;
        let position = it.header("flotilla-position").expect("a position");
        let list = "{ customers(first: 100) { totalCount nodes { email } } }";
        let shown = answer(reader.ask_after(position, list)).await.body;
        let customers = &shown["data"]["customers"];
        assert_eq!(customers["totalCount"], ROUNDS + n + 1, "{shown}");
        let has = |it: &Value| it["email"] == input["email"];
        assert!(customers["nodes"].as_array().is_some_and(|it| it.iter().any(has)), "{shown}");
    }

    // A command sent by way of both, at once and later, has one effect and one answer.
    let before = events(&fleet);
    for n in 0..ROUNDS {
        let email = format!("twice-{n}@example.com");
        let input = json!({ "email": email, "commandId": ids::new_id() });
        let body = whole_mutation("inviteCustomer", &input);
        let (a, b) = tokio::join!(answer(one.post(&body)), answer(other.post(&body)));
        assert_eq!(a.body["data"]["inviteCustomer"]["outcome"], "INVITED", "{}", a.body);
        assert_eq!(a.body["data"], b.body["data"]);
        let later = answer(other.post(&body)).await;
        assert_eq!(a.body["data"], later.body["data"]);
    }
    assert_eq!(events(&fleet), before + ROUNDS);
}

#[tokio::test]
async fn several_may_bring_a_schema_to_the_registry_at_the_same_time() {
    let addresses = shared().await.expect("a stack");
    let registry = HttpRegistry::new(&addresses.schema_registry_url).expect("a client");
    for _ in 0..ROUNDS {
        let subject = format!("race-{}", ids::new_id());
        let each = (0..8).map(|_| registry.register(&subject, "\"string\""));
        let told = futures::future::join_all(each).await;
        let told = told.into_iter().collect::<Result<BTreeSet<u32>, _>>().expect("taken");
        assert_eq!(told.len(), 1, "one schema, one id");
    }
}
