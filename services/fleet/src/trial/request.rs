//! Requests over HTTP, and what their answers mean.
use crate::proof::{ReadRow, Told, Vantage};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use shared_events::customers::CustomerCommand;
use shell::position::Position;
use std::time::Duration;
use uuid::Uuid;

/// A request that is not answered in this time is given up; it may be sent again.
const REQUEST: Duration = Duration::from_secs(8);
const POSITION: &str = "flotilla-position";

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending<T> {
    /// With its answer.
    Answered(T),
    /// Without one; it may be sent again.
    Again {
        /// What was said instead.
        why: String,
        /// Whether it was said that nothing was done.
        refused: bool,
    },
    /// With an answer that should never be given.
    Wrong(String),
}

/// What a mutation came to, and the version of the row that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) told: Told,
    pub(crate) row_version: Option<i64>,
}

/// A mutation, the same at every attempt.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    field: &'static str,
    body: Value,
    shows_customer: bool,
}

impl Mutation {
    /// `shows_customer`: it selects the customer, so it waits until a view shows the effect.
    pub(crate) fn new(
        command_id: Uuid,
        command: &CustomerCommand,
        names_customer: bool,
        shows_customer: bool,
    ) -> Self {
        let (field, mut input) = match command {
            CustomerCommand::InviteCustomer(it) if names_customer => {
                ("inviteCustomer", json!({ "email": it.email, "customerId": it.customer_id }))
            }
            CustomerCommand::InviteCustomer(it) => ("inviteCustomer", json!({ "email": it.email })),
            CustomerCommand::VerifyCustomer(it) => {
                ("verifyCustomer", json!({ "customerId": it.customer_id }))
            }
            CustomerCommand::ChangeCustomerEmail(it) => {
                ("changeCustomerEmail", json!({ "customerId": it.customer_id, "email": it.email }))
            }
            CustomerCommand::RemoveCustomer(it) => {
                ("removeCustomer", json!({ "customerId": it.customer_id }))
            }
        };
        input["commandId"] = json!(command_id);
        // Only the customer tells who has the address already.
        let shows_customer = shows_customer || field == "inviteCustomer";
        let outcome = if field == "inviteCustomer" { "outcome" } else { "" };
        let customer = if shows_customer { "customer { id version }" } else { "" };
        let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
        let query = format!(
            "mutation ($input: {kind}!) {{ {field}(input: $input) {{ commandId {outcome} {customer} }} }}"
        );
        let body = json!({ "query": query, "variables": { "input": input } });
        Self { field, body, shows_customer }
    }

    /// Sends it once. Without a position: so the answer's is that of the effect.
    pub(crate) async fn send(&self, http: &reqwest::Client, to: &str) -> Ending<Done> {
        match post(http, to, &self.body, &Position::new()).await {
            Ok((body, position)) => self.understand(&body, position),
            Err(why) => Ending::Again { why, refused: false },
        }
    }

    fn understand(&self, body: &Value, position: Option<Position>) -> Ending<Done> {
        if let Some(it) = error(body) {
            return match it.code {
                "REJECTED" => {
                    let code = Some(it.reason.to_owned());
                    // Where nothing has happened yet, there is nothing to be seen.
                    let position = position.unwrap_or_default();
                    let told = Told { code, holder: None, version: None, position };
                    Ending::Answered(Done { told, row_version: None })
                }
                _ if it.is_temporary() => it.again(),
                _ => Ending::Wrong(body.to_string()),
            };
        }
        let Some(position) = position else {
            return Ending::Wrong(format!("an answer without a position: {body}"));
        };
        let payload = &body["data"][self.field];
        let customer = &payload["customer"];
        let id = customer["id"].as_str().and_then(|it| it.parse::<Uuid>().ok());
        if payload["commandId"] != self.body["variables"]["input"]["commandId"]
            || self.shows_customer && id.is_none()
        {
            return Ending::Wrong(format!("{} answers {body}", self.body));
        }
        let is_held = payload["outcome"] == "ALREADY_INVITED";
        let code = is_held.then(|| "ALREADY_INVITED".to_owned());
        let row_version = customer["version"].as_i64();
        let holder = id.filter(|_| is_held);
        let told = Told { code, holder, version: None, position };
        Ending::Answered(Done { told, row_version })
    }
}

/// Asks for a customer by its id, once.
pub(crate) async fn read(
    http: &reqwest::Client,
    to: &str,
    id: Uuid,
    seen: &Position,
) -> Ending<Vantage> {
    let query = format!("{{ customer(id: \"{id}\") {{ id version email }} }}");
    let (body, position) = match post(http, to, &json!({ "query": query }), seen).await {
        Ok(answer) => answer,
        Err(why) => return Ending::Again { why, refused: false },
    };
    if let Some(it) = error(&body) {
        return if it.is_temporary() { it.again() } else { Ending::Wrong(body.to_string()) };
    }
    let row = |it: &Value| {
        Some(ReadRow {
            id: it["id"].as_str()?.parse().ok()?,
            version: it["version"].as_i64()?,
            email: it["email"].as_str()?.to_owned(),
        })
    };
    let customer = &body["data"]["customer"];
    let rows: Vec<ReadRow> = row(customer).into_iter().collect();
    match position {
        // A view that nothing was shown in yet has no position to tell.
        None if seen.is_empty() && rows.is_empty() => {
            Ending::Answered(Vantage { rows, position: Position::new() })
        }
        Some(position) if customer.is_null() || !rows.is_empty() => {
            Ending::Answered(Vantage { rows, position })
        }
        _ => Ending::Wrong(body.to_string()),
    }
}

/// Asks once; the body and the position. The error says why there is no answer.
pub(crate) async fn post(
    http: &reqwest::Client,
    to: &str,
    body: &Value,
    seen: &Position,
) -> Result<(Value, Option<Position>), String> {
    let mut request = http.post(format!("{to}/graphql")).timeout(REQUEST).json(body);
    if !seen.is_empty() {
        request = request.header(POSITION, seen.to_string());
    }
    let why = |error: reqwest::Error| {
        let what = if error.is_timeout() {
            "no answer in time"
        } else if error.is_connect() {
            "no connection"
        } else {
            "the connection broke"
        };
        what.to_owned()
    };
    let response = request.send().await.map_err(why)?;
    let position = position(response.headers());
    let body = response.json().await.map_err(why)?;
    Ok((body, position))
}

fn position(headers: &HeaderMap) -> Option<Position> {
    headers.get(POSITION)?.to_str().ok()?.parse().ok()
}

/// The first error of an answer.
struct Refusal<'a> {
    code: &'a str,
    reason: &'a str,
    message: &'a str,
    /// It is about a field of the payload: the command itself was answered.
    is_within: bool,
}

fn error(body: &Value) -> Option<Refusal<'_>> {
    let error = body.get("errors")?.get(0)?;
    let extension = |name: &str| error["extensions"][name].as_str().unwrap_or_default();
    Some(Refusal {
        code: extension("code"),
        reason: extension("reason"),
        message: error["message"].as_str().unwrap_or_default(),
        is_within: error["path"].as_array().is_some_and(|it| it.len() > 1),
    })
}

impl Refusal<'_> {
    fn is_temporary(&self) -> bool {
        ["PENDING", "UNAVAILABLE", "REBUILDING", "TIMEOUT"].contains(&self.code)
    }

    fn again<T>(&self) -> Ending<T> {
        let refused = self.code == "UNAVAILABLE" && !self.is_within;
        Ending::Again { why: format!("{}: {}", self.code, self.message), refused }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_events::customers::InviteCustomer;

    const ID: Uuid = Uuid::from_u128(7);

    fn understood(body: &Value, position: Option<Position>) -> Ending<Done> {
        let command = InviteCustomer { customer_id: ID, email: "ada@example.com".to_owned() };
        Mutation::new(ID, &command.into(), false, false).understand(body, position)
    }

    fn somewhere() -> Position {
        let mut position = Position::new();
        position.saw("customers", 1, 2, 3);
        position
    }

    fn error(code: &str, path: &Value) -> Value {
        let extensions = json!({ "code": code, "reason": "EMAIL_INVALID" });
        json!({ "data": null, "errors": [{ "message": "no", "path": path, "extensions": extensions }] })
    }

    #[test]
    fn an_answer_is_final_or_temporary_or_wrong() {
        let of = |code, path| understood(&error(code, &path), None);
        let field = || json!(["inviteCustomer"]);
        let again = |refused, code: &str| Ending::Again { why: format!("{code}: no"), refused };
        assert_eq!(of("UNAVAILABLE", field()), again(true, "UNAVAILABLE"));
        // The command was answered, and only its customer could not be shown.
        let within = json!(["inviteCustomer", "customer"]);
        assert_eq!(of("UNAVAILABLE", within), again(false, "UNAVAILABLE"));
        assert_eq!(of("PENDING", field()), again(false, "PENDING"));
        assert!(matches!(of("INTERNAL", field()), Ending::Wrong(_)));
        // Before anything has happened in a partition, a refusal there has no position.
        let Ending::Answered(refused) = of("REJECTED", field()) else { panic!("it is final") };
        assert_eq!(refused.told.code.as_deref(), Some("EMAIL_INVALID"));
    }

    #[test]
    fn an_invitation_tells_who_has_the_address() {
        let payload = |outcome: &str, customer: Value| {
            let payload = json!({ "commandId": ID, "outcome": outcome, "customer": customer });
            json!({ "data": { "inviteCustomer": payload } })
        };
        let customer = || json!({ "id": Uuid::from_u128(8), "version": 4 });
        let held = understood(&payload("ALREADY_INVITED", customer()), Some(somewhere()));
        let Ending::Answered(held) = held else { panic!("it is final") };
        assert_eq!(held.told.holder, Some(Uuid::from_u128(8)));
        assert_eq!(
            (held.told.code.as_deref(), held.row_version),
            (Some("ALREADY_INVITED"), Some(4))
        );
        let unseen = understood(&payload("INVITED", Value::Null), Some(somewhere()));
        assert!(matches!(unseen, Ending::Wrong(_)), "its effect is not shown");
        let nowhere = understood(&payload("INVITED", customer()), None);
        assert!(matches!(nowhere, Ending::Wrong(_)), "it has no position");
    }
}
