//! A day of rows, in memory that does not grow.

use std::collections::VecDeque;

use super::{
    row::{COLUMNS, Row},
    totals::Totals,
};

/// Rows second by second: ten minutes.
const FINE: usize = 600;
/// How many of them make a coarse one.
const FOLDED: usize = 30;
/// Coarse rows: a day.
const COARSE: usize = 24 * 3600 / FOLDED;

/// The last ten minutes second by second, and the last day in steps of thirty.
#[derive(Debug, Default)]
pub(super) struct History {
    fine: VecDeque<Row>,
    coarse: VecDeque<Row>,
    /// Where the coarse row that is being made began.
    since: Option<Totals>,
    folded: usize,
}

impl History {
    /// Adds the row that ends at `now`.
    pub(super) fn push(&mut self, row: Row, before: &Totals, now: &Totals) {
        keep(&mut self.fine, row, FINE);
        self.folded += 1;
        let since = self.since.get_or_insert_with(|| before.clone());
        if self.folded >= FOLDED {
            let steps = self.fine.iter().rev().take(FOLDED).copied();
            keep(&mut self.coarse, Row::between(since, now).with_peaks(steps), COARSE);
            self.since = Some(now.clone());
            self.folded = 0;
        }
    }

    /// All of it as JSON.
    pub(super) fn json(&self) -> String {
        let mut text = format!("{{\"columns\":{}", serde_json::json!(COLUMNS));
        for (name, step, rows) in [("fine", 1, &self.fine), ("coarse", FOLDED, &self.coarse)] {
            text.push_str(&format!(",\"{name}\":{{\"step\":{step},\"rows\":["));
            for (at, row) in rows.iter().enumerate() {
                if at > 0 {
                    text.push(',');
                }
                row.write(&mut text);
            }
            text.push_str("]}");
        }
        text.push('}');
        text
    }
}

fn keep(rows: &mut VecDeque<Row>, row: Row, most: usize) {
    if rows.len() >= most {
        rows.pop_front();
    }
    rows.push_back(row);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use edge_cache::telemetry::RouteSnapshot;

    use super::*;

    fn totals(second: u64) -> Totals {
        Totals {
            at: second as f64,
            monotonic: Duration::from_secs(second),
            routes: Vec::new(),
            requests: RouteSnapshot::empty(""),
            fills: 2 * second,
            connections: second % 30,
            in_flight: 0,
            database: None,
            database_ways: Vec::new(),
            origins: Vec::new(),
            redis: Vec::new(),
            origin_calls: None,
            waiting: None,
            cpu: Duration::from_millis(500 * second),
            resident_bytes: 1,
        }
    }

    #[test]
    fn two_days_take_the_room_of_one() {
        let mut history = History::default();
        for second in 1..=2 * 24 * 3600 {
            let now = totals(second);
            let before = totals(second - 1);
            history.push(Row::between(&before, &now), &before, &now);
        }
        assert_eq!((history.fine.len(), history.coarse.len()), (FINE, COARSE));
        let last = history.coarse.back().unwrap();
        assert_eq!((last.get("seconds"), last.get("fills"), last.get("cpu")), (30.0, 60.0, 0.5));
        assert_eq!(last.get("connections"), 29.0, "of a gauge the most");
        let first = history.coarse.front().unwrap();
        assert!(last.get("at") - first.get("at") >= 24.0 * 3600.0 - 30.0);
    }

    #[test]
    fn it_is_json_and_names_what_is_unknown() {
        let mut history = History::default();
        let now = totals(5);
        history.push(Row::between(&totals(4), &now), &totals(4), &now);
        let json: serde_json::Value = serde_json::from_str(&history.json()).unwrap();
        let row = json["fine"]["rows"][0].as_array().unwrap();
        assert_eq!(row.len(), json["columns"].as_array().unwrap().len());
        let at = |name: &str| &row[COLUMNS.iter().position(|column| *column == name).unwrap()];
        assert_eq!((at("fills"), at("at")), (&2.into(), &5.0.into()));
        assert!(at("p95").is_null() && at("database_connections").is_null());
    }
}
