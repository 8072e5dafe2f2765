//! The failures that are known and explained.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::suite::{KINDS, Verdicts};

/// The tests that fail: their ids and their kinds.
pub(crate) struct Expected(BTreeMap<String, String>);

impl Expected {
    /// Reads `expected.json`.
    pub(crate) fn read() -> Self {
        let listed: BTreeMap<String, Value> = serde_json::from_str(include_str!("expected.json")).unwrap();
        let read = |(id, entry): (String, Value)| {
            let [kind, why] = ["kind", "why"].map(|name| entry[name].as_str().unwrap_or_default().trim());
            assert!(KINDS.contains(&kind), "expected.json: {id} is of no kind");
            // A check is a question: its answer may be either.
            assert!(kind == "check" || !why.is_empty(), "expected.json: {id} may not fail without a reason");
            (id, kind.to_owned())
        };
        Self(listed.into_iter().map(read).collect())
    }

    /// In what `verdicts` differ from what is expected; a line each.
    pub(crate) fn surprises(&self, verdicts: &Verdicts) -> Vec<String> {
        let mut surprises = Vec::new();
        for (id, verdict) in verdicts {
            match (&verdict.failure, self.0.get(id)) {
                (Some(failure), None) => surprises.push(format!("{id} ({}) fails: {failure}", verdict.kind)),
                (None, Some(_)) => surprises.push(format!("{id} passes: remove it from expected.json")),
                (Some(_), Some(kind)) if *kind != verdict.kind => {
                    surprises.push(format!("{id} is {} and not {kind}, as expected.json says", verdict.kind));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let unknown = self.0.keys().filter(|id| !verdicts.contains_key(*id));
        surprises.extend(unknown.map(|id| format!("{id} is no test: remove it from expected.json")));
        surprises
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use crate::suite::{Verdict, Verdicts};

    #[test]
    fn whatever_differs_from_the_list_is_a_surprise() {
        let listed = [("known", "check"), ("mended", "optimal"), ("moved", "check"), ("gone", "required")];
        let expected = Expected(listed.map(|(id, kind)| (id.to_owned(), kind.to_owned())).into());
        let verdict =
            |kind: &str, failure: Option<&str>| Verdict { kind: kind.to_owned(), failure: failure.map(str::to_owned) };
        let verdicts = Verdicts::from([
            ("broken".to_owned(), verdict("required", Some("Assertion: no"))),
            ("fine".to_owned(), verdict("required", None)),
            ("known".to_owned(), verdict("check", Some("Assertion: no"))),
            ("mended".to_owned(), verdict("optimal", None)),
            ("moved".to_owned(), verdict("required", Some("Assertion: no"))),
        ]);
        let surprises = expected.surprises(&verdicts);
        let starts = ["broken (required) fails: ", "mended passes", "moved is required", "gone is no test"];
        assert_eq!(surprises.len(), starts.len(), "{surprises:?}");
        assert!(surprises.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{surprises:?}");
    }
}
