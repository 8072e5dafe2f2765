//! Commands for a node that runs, sent to its admin listener.

pub(crate) mod client;
mod describe;

use std::process::ExitCode;

use http::StatusCode;
use serde_json::{Value, json};

use crate::{
    cli::{AdminArgs, ExplainArgs, PurgeArgs, ReadyArgs, RequestArgs},
    exit::{UsageError, say},
};

/// Accepted, and not yet known to be done everywhere (EX_TEMPFAIL).
const NOT_YET: u8 = 75;

/// `cache-proxy ready`: a container has no other program to ask with.
pub(crate) async fn ready(args: ReadyArgs) -> anyhow::Result<ExitCode> {
    let (status, answer) = client::get(&args.node.dialer()?, "/health/ready").await?;
    let ready = status == StatusCode::OK && answer["ready"] == true;
    say(if ready { "ready" } else { "not ready" });
    Ok(if ready { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// `cache-proxy purge`.
pub(crate) async fn purge(args: PurgeArgs) -> anyhow::Result<ExitCode> {
    let PurgeArgs { tag, url, prefix, all, hard, dry_run, reason, at } = args;
    let actor = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
    let body = json!({
        "tags": tag, "urls": url, "prefixes": prefix, "all": all, "hard": hard, "dry_run": dry_run,
        "actor": actor, "reason": reason,
    });
    let (status, answer) = client::post(&at.node.dialer()?, "/purge", &body).await?;
    refused(status, &answer)?;
    print(&at, &answer, describe::purge);
    let done = answer["acknowledged"] == true || answer["dry_run"] == true;
    Ok(if done { ExitCode::SUCCESS } else { NOT_YET.into() })
}

/// `cache-proxy explain`.
pub(crate) async fn explain(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let ExplainArgs { url, header, at } = args;
    let mut query = format!("/explain?url={}", client::percent(&url));
    if !header.is_empty() {
        query.push_str(&format!("&header={}", client::percent(&header.join("\n"))));
    }
    let (status, answer) = client::get(&at.node.dialer()?, &query).await?;
    refused(status, &answer)?;
    print(&at, &answer, describe::explanation);
    Ok(ExitCode::SUCCESS)
}

/// `cache-proxy request`.
pub(crate) async fn request(args: RequestArgs) -> anyhow::Result<ExitCode> {
    let RequestArgs { id, last, at } = args;
    let node = at.node.dialer()?;
    match id {
        Some(id) => {
            let (status, answer) = client::get(&node, &format!("/requests/{}", client::percent(&id))).await?;
            refused(status, &answer)?;
            print(&at, &answer, describe::request);
        }
        None => {
            let (status, answer) = client::get(&node, &format!("/requests?n={last}")).await?;
            refused(status, &answer)?;
            print(&at, &answer, describe::requests);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the node did not like about the question is the caller's mistake; the rest is not.
fn refused(status: StatusCode, answer: &Value) -> anyhow::Result<()> {
    let why = || answer["error"].as_str().map_or_else(|| format!("the node answered {status}"), str::to_owned);
    match status {
        status if status.is_success() && answer.is_object() => Ok(()),
        status if status.is_success() => Err(anyhow::anyhow!("what answered is no admin listener of a node")),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Err(UsageError(why()).into()),
        _ => Err(anyhow::anyhow!(why())),
    }
}

fn print(at: &AdminArgs, answer: &Value, describe: impl Fn(&Value) -> String) {
    if at.json {
        say(format_args!("{answer:#}"));
    } else {
        say(describe(answer));
    }
}
