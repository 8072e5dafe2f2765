use super::*;
use crate::top::stub::{Stub, hello, history, now};

const PATIENCE: Duration = Duration::from_secs(30);
const THEME: Theme = Theme::new(false, false);

/// Looks at the nodes of `sources` while `serve` plays them.
async fn looked(sources: Vec<Source>, serve: impl Future<Output = ()>) -> Vec<Node> {
    let (nodes, ()) = tokio::join!(look(sources, PATIENCE), serve);
    nodes.unwrap()
}

#[tokio::test]
async fn one_look_sums_what_answers_and_names_what_does_not() {
    let (mut well, mut closed) = (Stub::start().await, Stub::start().await);
    let sources = vec![well.source.clone(), closed.source.clone()];
    let mut kept = None;
    let serve = async {
        closed.client().await.refuse("403 Forbidden", "not from there").await;
        let mut client = well.client().await;
        client.stream().await;
        client.send(&[hello("n1"), history(1000.0, 20), now(1001.0)].concat()).await;
        kept = Some(client);
    };
    let nodes = looked(sources, serve).await;
    let text = describe(&nodes, false, THEME).unwrap();
    assert!(text.contains("n1 0.1.0  live, up 1 h 2 min"), "{text}");
    assert!(
        text.contains("100 requests/s, hit rate 90.0 %, errors 0.0 %, p50 0.20 ms, p95 3.10 ms, p99 8.00 ms"),
        "{text}"
    );
    assert!(text.contains("trending    700    98.6 %"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&describe(&nodes, true, THEME).unwrap()).unwrap();
    assert_eq!(
        (&json["summed"], &json["totals"]["calls"], &json["rates"]["hit_rate"]),
        (&1.into(), &1000.into(), &0.9.into())
    );
    assert_eq!(json["nodes"][1]["why"], "403, not from there");
    let missing: Vec<String> = nodes.iter().filter_map(missing).collect();
    assert_eq!(missing, [format!("{}: 403, not from there", closed.source.node)]);
}

#[tokio::test]
async fn where_no_node_answers_each_is_named_with_its_reason() {
    let (mut first, mut second) = (Stub::start().await, Stub::start().await);
    let sources = vec![first.source.clone(), second.source.clone()];
    let serve = async {
        first.client().await.refuse("401 Unauthorized", "").await;
        second.client().await.refuse("404 Not Found", "").await;
    };
    let nodes = looked(sources, serve).await;
    let error = describe(&nodes, false, THEME).unwrap_err().to_string();
    let [first, second] = [first, second].map(|stub| stub.source.node);
    assert!(error.starts_with(&format!("no node answers: {first}: 401, a token is needed")), "{error}");
    assert!(error.contains(&format!("; {second}: 404: no feed there")), "{error}");
}

#[tokio::test]
async fn a_node_that_says_nothing_is_not_waited_for_for_ever() {
    let stub = Stub::start().await;
    let nodes = look(vec![stub.source.clone()], Duration::from_millis(1)).await.unwrap();
    assert!(describe(&nodes, true, THEME).unwrap_err().to_string().contains("nothing within 15s"));
}
