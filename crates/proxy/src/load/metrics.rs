//! The server's own counters, read from its `/metrics` text.

use std::collections::BTreeMap;

use serde::Serialize;

/// One line of the text format: a name, its labels and a value.
#[derive(Debug, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

impl Sample<'_> {
    fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

/// Counters at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counters {
    /// `edge_cache_requests_total` by result and tier.
    requests: BTreeMap<(String, String), f64>,
    /// `edge_cache_database_queries_total`, where the server counts them.
    pub(crate) database_queries: Option<f64>,
}

impl Counters {
    /// Reads the text; lines of other metrics, and lines that are no samples, are skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let mut counters = Self::default();
        for sample in samples(text) {
            match sample.name {
                "edge_cache_requests_total" => {
                    let key = (sample.label("result").to_owned(), sample.label("tier").to_owned());
                    *counters.requests.entry(key).or_default() += sample.value;
                }
                "edge_cache_database_queries_total" => {
                    *counters.database_queries.get_or_insert_default() += sample.value;
                }
                _ => {}
            }
        }
        counters
    }

    /// What happened since `earlier`, as the report shows it.
    pub(crate) fn since(&self, earlier: &Self) -> CacheCounts {
        let sum = |result: &str, tier: Option<&str>| -> u64 {
            let of = |counters: &Self| -> f64 {
                let matching =
                    counters.requests.iter().filter(|((r, t), _)| r == result && tier.is_none_or(|tier| tier == t));
                matching.map(|(_, value)| value).sum()
            };
            (of(self) - of(earlier)).max(0.0) as u64
        };
        let by_tier = |tier: &str| TierCounts { hit: sum("hit", Some(tier)), stale: sum("stale", Some(tier)) };
        CacheCounts {
            hit: sum("hit", None),
            stale: sum("stale", None),
            coalesced: sum("coalesced", None),
            miss: sum("miss", None),
            bypass: sum("bypass", None),
            error: sum("error", None),
            memory: by_tier("memory"),
            redis: by_tier("redis"),
        }
    }

    /// Database queries since `earlier`; `None` where the server does not count them.
    pub(crate) fn queries_since(&self, earlier: &Self) -> Option<u64> {
        let before = earlier.database_queries.unwrap_or(0.0);
        self.database_queries.map(|now| (now - before).max(0.0) as u64)
    }
}

/// Outcomes within the counted window, by the tiers' own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct CacheCounts {
    pub(crate) hit: u64,
    pub(crate) stale: u64,
    pub(crate) coalesced: u64,
    pub(crate) miss: u64,
    pub(crate) bypass: u64,
    pub(crate) error: u64,
    pub(crate) memory: TierCounts,
    pub(crate) redis: TierCounts,
}

/// Answers that one tier gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct TierCounts {
    pub(crate) hit: u64,
    pub(crate) stale: u64,
}

impl CacheCounts {
    /// Reads on routes that may be stored.
    pub(crate) fn storable(&self) -> u64 {
        self.hit + self.stale + self.coalesced + self.miss + self.error
    }

    /// Answers without waiting for the origin ÷ reads that may be stored; `None` where there were none.
    pub(crate) fn hit_rate(&self) -> Option<f64> {
        ratio(self.hit + self.stale, self.storable())
    }

    /// The same over `reads`, those that may never be stored included.
    pub(crate) fn hit_rate_over(&self, reads: u64) -> Option<f64> {
        ratio(self.hit + self.stale, reads)
    }

    /// The part of the hit rate that one tier gives.
    pub(crate) fn tier_rate(&self, tier: TierCounts) -> Option<f64> {
        ratio(tier.hit + tier.stale, self.storable())
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The samples in a text; lines that are none are skipped.
pub(crate) fn samples(text: &str) -> impl Iterator<Item = Sample<'_>> {
    text.lines().filter_map(parse)
}

fn parse(line: &str) -> Option<Sample<'_>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = match line.find(['{', ' '])? {
        at if line[at..].starts_with('{') => {
            let (labels, rest) = labels(&line[at + 1..])?;
            (&line[..at], labels, rest)
        }
        at => (&line[..at], Vec::new(), &line[at..]),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// Labels up to the closing brace, and what follows it. Values may hold escaped quotes, commas and braces.
fn labels(mut text: &str) -> Option<(Vec<(&str, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    c => value.push(c),
                },
                (_, c) => value.push(c),
            }
        };
        labels.push((name, value));
        text = &rest[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP edge_cache_requests Requests by route, result and tier.
# TYPE edge_cache_requests counter
edge_cache_requests_total{route=\"trending\",result=\"hit\",tier=\"memory\"} 70
edge_cache_requests_total{route=\"new\",result=\"hit\",tier=\"memory\"} 5
edge_cache_requests_total{route=\"new\",result=\"hit\",tier=\"redis\"} 5
edge_cache_requests_total{route=\"new\",result=\"stale\",tier=\"memory\"} 4
edge_cache_requests_total{route=\"new\",result=\"coalesced\",tier=\"origin\"} 2
edge_cache_requests_total{route=\"new\",result=\"miss\",tier=\"origin\"} 14 # {trace_id=\"x\"} 1
edge_cache_requests_total{route=\"detail\",result=\"bypass\",tier=\"origin\"} 9
edge_cache_database_queries_total 23
# EOF
";

    #[test]
    fn counters_are_summed_over_routes() {
        let counts = Counters::parse(TEXT).since(&Counters::default());
        assert_eq!((counts.hit, counts.stale, counts.coalesced, counts.miss, counts.bypass), (80, 4, 2, 14, 9));
        assert_eq!(counts.redis, TierCounts { hit: 5, stale: 0 });
        assert_eq!(counts.hit_rate(), Some(0.84));
        assert_eq!(counts.hit_rate_over(168), Some(0.5));
        assert_eq!(counts.tier_rate(counts.redis), Some(0.05));
    }

    #[test]
    fn only_what_came_after_counts() {
        let earlier = Counters::parse(TEXT);
        let later = Counters::parse(&TEXT.replace("} 70", "} 90").replace("total 23", "total 30"));
        assert_eq!(
            later.since(&earlier),
            CacheCounts { hit: 20, memory: TierCounts { hit: 20, stale: 0 }, ..CacheCounts::default() }
        );
        assert_eq!(later.queries_since(&earlier), Some(7));
        assert_eq!(Counters::default().queries_since(&earlier), None);
    }

    #[test]
    fn label_values_may_hold_anything() {
        let sample = parse(r#"m{a="x,\"y\"}",b="\\n"} 2.5 1700000000"#).unwrap();
        assert_eq!((sample.label("a"), sample.label("b"), sample.value), ("x,\"y\"}", "\\n", 2.5));
        assert_eq!(parse("m{a=\"unclosed} 1"), None);
        assert_eq!(parse("no_value"), None);
    }

    #[test]
    fn no_reads_have_no_hit_rate() {
        assert_eq!(CacheCounts::default().hit_rate(), None);
    }
}
