//! Views are built again while they are read (protocol.md V5).
use crate::fleet::{accepted, customer, invite, pass, rows, run};
use customers::{Customers, views::Customer};
use shell::{
    port::store::{
        BuildOrder, CutOver, Generation, GenerationState, Generations, Store as _, Switched,
    },
    position::Position,
    reads::Query,
    view::ViewDefinition,
};
use std::time::Duration;

fn view() -> ViewDefinition {
    ViewDefinition::of::<Customer>("customers")
}

async fn stands(views: &mut impl Generations, of: &Generation) -> GenerationState {
    let rows = views.generations(&view()).await.unwrap();
    rows.into_iter().find(|it| it.of == *of).unwrap().state
}

/// Of the fleet in memory.
const PARTS: usize = 3;

#[test]
fn a_generation_is_read_when_it_has_all_that_was_shown_and_not_before() {
    run(async |fleet| {
        let _handler = fleet.handler::<Customers>();
        let aggregator = fleet.aggregator::<Customers>();
        let client = fleet.client::<Customers>();
        let mut seen = Position::new();
        for n in 1..=10 {
            seen.merge(&accepted(&client, invite(n, &format!("{n}@x.org"))).await.position);
        }
        rows::<Customer>(&client, Query::default(), &seen).await;
        aggregator.stop().await;
        let mut views = fleet.store.views("customers");
        let of = views.begin(&view(), PARTS, &BuildOrder::default()).await.unwrap();
        // Nobody has built it: it is not complete, and would take readers back in time.
        assert!(!views.complete(&view(), &of).await.unwrap());
        let behind = views.cut_over(&view(), &of).await.unwrap();
        assert_eq!(behind, Switched::Behind { events: 10 });
        let _aggregator = fleet.aggregator::<Customers>();
        while views.generations(&view()).await.unwrap()[1].state != GenerationState::Live {
            pass(Duration::from_millis(10)).await;
        }
        assert_eq!(rows::<Customer>(&client, Query::default(), &seen).await.rows.len(), 10);
        // It goes on being fed, as what was read before does.
        let answer = accepted(&client, invite(11, "11@x.org")).await;
        assert!(customer(&client, 11, &answer.position).await.is_some());
        let first = views.generations(&view()).await.unwrap()[0].clone();
        while views.cut_over(&view(), &first.of).await.unwrap() != Switched::Done {
            pass(Duration::from_millis(10)).await;
        }
        assert!(customer(&client, 11, &answer.position).await.is_some(), "rolled back");
        assert!(!views.drop_generation(&first.of).await.unwrap(), "it is read");
        assert!(views.drop_generation(&of).await.unwrap());
    });
}

#[test]
fn one_that_is_to_be_asked_for_and_one_as_of_then_are_never_read_by_themselves() {
    run(async |fleet| {
        let _services = (fleet.handler::<Customers>(), fleet.aggregator::<Customers>());
        let client = fleet.client::<Customers>();
        let answer = accepted(&client, invite(1, "1@x.org")).await;
        assert!(customer(&client, 1, &answer.position).await.is_some());
        let mut views = fleet.store.views("customers");
        let then = fleet.store.events("customers")[0].at;
        for order in [
            BuildOrder { cut_over: CutOver::Ask, ..BuildOrder::default() },
            BuildOrder { as_of: Some(then), ..BuildOrder::default() },
        ] {
            let of = views.begin(&view(), PARTS, &order).await.unwrap();
            while stands(&mut views, &of).await == GenerationState::Building {
                pass(Duration::from_millis(10)).await;
            }
            pass(Duration::from_secs(5)).await;
            assert_eq!(stands(&mut views, &of).await, GenerationState::Complete, "{order:?}");
        }
    });
}
