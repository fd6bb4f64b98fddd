//! The page about the fleet: what it shows is what there is.
use crate::{fleet::whole, server::until_some};
use serde_json::{Value, json};

#[tokio::test]
async fn the_page_shows_partitions_views_and_what_needs_somebody() {
    whole(async |fleet, server| {
        for n in 0..5 {
            server.invite(&format!("c{n}@example.com")).await;
        }
        let page = server.text("/fleet").await;
        assert!(page.contains("fetch(\"/fleet.json\""), "{page}");
        let see = async || serde_json::from_str::<Value>(&server.text("/fleet.json").await).ok();
        let is_shown = async || {
            let seen = see().await?;
            let views = seen["contexts"]["customers"]["views"].as_array()?.clone();
            let has_all =
                |it: &&Value| it["events"] == 5 && it["behind"] == 0 && it["is_live"] == true;
            (views.iter().filter(has_all).count() == 2).then_some(seen)
        };
        let seen = until_some("both views have all events", is_shown).await;
        let context = &seen["contexts"]["customers"];
        let parts = context["partitions"].as_array().cloned().unwrap_or_default();
        assert_eq!(parts.iter().map(|it| it["decided"].as_i64()).sum::<Option<i64>>(), Some(5));
        assert_eq!(seen["services"]["customers-handler"]["ready"], true, "{seen}");
        assert_eq!(context["troubles"]["dead_letters"], json!([]));

        // A view that is behind is shown to be.
        fleet.sql("update write.ledger set pseq = pseq + 7 where part = 0");
        let behind =
            see().await.map(|it| it["contexts"]["customers"]["views"][0]["behind"].clone());
        assert_eq!(behind, Some(json!(7)));
    })
    .await;
}
