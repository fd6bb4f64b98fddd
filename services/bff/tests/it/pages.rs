//! What a person with a browser gets.
use crate::server::Server;
use bff::Config;
use reqwest::Method;
use std::path::PathBuf;

async fn get(server: &Server, path: &str) -> (u16, String, String) {
    let response = server
        .request(Method::GET, path)
        .header("accept", "text/html,*/*;q=0.8")
        .send()
        .await
        .expect("an answer");
    let header = |name| {
        let value: Option<&reqwest::header::HeaderValue> = response.headers().get(name);
        value.and_then(|it| it.to_str().ok()).unwrap_or_default().to_owned()
    };
    let (status, policy) = (response.status().as_u16(), header("content-security-policy"));
    (status, policy, response.text().await.expect("a body"))
}

async fn server(assets: Option<PathBuf>) -> Server {
    let schema = async_graphql::Schema::new(
        Query,
        async_graphql::EmptyMutation,
        async_graphql::EmptySubscription,
    );
    Server::start(schema, Config { assets, ..Config::default() }).await
}

struct Query;

#[async_graphql::Object]
impl Query {
    async fn nothing(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn without_its_files_the_page_says_how_to_get_them() {
    let server = server(None).await;
    let (status, policy, page) = get(&server, "/").await;
    assert_eq!(status, 200);
    assert!(page.contains("FLOTILLA_ASSETS") && page.contains("/schema.graphql"), "{page}");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert_eq!(get(&server, "/graphiql/graphiql.min.js").await.0, 404);
}

#[tokio::test]
async fn graphiql_is_served_from_its_folder_and_loads_nothing_from_elsewhere() {
    let folder = std::env::temp_dir().join(format!("flotilla-bff-{}", shell::ids::new_id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let names = [
        "react.production.min.js",
        "react-dom.production.min.js",
        "graphiql.min.js",
        "graphiql.min.css",
    ];
    for name in names {
        std::fs::write(folder.join(name), name).expect("a file");
    }
    std::fs::write(folder.join("secret.txt"), "secret").expect("a file");
    let server = server(Some(folder.clone())).await;
    std::fs::remove_dir_all(&folder).expect("removed");

    let (status, _, page) = get(&server, "/").await;
    assert_eq!(status, 200);
    for name in names {
        assert!(page.contains(&format!("\"/graphiql/{name}\"")), "{page}");
        let (status, _, file) = get(&server, &format!("/graphiql/{name}")).await;
        assert_eq!((status, file.as_str()), (200, name));
    }
    assert!(page.contains("\"/graphiql/page.js\""));
    assert!(get(&server, "/graphiql/page.js").await.2.contains("url: \"/graphql\""));
    assert!(!page.contains("//"), "an address of elsewhere: {page}");
    for path in ["/graphiql/secret.txt", "/graphiql/..%2Fsecret.txt", "/graphiql/%2Fetc%2Fpasswd"] {
        assert_eq!(get(&server, path).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_schema_is_there_as_text() {
    let server = server(None).await;
    let (status, _, text) = get(&server, "/schema.graphql").await;
    assert_eq!((status, text), (200, bff::sdl()));
}

#[tokio::test]
async fn a_browser_at_the_endpoint_is_shown_the_page() {
    let server = server(None).await;
    let (status, _, page) = get(&server, "/graphql").await;
    assert_eq!(status, 200);
    assert!(page.starts_with("<!doctype html>"), "{page}");
}
