//! All that Postgres and SQLite disagree about; every other statement is one text for both.

use edge_cache_origin::database::Dialect;

/// The migrations in order: version, statements.
pub(crate) fn migrations(dialect: Dialect) -> [(i64, &'static str); 1] {
    match dialect {
        Dialect::Postgres => [(1, include_str!("../migrations/0001_pitchey.postgres.sql"))],
        Dialect::Sqlite => [(1, include_str!("../migrations/0001_pitchey.sqlite.sql"))],
    }
}

/// Keeps a second process from migrating at the same time, until the transaction ends. SQLite's transactions do that anyway.
pub(crate) fn migration_lock(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        // The number only has to be the same everywhere; it spells "pitchey" on a telephone.
        Dialect::Postgres => Some("SELECT pg_advisory_xact_lock(7482439)"),
        Dialect::Sqlite => None,
    }
}

/// Lists the tables that people made, as `name`.
pub(crate) fn tables(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => {
            "SELECT tablename AS name FROM pg_catalog.pg_tables \
             WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'edge_cache') ORDER BY 1"
        }
        Dialect::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1"
        }
    }
}

/// Run before seeding: lets the trigram index put new rows aside, which makes loading many at once much faster.
pub(crate) fn prepare(dialect: Dialect) -> Option<&'static str> {
    match dialect {
        Dialect::Postgres => Some("ALTER INDEX pitch_search_trigram_idx SET (fastupdate = on)"),
        Dialect::Sqlite => None,
    }
}

/// Run after seeding: merges what the trigram index has put aside, which each search would have to look through, and gathers statistics.
pub(crate) fn settle(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => {
            "ALTER INDEX pitch_search_trigram_idx SET (fastupdate = off); \
             SELECT gin_clean_pending_list('pitch_search_trigram_idx'); ANALYZE"
        }
        Dialect::Sqlite => "ANALYZE",
    }
}

/// Makes the next generated ids follow those that seeding gave, for each of `tables`.
pub(crate) fn continue_ids(dialect: Dialect, tables: &[&str]) -> String {
    let one = |table: &&str| match dialect {
        Dialect::Postgres => format!(
            "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT COALESCE(MAX(id), 0) + 1 FROM {table}), false);"
        ),
        // AUTOINCREMENT looks at the rows itself.
        Dialect::Sqlite => String::new(),
    };
    tables.iter().map(one).collect()
}

/// Appended to a SELECT whose rows the transaction is about to change. SQLite's transactions lock the whole file when they begin.
pub(crate) fn for_update(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => " FOR UPDATE",
        Dialect::Sqlite => "",
    }
}

/// An expression that gathers the rows of `from` as a JSON array of objects, in `order`; `fields` are pairs of key and expression.
pub(crate) fn json_rows(dialect: Dialect, fields: &[(&str, &str)], from: &str, order: &str) -> String {
    let fields: Vec<String> = fields.iter().map(|(key, expression)| format!("'{key}', {expression}")).collect();
    let fields = fields.join(", ");
    match dialect {
        Dialect::Postgres => {
            format!("(SELECT COALESCE(json_agg(json_build_object({fields}) ORDER BY {order}), '[]'::json) FROM {from})")
        }
        Dialect::Sqlite => format!("(SELECT json_group_array(json_object({fields}) ORDER BY {order}) FROM {from})"),
    }
}

/// Puts EXPLAIN in front of a statement, so that the plan comes back as rows of text in the first column.
pub(crate) fn explain(dialect: Dialect, sql: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("EXPLAIN {sql}"),
        Dialect::Sqlite => format!("EXPLAIN QUERY PLAN {sql}"),
    }
}
