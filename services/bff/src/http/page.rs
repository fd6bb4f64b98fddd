//! What a person with a browser sees: `GraphiQL` at `/`, from files beside the program, and the schema as text.
//! The page may load nothing from elsewhere, which its security policy enforces.
use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{
        HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
    },
    response::{Html, IntoResponse, Response},
    routing,
};
use std::{io, path::Path as FilePath, sync::Arc};

const FILES: [&str; 4] = [
    "react.production.min.js",
    "react-dom.production.min.js",
    "graphiql.min.js",
    "graphiql.min.css",
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// `GraphiQL`'s files, if they are there.
#[derive(Clone, Debug, Default)]
pub struct Assets(Option<Vec<(&'static str, Bytes)>>);

impl Assets {
    /// Reads the files from a folder. Without all of them the page says how to get them.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn load(folder: Option<&FilePath>) -> io::Result<Self> {
        let Some(folder) = folder else { return Ok(Self(None)) };
        let mut files = Vec::new();
        for name in FILES {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => files.push((name, Bytes::from(bytes))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(file = %path.display(), "no GraphiQL: a file of it is missing");
                    return Ok(Self(None));
                }
                Err(error) => {
                    let message = format!("cannot read {}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        Ok(Self(Some(files)))
    }
}

struct Pages {
    sdl: String,
    assets: Assets,
}

/// The routes for people.
pub(super) fn router(sdl: String, assets: Assets) -> Router {
    Router::new()
        .route("/", routing::get(index))
        .route("/schema.graphql", routing::get(schema))
        .route("/graphiql/{file}", routing::get(file))
        .with_state(Arc::new(Pages { sdl, assets }))
}

async fn index(State(pages): State<Arc<Pages>>) -> Response {
    let page = if pages.assets.0.is_some() {
        include_str!("page/graphiql.html")
    } else {
        include_str!("page/plain.html")
    };
    ([(CONTENT_SECURITY_POLICY, POLICY)], sound(), Html(page)).into_response()
}

async fn schema(State(pages): State<Arc<Pages>>) -> Response {
    let kind = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    (kind, sound(), pages.sdl.clone()).into_response()
}

async fn file(State(pages): State<Arc<Pages>>, Path(name): Path<String>) -> Response {
    if name == "page.js" {
        let script = include_str!("page/page.js");
        return ([(CONTENT_TYPE, JAVASCRIPT)], sound(), script).into_response();
    }
    let files = pages.assets.0.iter().flatten();
    let found = files.into_iter().find(|(known, _)| *known == name);
    match found {
        Some((known, bytes)) => {
            let css = FilePath::new(known).extension().is_some_and(|it| it == "css");
            let kind = if css { CSS } else { JAVASCRIPT };
            ([(CONTENT_TYPE, kind)], sound(), bytes.clone()).into_response()
        }
        None => (StatusCode::NOT_FOUND, "no such file").into_response(),
    }
}

fn sound() -> [(HeaderName, &'static str); 2] {
    [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-cache")]
}
