//! Small things that the suites share.

#![allow(dead_code, unreachable_pub, reason = "each suite uses a part of it")]

use std::{path::Path, time::Duration};
use tokio_postgres::{Client, NoTls};

/// Longer than anything here takes on a machine that is busy compiling.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until `done` says so.
pub async fn eventually(what: &str, done: impl Fn() -> bool) {
    eventually_asking(what, async || done()).await;
}

/// As [`eventually`], where looking means to ask a server.
pub async fn eventually_asking(what: &str, done: impl AsyncFn() -> bool) {
    let looking = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect(what);
}

pub fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

#[expect(clippy::disallowed_methods, reason = "asks the private server itself")]
pub async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The folder that a Postgres keeps its files in, as it says itself.
pub async fn folder(client: &Client) -> String {
    let row = client.query_one("SELECT current_setting('data_directory')", &[]).await;
    let data: String = row.expect("the server answers").get(0);
    let folder = Path::new(&data).parent().expect("the data folder is inside the temporary one");
    folder.to_str().expect("the name was a String").to_owned()
}
