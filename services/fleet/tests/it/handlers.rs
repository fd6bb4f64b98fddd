//! Handlers that are killed, stopped and frozen under load: another one goes on, nothing is lost or doubled.
use crate::{
    audit::audit,
    fleet::Fleet,
    load::Load,
    process::Process,
    server::{Server, until_some},
    servers::one_after_another,
};
use std::time::Duration;

const HANDLER: [&str; 1] = ["customers-handler"];

/// A BFF, the views, and two handlers that share the partitions, under load.
struct Setup {
    fleet: Fleet,
    server: Server,
    handlers: [Process; 2],
    load: Load,
}

async fn setup() -> Setup {
    let fleet = Fleet::new().await;
    let services = vec![shell::aggregator::<customers::Customers>()];
    let (server, one, other) = tokio::join!(
        fleet.serve(services, bff::Config::default()),
        fleet.ready_process(&HANDLER),
        fleet.ready_process(&HANDLER)
    );
    let handlers = [one, other];
    for it in &handlers {
        has_a_share(it).await;
    }
    let load = Load::start(std::slice::from_ref(&server));
    load.goes_on(load.now()).await;
    Setup { fleet, server, handlers, load }
}

async fn has_a_share(handler: &Process) {
    let server = handler.server();
    let has = async || (1..=2).contains(&server.parts().await).then_some(());
    until_some("each handler has a share", has).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_killed_handler_is_replaced_within_ten_seconds() {
    let _turn = one_after_another();
    let Setup { fleet, server, handlers, load } = setup().await;
    let [mut one, mut other] = handlers;
    for round in 0..3 {
        let killed = load.now();
        one.kill();
        load.goes_on(killed).await;
        let longest = load.longest(killed);
        eprintln!("handler killed: the longest mutation took {longest:?}");
        assert!(longest < Duration::from_secs(10), "{longest:?}");
        if round < 2 {
            // The next victim is the one that took over; it may be in the middle of anything.
            one = other;
            other = fleet.ready_process(&HANDLER).await;
            has_a_share(&one).await;
            has_a_share(&other).await;
        } else {
            break;
        }
    }
    audit(&fleet, &server, &load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_planned_stop_fails_no_mutation() {
    let _turn = one_after_another();
    let Setup { fleet, server, handlers, load } = setup().await;
    let [one, other] = handlers;
    let asked = load.now();
    let took = one.stop().await;
    load.goes_on(load.now()).await;
    let longest = load.longest(asked);
    eprintln!("handler stopped in {took:?}: the longest mutation took {longest:?}");
    assert_eq!(load.failed(asked), Vec::<String>::new());
    assert!(longest < Duration::from_secs(2), "{longest:?}");
    assert_eq!(other.server().parts().await, 3);
    audit(&fleet, &server, &load.stop().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::await_holding_lock, reason = "each test has a runtime of its own")]
async fn a_handler_frozen_past_its_session_does_no_harm() {
    let _turn = one_after_another();
    let Setup { fleet, server, handlers, load } = setup().await;
    let [one, other] = handlers;
    let frozen = load.now();
    one.freeze();
    let heir = other.server();
    until_some("another takes over", async || (heir.parts().await == 3).then_some(())).await;
    load.goes_on(load.now()).await;
    eprintln!("handler frozen: the longest mutation took {:?}", load.longest(frozen));
    one.thaw();
    let thawed = load.now();
    // It learns that it was thrown out, and gets a share again.
    has_a_share(&other).await;
    has_a_share(&one).await;
    load.goes_on(load.now()).await;
    eprintln!("handler thawed: the longest mutation took {:?}", load.longest(thawed));
    audit(&fleet, &server, &load.stop().await).await;
}
