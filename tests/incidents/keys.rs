//! 7 and 10: what clients really send is purged, and what they could send is bounded.

use edge_cache_tests::Demo;

#[tokio::test]
async fn incident_07_a_write_reaches_every_limit_that_clients_send() {
    let demo = Demo::start().await;
    let mut lists = Vec::new();
    for limit in [1, 4, 6, 10, 12, 20, 24, 50, 100] {
        lists.push(format!("/api/pitches/new?limit={limit}"));
        lists.push(format!("/api/pitches/public?limit={limit}"));
        lists.push(format!("/api/pitches/browse?tab=new&limit={limit}"));
    }
    for list in &lists {
        demo.get(list).await;
        assert!(demo.get(list).await.is_hit_of("memory"), "{list}");
    }
    let id = demo.published("Seen Everywhere").await;
    for list in &lists {
        assert!(demo.get(list).await.ids().contains(&id), "{list} after the publish");
    }
    demo.step(id, "archive").await;
    for list in &lists {
        assert!(!demo.get(list).await.ids().contains(&id), "{list} after the archive");
    }
}

#[tokio::test]
async fn incident_10_the_key_space_is_bounded_whatever_is_asked() {
    let demo = Demo::start().await;
    let stored = async || demo.metrics().await.sum("edge_cache_fills_total", &[("tier", "memory"), ("stored", "yes")]);
    demo.get("/api/pitches/trending?limit=50").await;
    demo.get("/api/pitches/browse?limit=100&tab=popular").await;
    demo.get("/api/pitches/public?page=500").await;
    let before = stored().await;
    for at in 0..100_u64 {
        let huge = 1_000_000 + at * 7919;
        for target in [
            format!("/api/pitches/trending?limit={huge}&_={huge}"),
            format!("/api/pitches/browse?tab=popular&limit={huge}&utm_{huge}=x"),
            format!("/api/pitches/public?page={huge}"),
        ] {
            let answer = demo.get(&target).await;
            assert!(answer.is_hit_of("memory"), "{target}: {answer:?}");
        }
        for target in [format!("/api/pitches/browse?tab=t{at}"), format!("/api/pitches/trending?offset=-{at}1")] {
            assert_eq!(demo.get(&target).await.status, 400, "{target}");
        }
    }
    assert_eq!((before, stored().await), (3.0, 3.0), "no attempt left an entry");
    let deep = demo.get("/api/pitches/trending?offset=99999999").await;
    assert_eq!(deep.json()["meta"]["pagination"]["offset"], 10_000, "{deep:?}");
}
