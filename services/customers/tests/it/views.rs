//! The rows that come of events.
use crate::messages::{ADA, BOB, email_changed, invited, removed, verified};
use chrono::{DateTime, NaiveDate, Utc};
use customers::views::{Customer, CustomerStatus, InvitationsPerDay};
use functions::{
    View,
    spec::{Projected, projected},
};

fn instant(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

#[test]
fn a_customer_comes_and_goes() {
    let times = ["10:00", "11:00", "12:00", "13:00", "14:00"]
        .map(|it| instant(&format!("2026-11-20T{it}:00.5Z")));
    let row = Customer {
        id: ADA,
        email: "Ada@example.com".to_owned(),
        status: CustomerStatus::Invited,
        invited_at: times[0],
        verified_at: None,
        version: 1,
    };
    let verified_row = Customer {
        status: CustomerStatus::Verified,
        verified_at: Some(times[1]),
        version: 2,
        ..row.clone()
    };
    let changed_row =
        Customer { email: "countess@example.com".to_owned(), version: 3, ..row.clone() };
    let verified_again = Customer {
        status: CustomerStatus::Verified,
        verified_at: Some(times[3]),
        version: 4,
        ..changed_row.clone()
    };
    let removed_row =
        Customer { status: CustomerStatus::Removed, version: 5, ..verified_again.clone() };
    Projected::<Customer>::new()
        .at(times[0])
        .and([invited(ADA, "Ada@example.com")])
        .then([row])
        .at(times[1])
        .and([verified(ADA)])
        .then([verified_row])
        .at(times[2])
        .and([email_changed(ADA, "Ada@example.com", "countess@example.com")])
        .then([changed_row])
        .at(times[3])
        .and([verified(ADA)])
        .then([verified_again])
        .at(times[4])
        .and([removed(ADA, "countess@example.com")])
        .then([removed_row]);
}

#[test]
fn each_customer_has_a_row() {
    let rows = projected::<Customer, _>([
        invited(ADA, "ada@example.com"),
        invited(BOB, "bob@example.com"),
        verified(BOB),
    ]);
    let shown: Vec<_> = rows.rows().values().map(|it| (it.id, it.status, it.version)).collect();
    assert_eq!(shown, [(ADA, CustomerStatus::Invited, 1), (BOB, CustomerStatus::Verified, 2)]);
}

#[test]
fn a_day_counts_what_happened_on_it_in_utc() {
    let day = |day, invited, verified| InvitationsPerDay {
        day: NaiveDate::from_ymd_opt(2026, 11, day).unwrap(),
        invited,
        verified,
    };
    Projected::<InvitationsPerDay>::new()
        .at(instant("2026-11-20T23:59:59.999999Z"))
        .and([invited(ADA, "ada@example.com"), invited(BOB, "bob@example.com")])
        .then([day(20, 2, 0)])
        .at(instant("2026-11-21T00:00:00Z"))
        .and([verified(ADA)])
        .then([day(20, 2, 0), day(21, 0, 1)])
        // Neither makes a row, nor takes anything back.
        .at(instant("2026-11-22T00:00:00Z"))
        .and([
            email_changed(ADA, "ada@example.com", "countess@example.com"),
            removed(BOB, "bob@example.com"),
        ])
        .then([day(20, 2, 0), day(21, 0, 1)])
        .and([verified(ADA)])
        .then([day(20, 2, 0), day(21, 0, 1), day(22, 0, 1)]);
}

#[test]
fn the_tables() {
    assert_eq!(
        (Customer::TABLE, Customer::KEY, Customer::SPANS_STREAMS),
        ("customer", "id", false)
    );
    assert_eq!(
        (InvitationsPerDay::TABLE, InvitationsPerDay::KEY, InvitationsPerDay::SPANS_STREAMS),
        ("invitations_per_day", "day", true)
    );
    assert_eq!(
        CustomerStatus::ALL.iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        ["INVITED", "VERIFIED", "REMOVED"]
    );
}
