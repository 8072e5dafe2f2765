//! Rendering of a fixed result.

use super::super::super::bound::Bound;
use super::super::super::cold::Cold;
use super::super::super::measure::{CpuUse, DatabaseUse};
use super::super::Settings;
use super::*;
use crate::load::metrics::{CacheCounts, TierCounts};
use crate::load::plan::Pacing;
use crate::load::recorder::{Failure, Recorder};
use crate::load::usage::Machine;

fn measured(mode: Mode, failures: u64) -> Measured {
    let mut recorder = Recorder::new();
    for nth in 0..100 - failures {
        recorder.answered(Group::Trending, 1_000 + nth, true);
    }
    for _ in 0..failures {
        recorder.failed(Group::Detail, Failure::Status(503));
    }
    let memory = TierCounts { hit: 80, stale: 5 };
    let cache = CacheCounts {
        hit: 85,
        stale: 5,
        miss: 10,
        memory,
        redis: TierCounts { hit: 5, stale: 0 },
        ..CacheCounts::default()
    };
    let cold = Cold { clients: 1_000, answered: 1_000, failures: Vec::new(), queries: Some(1), milliseconds: 42.25 };
    Measured {
        mode,
        load: recorder.figures(1.0),
        cache,
        hit_rate: cache.hit_rate(),
        hit_rate_all_reads: cache.hit_rate_over(100),
        database: DatabaseUse { connections_max: 10, connection_samples: 5, queries: Some(12), transactions: 12 },
        cpu: CpuUse { database: 3.0, redis: 1.0, server: 20.0, generator: 10.0 },
        cold: Some(cold),
    }
}

fn report() -> Report {
    Report {
        machine: Machine {
            cores: 2,
            memory_gib: 23.5,
            cpu: "some processor".to_owned(),
            kernel: "6.1".to_owned(),
            optimised: true,
        },
        date: "Sun, 22 Nov 2026 00:00:00 GMT".to_owned(),
        command: "cache-proxy bench".to_owned(),
        settings: Settings {
            rate: 100,
            pacing: Pacing::Poisson,
            clients: 1_000,
            warmup_seconds: 1,
            counted_seconds: 1,
            pitches: 500,
            writes: false,
            seed: 1,
            max_connections: 100,
            reads_offered: 100,
        },
        bound: Bound { storable: 100, hits: 96 },
        bound_rate: Some(0.96),
        modes: vec![measured(Mode::Direct, 40), measured(Mode::MemoryRedis, 0)],
    }
}

fn cells(text: &str, row: &str) -> Vec<String> {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("| {row} ")))
        .unwrap_or_else(|| panic!("no row {row} in\n{text}"));
    line.split('|').skip(2).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn modes_are_columns_and_measures_are_rows() {
    let text = render(&report());
    assert_eq!(cells(&text, "measure"), ["direct", "memory+redis"]);
    assert_eq!(cells(&text, "errors"), ["40 (40.00 %)", "0"]);
    assert_eq!(cells(&text, "  status 503"), ["40", "0"]);
    assert_eq!(cells(&text, "hit rate"), [ABSENT, "90.0 %"]);
    assert_eq!(cells(&text, "  an infinite cache's"), [ABSENT, "96.0 %"]);
    assert_eq!(cells(&text, "  by memory"), [ABSENT, "85.0 %"]);
    assert_eq!(cells(&text, "cold key: database queries"), ["1", "1"]);
    assert!(text.starts_with("2 cores, 23.5 GiB, some processor, Linux 6.1"));
}

#[test]
fn a_mode_that_did_not_carry_the_rate_is_named() {
    let text = render(&report());
    assert!(text.contains("direct: 60 of 100 reads/s reached"), "{text}");
    assert!(!text.contains("memory+redis: "), "{text}");
}

#[test]
fn the_json_holds_every_figure_by_name() {
    let json: serde_json::Value = serde_json::from_str(&report().json().unwrap()).unwrap();
    assert_eq!(json["modes"][1]["mode"], "memory+redis");
    assert_eq!(json["modes"][1]["hit_rate"], 0.9);
    assert_eq!(json["modes"][0]["load"]["errors_by_kind"]["status 503"], 40);
    assert_eq!(json["modes"][1]["load"]["latency_by_group"]["trending"]["count"], 100);
    assert_eq!(json["bound"]["hits"], 96);
    assert_eq!(json["settings"]["pacing"], "poisson");
}
