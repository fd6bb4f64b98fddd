//! Talking GraphQL to a server, whichever shell is behind it: the tests of the whole fleet talk like this too.
use crate::server::Server;
use reqwest::{Method, RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::{Value, json};

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON, {e}: {text}"));
    Answer { status, headers, body }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The code of the first error.
    pub(crate) fn code(&self) -> &str {
        self.body["errors"][0]["extensions"]["code"].as_str().unwrap_or("no code")
    }

    pub(crate) fn message(&self) -> &str {
        self.body["errors"][0]["message"].as_str().unwrap_or("no message")
    }
}

/// A mutation of one field.
pub(crate) fn mutation(field: &str, input: &Value, selected: &str) -> Value {
    let kind = format!("{}{}Input", field[..1].to_uppercase(), &field[1..]);
    let query = format!("mutation ($input: {kind}!) {{ {field}(input: $input) {{ {selected} }} }}");
    json!({ "query": query, "variables": { "input": input } })
}

/// A mutation that selects all that its payload has.
pub(crate) fn whole_mutation(field: &str, input: &Value) -> Value {
    let outcome = if field == "inviteCustomer" { "outcome" } else { "" };
    mutation(field, input, &format!("commandId {outcome} customer {{ {CUSTOMER} }}"))
}

pub(crate) const CUSTOMER: &str = "id email status invitedAt verifiedAt version";

impl Server {
    /// A POST with a JSON body, whose answer has the newer media type.
    pub(crate) fn post(&self, body: &Value) -> RequestBuilder {
        self.request(Method::POST, "/graphql").json(body)
    }

    /// The answer to a document without variables.
    pub(crate) async fn ask(&self, document: &str) -> Answer {
        answer(self.post(&json!({ "query": document }))).await
    }

    /// Sends a mutation that selects the whole customer.
    pub(crate) async fn mutate(&self, field: &str, input: Value) -> Answer {
        answer(self.post(&whole_mutation(field, &input))).await
    }

    /// Invites somebody; the customer.
    pub(crate) async fn invite(&self, email: &str) -> Value {
        let it = self.mutate("inviteCustomer", json!({ "email": email })).await;
        assert_eq!(it.body.get("errors"), None, "{}", it.body);
        it.body["data"]["inviteCustomer"]["customer"].clone()
    }

    /// A query that knows where its reader has been.
    pub(crate) fn ask_after(&self, position: &str, document: &str) -> RequestBuilder {
        self.post(&json!({ "query": document })).header("Flotilla-Position", position)
    }
}
