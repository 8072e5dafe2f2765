//! What was measured, and what changed, for people and for programs.

use std::{fmt::Write, path::Path};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use edge_cache_probe::baseline::{
    Comparison, Endpoint, ErrorsCompared, Machine, Recording, StatisticCompared, Tolerance,
};
use serde_json::json;

const ABSENT: &str = "–";

/// How often which error came.
pub(super) fn errors(endpoint: &Endpoint) -> String {
    let counts: Vec<String> = endpoint.errors.iter().map(|(class, count)| format!("{count} × {class}")).collect();
    counts.join(", ")
}

/// What was written.
pub(super) fn recorded(recording: &Recording, file: &Path) -> String {
    let mut text = format!("{}, {}:\n", recording.target, measured(recording));
    for endpoint in &recording.endpoints {
        let mut line = format!("  {}: {} good answers", endpoint.path, endpoint.good());
        if endpoint.bad() > 0 {
            write!(line, ", and errors, which are in no latency: {}", errors(endpoint)).expect(FITS);
        }
        writeln!(text, "{line}").expect(FITS);
    }
    if let Some(remark) = optimised(&recording.machine) {
        writeln!(text, "{remark}").expect(FITS);
    }
    write!(text, "written to {}", file.display()).expect(FITS);
    text
}

/// What changed, as a table.
pub(super) fn text(old: &Recording, new: &Recording, compared: &[Comparison], tolerance: Tolerance) -> String {
    let mut text = String::new();
    for (name, recording) in [("old", old), ("new", new)] {
        let Recording { when, target, .. } = recording;
        writeln!(text, "{name}: {target} at {when}, {}", measured(recording)).expect(FITS);
    }
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["endpoint", "", "old", "new", "new / old", "95 % interval", "verdict"]);
    for comparison in compared {
        for (name, statistic) in [("median", &comparison.median), ("p95", &comparison.p95)] {
            table.add_row(latency(&comparison.path, name, statistic));
        }
        table.add_row(failures(&comparison.path, &comparison.errors));
    }
    for column in table.column_iter_mut().skip(2).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(text, "\n{table}\n").expect(FITS);
    for remark in remarks(old, new) {
        writeln!(text, "{remark}").expect(FITS);
    }
    let worse = compared.iter().filter(|comparison| comparison.is_worse()).count();
    let share = tolerance.share() * 100.0;
    write!(text, "{worse} of {} endpoints are worse (tolerance {share} %)", compared.len()).expect(FITS);
    text
}

/// The same as JSON.
pub(super) fn json(old: &Recording, new: &Recording, compared: &[Comparison], tolerance: Tolerance) -> String {
    let of = |recording: &Recording| {
        let Recording { when, target, way, machine, effort, command, .. } = recording;
        json!({ "when": when, "target": target, "way": way, "machine": machine, "effort": effort, "command": command })
    };
    let worse = compared.iter().any(Comparison::is_worse);
    let remarks = remarks(old, new);
    json!({ "old": of(old), "new": of(new), "tolerance": tolerance, "endpoints": compared, "worse": worse, "remarks": remarks })
        .to_string()
}

const FITS: &str = "writing to a String cannot fail";

fn measured(recording: &Recording) -> String {
    let Recording { way, effort, .. } = recording;
    let pause = humantime::format_duration(effort.pause);
    format!("{} the cache, {} rounds of {}, {pause} apart at least", way.as_str(), effort.rounds, effort.samples)
}

fn latency(path: &str, name: &str, statistic: &StatisticCompared) -> Vec<String> {
    let StatisticCompared { old_micros, new_micros, ratio, interval, verdict, why } = statistic;
    let millis =
        |micros: &Option<u64>| micros.map_or_else(|| ABSENT.to_owned(), |us| format!("{:.2} ms", us as f64 / 1e3));
    let ratio = ratio.map_or_else(|| ABSENT.to_owned(), |ratio| format!("{ratio:.2}"));
    let interval = interval.map_or_else(|| ABSENT.to_owned(), |(low, high)| format!("{low:.2} to {high:.2}"));
    let verdict = why.map_or_else(|| verdict.to_string(), |why| format!("{verdict}: {why}"));
    vec![path.to_owned(), name.to_owned(), millis(old_micros), millis(new_micros), ratio, interval, verdict]
}

fn failures(path: &str, errors: &ErrorsCompared) -> Vec<String> {
    let ErrorsCompared { old, new, p, verdict } = errors;
    let count = |(bad, all): &(u64, u64)| format!("{bad} of {all}");
    let p = format!("p = {p:.3}");
    vec![path.to_owned(), "errors".to_owned(), count(old), count(new), ABSENT.to_owned(), p, verdict.to_string()]
}

/// What makes the comparison worth less.
fn remarks(old: &Recording, new: &Recording) -> Vec<String> {
    let mut remarks = Vec::new();
    if old.machine != new.machine {
        let [old, new] = [&old.machine, &new.machine].map(|machine| {
            let Machine { cores, cpu, os, .. } = machine;
            format!("{cores} cores, {cpu}, {os}")
        });
        remarks.push(format!("measured on different machines or builds: old {old}; new {new}"));
    }
    remarks.extend(optimised(&new.machine));
    remarks
}

fn optimised(machine: &Machine) -> Option<String> {
    let remark = "a debug build asked: the figures say nothing about a release";
    (!machine.optimised).then(|| remark.to_owned())
}

#[cfg(test)]
mod tests {
    use edge_cache_probe::{
        Class, Way,
        baseline::{Effort, compare},
    };

    use super::*;

    fn recording(micros: u64, errors: u64) -> Recording {
        let rounds_micros = (0..10).map(|round| (0..30).map(|at| micros + round + at).collect()).collect();
        let errors = [(Class::Timeout, errors)].into();
        let endpoint = Endpoint { path: "/a".to_owned(), rounds_micros, errors };
        let machine = Machine { cores: 2, cpu: "c".to_owned(), os: "o".to_owned(), optimised: true };
        let (when, target, command) = ("w".to_owned(), "http://h".to_owned(), "cmd".to_owned());
        Recording::new(when, target, None, Way::Through, command, machine, Effort::default(), vec![endpoint])
    }

    #[test]
    fn a_comparison_is_a_table_and_the_same_is_json() {
        let (old, new) = (recording(1_000, 0), recording(2_000, 20));
        let tolerance = Tolerance::default();
        let compared = vec![compare(&old.endpoints[0], &new.endpoints[0], tolerance)];
        let table = text(&old, &new, &compared, tolerance);
        let row = |name: &str| table.lines().find(|line| line.contains(name)).unwrap().to_owned();
        assert!(row("median").contains("1.02 ms") && row("median").contains("worse"), "{table}");
        assert!(row("errors").contains("20 of 320") && row("errors").contains("worse"), "{table}");
        assert!(table.ends_with("1 of 1 endpoints are worse (tolerance 10 %)"), "{table}");
        let value: serde_json::Value = serde_json::from_str(&json(&old, &new, &compared, tolerance)).unwrap();
        assert_eq!((&value["worse"], &value["endpoints"][0]["median"]["verdict"]), (&true.into(), &"worse".into()));
    }

    #[test]
    fn what_makes_it_worth_less_is_said() {
        let (old, mut new) = (recording(1_000, 0), recording(1_000, 0));
        assert!(remarks(&old, &new).is_empty());
        (new.machine.cores, new.machine.optimised) = (8, false);
        assert_eq!(remarks(&old, &new).len(), 2);
    }
}
