//! Paths out of a database.

use std::time::Duration;

use anyhow::Context;
use edge_cache_origin::database::{Database, DatabaseConfig, Row, Value};
use edge_cache_warmer::Wanted;

use crate::exit::UsageError;

/// Most rows of a query.
const ROWS_MAX: usize = 100_000;
/// Longest run of a query: nobody waits for it but the warm-up.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(60);

/// What the first columns of `queries` say.
pub(super) async fn wanted(url: &str, queries: &[String]) -> anyhow::Result<Vec<Wanted>> {
    let config = DatabaseConfig {
        url: url.to_owned(),
        connections_max: 1,
        statement_timeout: STATEMENT_TIMEOUT,
        ..DatabaseConfig::default()
    };
    config.validate().map_err(|error| UsageError(format!("--database: {error}")))?;
    let missing = url.strip_prefix("sqlite:").is_some_and(|file| !std::path::Path::new(file).is_file());
    if missing {
        // It would be made.
        return Err(UsageError(format!("--database {url}: there is no such file")).into());
    }
    let database = Database::connect(config).await?;
    let mut all = Vec::new();
    for query in queries {
        let rows = database.query(&bounded(query), &[]).await.context(format!("--sql {query}"))?;
        if rows.len() > ROWS_MAX {
            return Err(UsageError(format!("--sql {query}: more than {ROWS_MAX} rows")).into());
        }
        for (row, number) in rows.iter().zip(1_u32..) {
            all.push(path(row).map_err(|rule| UsageError(format!("--sql {query}: row {number}: {rule}")))?);
        }
    }
    Ok(all)
}

/// The query, cut off by the database behind the row that is too much. On lines of its own, should it end in a comment.
fn bounded(query: &str) -> String {
    let query = query.trim().trim_end_matches(';');
    format!("SELECT * FROM (\n{query}\n) AS wanted LIMIT {}", ROWS_MAX + 1)
}

fn path(row: &Row) -> Result<Wanted, String> {
    let first = row.columns().first().and_then(|column| row.value(column));
    let Some(Value::Text(path)) = first else { return Err("the first column must be text".to_owned()) };
    let wanted = Wanted::path(path);
    wanted.at("http", "some.example").map_err(|error| error.to_string())?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_bounded_whatever_it_ends_in() {
        let expected = "SELECT * FROM (\nSELECT 1 -- x\n) AS wanted LIMIT 100001";
        assert_eq!(bounded(" SELECT 1 -- x\n"), expected);
        assert_eq!(bounded("SELECT 1;"), "SELECT * FROM (\nSELECT 1\n) AS wanted LIMIT 100001");
    }
}
