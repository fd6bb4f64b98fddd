//! From an HTTP request to a GraphQL one.
use crate::errors::{Code, Failure};
use async_graphql::{Request, Variables};
use axum::http::{
    HeaderMap, Uri,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::{Map, Value};

const MEMBERS: &str = "query, operationName, variables and extensions";

/// Whether the body of a POST is JSON.
///
/// # Errors
/// What it is instead, and what to send.
pub(super) fn check_media(headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |message: String| Err(Failure::new(Code::InvalidRequest, message));
    let text = |name| headers.get(name).map(|it| String::from_utf8_lossy(it.as_bytes()));
    if let Some(encoding) = text(CONTENT_ENCODING)
        && !encoding.eq_ignore_ascii_case("identity")
    {
        return refused(format!("the body is encoded as {encoding}: send it as it is"));
    }
    let Some(given) = text(CONTENT_TYPE) else {
        return refused("the request has no Content-Type: send application/json".to_owned());
    };
    let mut parts = given.split(';').map(str::trim);
    let json = parts.next().is_some_and(|it| it.eq_ignore_ascii_case("application/json"));
    let foreign = parts.filter_map(|it| it.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("charset")
            && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    if json && !foreign {
        return Ok(());
    }
    refused(format!("the body is {given}: send application/json, in UTF-8"))
}

/// Reads the body of a POST.
///
/// # Errors
/// Where it is not JSON, or which member is wrong.
pub(super) fn from_body(body: &[u8]) -> Result<Request, Failure> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Failure::invalid(["body"], format!("the body is not JSON: {e}")))?;
    match value {
        Value::Object(members) => request(members, &["body"]),
        Value::Array(_) => Err(Failure::invalid(
            ["body"],
            "several operations in one request are not served: send them one by one",
        )),
        _ => Err(Failure::invalid(["body"], format!("the body is no object with {MEMBERS}"))),
    }
}

/// Reads the query of a GET's address.
///
/// # Errors
/// Which parameter is wrong.
pub(super) fn from_address(uri: &Uri) -> Result<Request, Failure> {
    let invalid = |name: &str, message: String| Failure::invalid(["address", name], message);
    let parameters = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|e| Failure::invalid(["address"], format!("the address cannot be read: {e}")))?;
    let mut members = Map::new();
    for (name, text) in parameters.0 {
        let value = match name.as_str() {
            // Empty is as good as absent in an address.
            "operationName" | "variables" | "extensions" if text.is_empty() => Value::Null,
            "variables" | "extensions" => serde_json::from_str(&text)
                .map_err(|e| invalid(&name, format!("{name} is not JSON: {e}")))?,
            _ => Value::String(text),
        };
        if members.insert(name.clone(), value).is_some() {
            return Err(invalid(&name, format!("{name} is there more than once: send it once")));
        }
    }
    request(members, &["address"])
}

pub(super) fn request(mut members: Map<String, Value>, place: &[&str]) -> Result<Request, Failure> {
    let invalid = |name: &str, message: String| {
        Failure::invalid(place.iter().copied().chain([name]), message)
    };
    let document = match members.remove("query") {
        Some(Value::String(document)) => document,
        None | Some(Value::Null) => {
            return Err(invalid(
                "query",
                "query is missing: it has the GraphQL document".to_owned(),
            ));
        }
        Some(_) => return Err(invalid("query", "query is no text".to_owned())),
    };
    let mut request = Request::new(document);
    match members.remove("operationName") {
        None | Some(Value::Null) => {}
        Some(Value::String(name)) if name.is_empty() => {}
        Some(Value::String(name)) => request.operation_name = Some(name),
        Some(_) => return Err(invalid("operationName", "operationName is no text".to_owned())),
    }
    match members.remove("variables") {
        None | Some(Value::Null) => {}
        Some(it @ Value::Object(_)) => request.variables = Variables::from_json(it),
        Some(_) => return Err(invalid("variables", "variables is no object".to_owned())),
    }
    match members.remove("extensions") {
        // Nothing here reads them.
        None | Some(Value::Null | Value::Object(_)) => {}
        Some(_) => return Err(invalid("extensions", "extensions is no object".to_owned())),
    }
    match members.keys().next() {
        None => Ok(request),
        Some(name) => {
            Err(invalid(name, format!("{name:?} is not known here: a request has {MEMBERS}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[track_caller]
    fn refused(result: Result<Request, Failure>, path: &[&str], message: &str) {
        let failure = result.map(|it| it.query).expect_err("refused");
        assert_eq!(failure, Failure::invalid(path.iter().copied(), failure.message.clone()));
        assert!(failure.message.contains(message), "{}", failure.message);
    }

    #[test]
    fn a_body_is_read() {
        let body = br#"{"query":"{a}","operationName":"A","variables":{"b":1},"extensions":{}}"#;
        let request = from_body(body).expect("a request");
        assert_eq!((request.query.as_str(), request.operation_name.as_deref()), ("{a}", Some("A")));
        assert_eq!(request.variables.len(), 1);
        let nulls = br#"{"query":"{a}","operationName":null,"variables":null,"extensions":null}"#;
        assert!(from_body(nulls).is_ok());
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said() {
        refused(from_body(b"NONSENSE"), &["body"], "not JSON: expected value at line 1 column 1");
        refused(from_body(b"{\"query\":"), &["body"], "not JSON");
        refused(from_body(b"\xff"), &["body"], "not JSON");
        refused(from_body("[".repeat(100_000).as_bytes()), &["body"], "recursion limit");
        refused(from_body(b"[]"), &["body"], "one by one");
        refused(from_body(b"1"), &["body"], "no object");
        refused(from_body(b"{}"), &["body", "query"], "missing");
        refused(from_body(br#"{"query":1}"#), &["body", "query"], "no text");
        refused(
            from_body(br#"{"query":"{a}","variables":[7]}"#),
            &["body", "variables"],
            "no object",
        );
        refused(
            from_body(br#"{"query":"{a}","operationName":1}"#),
            &["body", "operationName"],
            "no text",
        );
        refused(
            from_body(br#"{"query":"{a}","extensions":1}"#),
            &["body", "extensions"],
            "no object",
        );
        refused(
            from_body(br#"{"query":"{a}","qeury":"{a}"}"#),
            &["body", "qeury"],
            "not known here",
        );
    }

    #[test]
    fn an_address_is_read() {
        let uri = |it: &str| it.parse::<Uri>().expect("an address");
        let request =
            from_address(&uri("/graphql?query=%7Ba%7D&operationName=&variables=%7B%22b%22:1%7D"))
                .expect("a request");
        assert_eq!((request.query.as_str(), request.operation_name), ("{a}", None));
        assert_eq!(request.variables.len(), 1);
        refused(from_address(&uri("/graphql")), &["address", "query"], "missing");
        refused(
            from_address(&uri("/graphql?query=a&variables=7")),
            &["address", "variables"],
            "no object",
        );
        refused(
            from_address(&uri("/graphql?query=a&variables={")),
            &["address", "variables"],
            "not JSON",
        );
        refused(
            from_address(&uri("/graphql?query=a&query=b")),
            &["address", "query"],
            "more than once",
        );
        refused(from_address(&uri("/graphql?query=a&x=b")), &["address", "x"], "not known here");
    }

    #[test]
    fn only_json_is_read() {
        let media = |it: &'static str| {
            check_media(&[(CONTENT_TYPE, HeaderValue::from_static(it))].into_iter().collect())
        };
        assert!(media("application/json").is_ok());
        assert!(media("Application/JSON; charset=UTF-8").is_ok());
        for wrong in ["text/plain", "application/json; charset=latin1", "application/graphql", ""] {
            assert!(media(wrong).is_err_and(|it| it.message.contains("send application/json")));
        }
        assert!(check_media(&HeaderMap::new()).is_err());
    }
}
