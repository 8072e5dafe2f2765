//! Each list query has an index that serves it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use edge_cache_origin::database::Dialect;
use edge_cache_pitchey::explainable;
use edge_cache_sandbox::Postgres;
use support::{NOW, Site};

#[tokio::test]
async fn every_list_query_uses_its_index() {
    // Fetching a page out of turn is cheap on the disks of today; the server's default is for spinning ones.
    let server = Postgres::builder().setting("random_page_cost", "1.1").start().await.unwrap();
    // Enough rows that reading whole tables is the worse plan, as it is in earnest.
    let site = Site::start(server.url(), 3000, None).await;
    let mut wrong = Vec::new();
    for question in explainable(Dialect::Postgres, NOW) {
        let rows = site.db.query(&question.sql, &question.params).await.unwrap();
        let lines: Vec<String> = rows.iter().map(|row| row.text("QUERY PLAN").unwrap()).collect();
        let plan = lines.join("\n");
        if !plan.contains(question.index) {
            wrong.push(format!("{}: no {} in\n{plan}", question.question, question.index));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
