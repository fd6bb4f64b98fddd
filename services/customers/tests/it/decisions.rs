//! Every cell of the decision table.
use crate::messages::{
    ADA, BOB, change_email, email_changed, invite, invited, remove, removed, verified, verify,
};
use customers::{Customer, Rejection, email::Invalid};
use functions::{
    Rejection as _,
    spec::{Given, given},
};
use serde_json::json;
use shared_events::customers::CustomerEvent;

fn nobody() -> Given<Customer> {
    given([])
}

fn ada(further: impl IntoIterator<Item = CustomerEvent>) -> Given<Customer> {
    given([invited(ADA, "ada@example.com")]).and(further)
}

fn ada_verified() -> Given<Customer> {
    ada([verified(ADA)])
}

fn ada_removed() -> Given<Customer> {
    ada([removed(ADA, "ada@example.com")])
}

#[test]
fn somebody_is_invited() {
    nobody()
        .when(invite(ADA, "ada@example.com"))
        .then([invited(ADA, "ada@example.com")])
        .when(invite(BOB, "bob@example.com"))
        .then([invited(BOB, "bob@example.com")]);
}

#[test]
fn an_email_is_kept_as_typed_but_for_white_space_around_it() {
    nobody()
        .when(invite(ADA, "\t Ada@Example.COM\n"))
        .then([invited(ADA, "Ada@Example.COM")])
        .when(change_email(ADA, " Countess@Example.com "))
        .then([email_changed(ADA, "Ada@Example.COM", "Countess@Example.com")])
        .when(remove(ADA))
        .then([removed(ADA, "Countess@Example.com")]);
}

#[test]
fn an_email_is_required() {
    for email in ["", " ", "\u{a0}\t\n"] {
        nobody().when(invite(ADA, email)).then_rejected(Rejection::EmailRequired);
        ada([]).when(change_email(ADA, email)).then_rejected(Rejection::EmailRequired);
    }
    assert_eq!(Rejection::EmailRequired.to_string(), "email is required");
}

#[test]
fn an_email_is_an_address() {
    let invalid = |problem| Rejection::EmailInvalid { problem };
    nobody().when(invite(ADA, "ada")).then_rejected(invalid(Invalid::At));
    ada([]).when(change_email(ADA, "ada@\0")).then_rejected(invalid(Invalid::Invisible));
}

#[test]
fn what_is_wrong_with_a_command_itself_is_said_first() {
    for given in [nobody(), ada([]), ada_verified(), ada_removed()] {
        given
            .when(invite(ADA, ""))
            .then_rejected(Rejection::EmailRequired)
            .when(invite(ADA, "ada"))
            .then_rejected(Rejection::EmailInvalid { problem: Invalid::At })
            .when(change_email(ADA, ""))
            .then_rejected(Rejection::EmailRequired)
            .when(change_email(ADA, "ada"))
            .then_rejected(Rejection::EmailInvalid { problem: Invalid::At });
    }
}

#[test]
fn an_email_is_invited_once_whatever_its_letters() {
    for email in ["ada@example.com", " ADA@example.COM "] {
        let already = Rejection::AlreadyInvited { customer_id: ADA };
        ada([]).when(invite(BOB, email)).then_rejected(already.clone());
        ada_verified().when(invite(BOB, email)).then_rejected(already);
    }
    // One accented letter, or a letter and an accent.
    given::<Customer>([invited(ADA, "z\u{f6}e@example.com")])
        .when(invite(BOB, "ZO\u{308}E@example.com"))
        .then_rejected(Rejection::AlreadyInvited { customer_id: ADA });
}

#[test]
fn an_id_is_used_once() {
    // Also with the same e-mail, with a free one, and with one that somebody else has.
    for email in ["ada@example.com", "new@example.com", "bob@example.com"] {
        let bob = invited(BOB, "bob@example.com");
        ada([bob.clone()]).when(invite(ADA, email)).then_rejected(Rejection::CustomerExists);
        ada_verified()
            .and([bob.clone()])
            .when(invite(ADA, email))
            .then_rejected(Rejection::CustomerExists);
        ada_removed().and([bob]).when(invite(ADA, email)).then_rejected(Rejection::CustomerRemoved);
    }
}

#[test]
fn a_customer_is_verified_once() {
    ada([]).when(verify(ADA)).then([verified(ADA)]).when(verify(ADA)).then_nothing();
}

#[test]
fn nobody_is_not_found() {
    // Somebody else is there.
    given::<Customer>([invited(BOB, "bob@example.com")])
        .when(verify(ADA))
        .then_rejected(Rejection::CustomerNotFound)
        .when(remove(ADA))
        .then_rejected(Rejection::CustomerNotFound)
        .when(change_email(ADA, "new@example.com"))
        .then_rejected(Rejection::CustomerNotFound)
        .when(change_email(ADA, "bob@example.com"))
        .then_rejected(Rejection::CustomerNotFound);
}

#[test]
fn a_changed_email_is_taken_and_the_old_one_is_free() {
    ada([])
        .when(change_email(ADA, "countess@example.com"))
        .then([email_changed(ADA, "ada@example.com", "countess@example.com")])
        .when(invite(BOB, "countess@example.com"))
        .then_rejected(Rejection::AlreadyInvited { customer_id: ADA })
        .when(invite(BOB, "ada@example.com"))
        .then([invited(BOB, "ada@example.com")])
        .when(change_email(ADA, "Ada@example.com"))
        .then_rejected(Rejection::EmailTaken);
}

#[test]
fn a_changed_email_is_to_be_verified_again() {
    let given = ada_verified()
        .when(change_email(ADA, "countess@example.com"))
        .then([email_changed(ADA, "ada@example.com", "countess@example.com")]);
    assert_eq!(given.state(ADA), Customer::Invited { email: "countess@example.com".to_owned() });
    given.when(verify(ADA)).then([verified(ADA)]);
}

#[test]
fn an_email_of_somebody_else_is_taken() {
    for given in [ada([]), ada_verified()] {
        given
            .and([invited(BOB, "bob@example.com")])
            .when(change_email(ADA, "BOB@example.com"))
            .then_rejected(Rejection::EmailTaken);
    }
}

#[test]
fn the_same_email_changes_nothing_whatever_its_letters() {
    for email in ["ada@example.com", "ADA@example.com", " ada@example.com "] {
        ada([]).when(change_email(ADA, email)).then_nothing();
        // And it stays verified.
        ada_verified()
            .when(change_email(ADA, email))
            .then_nothing()
            .when(verify(ADA))
            .then_nothing();
    }
}

#[test]
fn a_removed_customer_refuses_all_but_another_removal() {
    for given in [ada([]), ada_verified()] {
        given
            .when(remove(ADA))
            .then([removed(ADA, "ada@example.com")])
            .when(remove(ADA))
            .then_nothing()
            .when(verify(ADA))
            .then_rejected(Rejection::CustomerRemoved)
            .when(change_email(ADA, "new@example.com"))
            .then_rejected(Rejection::CustomerRemoved)
            .when(change_email(ADA, "ada@example.com"))
            .then_rejected(Rejection::CustomerRemoved)
            .when(invite(ADA, "ada@example.com"))
            .then_rejected(Rejection::CustomerRemoved);
    }
}

#[test]
fn a_freed_email_makes_a_new_customer() {
    ada_removed()
        .when(invite(BOB, "ada@example.com"))
        .then([invited(BOB, "ada@example.com")])
        // Which the first one cannot give back again.
        .when(remove(ADA))
        .then_nothing()
        .when(change_email(BOB, "bob@example.com"))
        .then([email_changed(BOB, "ada@example.com", "bob@example.com")]);
}

#[test]
fn a_rejection_has_a_code_a_text_and_its_fields() {
    let check = |rejection: Rejection, code, text, details| {
        assert_eq!(rejection.code(), code);
        assert_eq!(rejection.to_string(), text);
        assert_eq!(serde_json::to_value(rejection).unwrap(), details);
    };
    let nothing = || json!(null);
    check(Rejection::EmailRequired, "EMAIL_REQUIRED", "email is required", nothing());
    check(
        Rejection::EmailInvalid { problem: Invalid::At },
        "EMAIL_INVALID",
        "email must have one @, as in ada@example.com",
        json!({ "problem": "AT" }),
    );
    check(Rejection::EmailTaken, "EMAIL_TAKEN", "another customer has this email", nothing());
    check(
        Rejection::AlreadyInvited { customer_id: ADA },
        "ALREADY_INVITED",
        "this email was invited before",
        json!({ "customer_id": ADA }),
    );
    check(
        Rejection::CustomerNotFound,
        "CUSTOMER_NOT_FOUND",
        "there is no such customer",
        nothing(),
    );
    check(
        Rejection::CustomerExists,
        "CUSTOMER_EXISTS",
        "a customer with this id exists already",
        nothing(),
    );
    check(Rejection::CustomerRemoved, "CUSTOMER_REMOVED", "this customer was removed", nothing());
}
