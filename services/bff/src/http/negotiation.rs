//! Which media type an answer has. The older one, `application/json`, says 200 to whatever is a GraphQL answer;
//! the newer one has status codes that mean something.
use axum::http::{
    HeaderMap, Uri,
    header::{ACCEPT, HOST, ORIGIN, UPGRADE},
};

/// A media type for answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`, also where the client does not say.
    Response,
    /// `application/json`
    Json,
}

impl Media {
    /// As a header has it.
    #[must_use]
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Response => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }

    /// The one that the client likes best; `None` if it likes none.
    #[must_use]
    pub(super) fn accepted(headers: &HeaderMap) -> Option<Self> {
        let all = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|it| it.to_str().ok())
            .flat_map(|it| it.split(','))
            .filter(|it| !it.trim().is_empty());
        let all: Vec<Option<Range>> = all.map(Range::read).collect();
        if all.is_empty() {
            return Some(Self::Response);
        }
        let ranges: Vec<Range> = all.into_iter().flatten().collect();
        let response = quality(&ranges, "application/graphql-response+json");
        let json = quality(&ranges, "application/json");
        // Of two that are liked as well, the one that is named first.
        match (response, json) {
            (None, None) => None,
            (Some(_), None) => Some(Self::Response),
            (None, Some(_)) => Some(Self::Json),
            (Some(one), Some(other)) if one.quality == other.quality => {
                Some(if one.place <= other.place { Self::Response } else { Self::Json })
            }
            (Some(one), Some(other)) => {
                Some(if one.quality > other.quality { Self::Response } else { Self::Json })
            }
        }
    }
}

/// Whether an `Accept` header asks for a page: a person with a browser.
#[must_use]
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|it| it.to_str().ok());
    accept.is_some_and(|it| it.trim_start().starts_with("text/html"))
}

/// Whether the request is for a WebSocket.
#[must_use]
pub(super) fn wants_socket(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|it| it.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Whether an `Accept` header asks for a stream of events.
#[must_use]
pub(super) fn wants_events(headers: &HeaderMap) -> bool {
    let all = headers.get_all(ACCEPT).iter().filter_map(|it| it.to_str().ok());
    let mut names = all.flat_map(|it| it.split(',')).filter_map(|it| it.split(';').next());
    names.any(|it| it.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// Whether the request comes from a page of another site: browsers let those open sockets anywhere.
#[must_use]
pub(super) fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|it| it.parse::<Uri>().ok());
    let host = headers.get(HOST).and_then(|it| it.to_str().ok());
    let is_same = |origin: &Uri, host: &str| {
        origin.authority().is_some_and(|it| it.as_str().eq_ignore_ascii_case(host))
    };
    !origin.zip(host).is_some_and(|(origin, host)| is_same(&origin, host))
}

struct Range {
    name: String,
    /// In thousandths.
    quality: u16,
}

#[derive(Clone, Copy)]
struct Liking {
    quality: u16,
    place: usize,
}

impl Range {
    /// `None` for one that cannot be served, or not understood.
    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next()?.to_ascii_lowercase();
        let mut quality = 1000;
        for parameter in parts.filter(|it| !it.is_empty()) {
            let (name, value) = parameter.split_once('=')?;
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = thousandths(value)?,
                "charset" if !value.eq_ignore_ascii_case("utf-8") => return None,
                _ => {}
            }
        }
        Some(Self { name, quality })
    }
}

fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let sound = fraction.len() <= 3 && fraction.bytes().all(|it| it.is_ascii_digit());
    match whole {
        "1" if sound => Some(1000),
        "0" if sound => format!("{fraction:0<3}").parse().ok(),
        _ => None,
    }
}

/// How much the media type is liked: what the most exact range says.
fn quality(ranges: &[Range], media: &str) -> Option<Liking> {
    let exactness = |name: &str| match name {
        "*/*" => Some(0),
        "application/*" => Some(1),
        it if it == media => Some(2),
        _ => None,
    };
    let matching = ranges.iter().enumerate().filter_map(|(place, range)| {
        Some((exactness(&range.name)?, Liking { quality: range.quality, place }))
    });
    // `max_by_key` takes the last of equals: the order of the list is what counts.
    let best = matching.reduce(|best, it| if it.0 > best.0 { it } else { best });
    best.map(|(_, it)| it).filter(|it| it.quality > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[track_caller]
    fn check(accept: &str, media: Option<Media>) {
        let value = HeaderValue::from_str(accept).expect("a value");
        let headers: HeaderMap = [(ACCEPT, value)].into_iter().collect();
        assert_eq!(Media::accepted(&headers), media, "{accept}");
    }

    #[test]
    fn what_is_liked_best_is_given() {
        let (response, json) = (Some(Media::Response), Some(Media::Json));
        assert_eq!(Media::accepted(&HeaderMap::new()), response);
        check("application/json", json);
        check("application/graphql-response+json", response);
        check("application/graphql-response+json, application/json", response);
        check("application/json, application/graphql-response+json", json);
        check("application/json;q=0.9, application/graphql-response+json", response);
        check("application/json, application/graphql-response+json;q=0.5", json);
        check(
            "application/graphql-response+json; charset=utf-8, application/json; charset=utf-8",
            response,
        );
        check("APPLICATION/JSON", json);
        check("", response);
        check("*/*", response);
        check("application/*", response);
        check("text/html, */*;q=0.1", response);
        check("application/json, */*", json);
        check("application/graphql-response+json;q=0, */*", json);
        check("application/json; charset=utf-8", json);
    }

    #[test]
    fn what_cannot_be_given_is_said() {
        check("text/html", None);
        check("*/*;q=0", None);
        check("application/json; charset=utf-16", None);
        check("application/json; q=2", None);
        check("application/json; q", None);
    }

    #[test]
    fn a_page_of_another_site_is_known() {
        let of = |origin: &str| {
            let all = [(HOST, "127.0.0.1:8080"), (ORIGIN, origin)];
            let value = |it: &str| HeaderValue::from_str(it).expect("a value");
            is_foreign(&all.into_iter().map(|(name, it)| (name, value(it))).collect())
        };
        assert!(!of("http://127.0.0.1:8080"));
        for other in
            ["http://127.0.0.1", "http://127.0.0.1:8081", "https://example.com", "null", ""]
        {
            assert!(of(other), "{other}");
        }
        assert!(!is_foreign(&HeaderMap::new()), "no browser leaves it out");
    }

    #[test]
    fn a_stream_of_events_is_asked_for_by_name() {
        let of = |it| wants_events(&[(ACCEPT, HeaderValue::from_static(it))].into_iter().collect());
        assert!(of("text/event-stream") && of("application/json, Text/Event-Stream;q=0.5"));
        assert!(!of("*/*") && !of("text/*") && !wants_events(&HeaderMap::new()));
    }

    #[test]
    fn a_browser_is_known() {
        let headers = |it| [(ACCEPT, HeaderValue::from_static(it))].into_iter().collect();
        assert!(wants_page(&headers("text/html,application/xhtml+xml,*/*;q=0.8")));
        assert!(!wants_page(&headers("*/*")));
    }
}
