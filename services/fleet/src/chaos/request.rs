//! Requests over HTTP, and what their answers mean.
use crate::proof::{ReadRow, Told, Vantage};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use shared_events::customers::CustomerCommand;
use shell::position::Position;
use std::{net::SocketAddr, time::Duration};
use uuid::Uuid;

/// A request that is not answered in this time is given up; it may be sent again.
const REQUEST: Duration = Duration::from_secs(8);
const POSITION: &str = "flotilla-position";

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending<T> {
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
pub(super) struct Done {
    pub(super) told: Told,
    pub(super) row_version: Option<i64>,
}

/// A mutation, the same at every attempt.
#[derive(Clone, Debug)]
pub(super) struct Mutation {
    field: &'static str,
    body: Value,
    shows_customer: bool,
}

impl Mutation {
    /// `shows_customer`: it selects the customer, so it waits until a view shows the effect.
    pub(super) fn new(
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
    pub(super) async fn send(&self, http: &reqwest::Client, to: SocketAddr) -> Ending<Done> {
        match post(http, to, &self.body, &Position::new()).await {
            Ok((body, position)) => self.understand(&body, position),
            Err(why) => Ending::Again { why, refused: false },
        }
    }

    fn understand(&self, body: &Value, position: Option<Position>) -> Ending<Done> {
        let Some(position) = position else {
            return match error(body) {
                Some(it) if it.is_temporary() => it.again(),
                _ => Ending::Wrong(format!("an answer without a position: {body}")),
            };
        };
        let told = |code: Option<String>, holder| Told { code, holder, version: None, position };
        if let Some(it) = error(body) {
            return match it.code {
                "REJECTED" => {
                    let told = told(Some(it.reason.to_owned()), None);
                    Ending::Answered(Done { told, row_version: None })
                }
                _ if it.is_temporary() => it.again(),
                _ => Ending::Wrong(body.to_string()),
            };
        }
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
        Ending::Answered(Done { told: told(code, holder), row_version })
    }
}

/// Asks for a customer by its id, once.
pub(super) async fn read(
    http: &reqwest::Client,
    to: SocketAddr,
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
pub(super) async fn post(
    http: &reqwest::Client,
    to: SocketAddr,
    body: &Value,
    seen: &Position,
) -> Result<(Value, Option<Position>), String> {
    let mut request = http.post(format!("http://{to}/graphql")).timeout(REQUEST).json(body);
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
