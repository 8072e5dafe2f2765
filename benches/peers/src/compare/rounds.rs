use serde_json::json;

use crate::{
    bench::Bench,
    load::{self, Load, Turn},
    server::Server,
    stats::Spread,
    table::{Table, with_quartiles, with_range},
};

/// A server, what it is asked, and what it is expected to ask in its turn.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    pub(crate) server: &'a Server,
    pub(crate) load: Load,
    pub(crate) fetches: Fetches,
}

/// How many requests of a turn reach what stands behind the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fetches {
    /// They are all hits, or there is nothing behind.
    None,
    /// None of them is a hit.
    Each,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(server: &'a Server, load: Load, fetches: Fetches) -> Self {
        Self { name: server.name.clone(), server, load, fetches }
    }
}

/// All turns of one subject, round by round.
pub(crate) type Turns = Vec<Turn>;

/// Drives all subjects by turns. `take` does one turn of one of them; it is told the number of the round. The first round
/// is thrown away.
pub(crate) fn interleaved<T>(
    bench: &Bench,
    rounds: usize,
    subjects: usize,
    mut take: impl FnMut(usize, usize) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<Vec<T>>> {
    let mut all: Vec<Vec<T>> = (0..subjects).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for at in 0..subjects {
            bench.go_on()?;
            // Each round begins with another one, so that none always follows the same neighbour's heat.
            let subject = (at + round) % subjects;
            let turn = take(subject, round)?;
            if round > 0 {
                all[subject].push(turn);
            }
        }
    }
    Ok(all)
}

/// Compares processor time per request of `subjects`, with a column of ratios for each of `bases`, the names of subjects.
pub(crate) fn compare(bench: &Bench, title: &str, subjects: &[Subject<'_>], bases: &[&str]) -> anyhow::Result<Table> {
    Ok(tabulate(title, subjects, &turns(bench, subjects)?, bases))
}

/// The share of a peak at which servers are asked by the clock.
pub(crate) const SHARE: f64 = 0.7;

/// The same as fast as each answers, and then all at one rate, at [`SHARE`] of what the slowest can do: who answers faster than the others lets nobody sleep, and is
/// spared what it costs to wake them, which nobody is who has less to do than it could. The keys of that begin at `first`.
pub(crate) fn compare_at_both(
    bench: &mut Bench,
    (question, title): (&str, &str),
    mut subjects: Vec<Subject<'_>>,
    (bases, first): (&[&str], u64),
) -> anyhow::Result<()> {
    let peaks = turns(bench, &subjects)?;
    bench.show(question, tabulate(title, &subjects, &peaks, bases));
    let peak = |own: &Turns| Spread::of(own.iter().map(|turn| turn.report.rate())).median;
    let rate = SHARE * peaks.iter().map(peak).fold(f64::INFINITY, f64::min);
    for subject in &mut subjects {
        let load = &mut subject.load;
        (load.rate, load.requests, load.first) = (Some(rate), (rate * bench.args.seconds) as u64, first);
    }
    let title = format!("{title}; all at {rate:.0} requests/s, {SHARE} of the slowest one's peak");
    let table = tabulate(&title, &subjects, &turns(bench, &subjects)?, bases);
    bench.show(question, table);
    Ok(())
}

fn turns(bench: &Bench, subjects: &[Subject<'_>]) -> anyhow::Result<Vec<Turns>> {
    interleaved(bench, bench.args.rounds, subjects.len(), |at, round| {
        let subject = &subjects[at];
        let mut load = subject.load.clone();
        if subject.fetches == Fetches::Each && load.in_sequence {
            // No key is asked for twice; those that open the connections need their own.
            load.first += round as u64 * (load.requests + load.connections as u64);
            load.keys = u64::MAX;
        }
        load::turn(bench, subject.server, &load)
    })
}

/// The table of what was found.
pub(crate) fn tabulate(title: &str, subjects: &[Subject<'_>], turns: &[Turns], bases: &[&str]) -> Table {
    let found = |name: &str| subjects.iter().position(|subject| subject.name == name);
    let bases: Vec<(usize, &str)> = bases.iter().filter_map(|name| Some((found(name)?, *name))).collect();
    let ratios = bases.iter().map(|(_, name)| format!("x {name} (quartiles)"));
    let before = ["server".to_owned(), "us CPU/request (min..max)".to_owned()];
    let after = ["requests/s", "p50 us", "p99 us", "loader busy", "wrong", "fetched"].map(str::to_owned);
    let mut table = Table::new(title, before.into_iter().chain(ratios).chain(after));
    for (subject, own) in subjects.iter().zip(turns) {
        let cpu = Spread::of(own.iter().map(Turn::cpu_micros));
        let against: Vec<Spread> = bases.iter().map(|&(base, _)| ratio(own, &turns[base], Turn::cpu_micros)).collect();
        let sum = |figure: fn(&Turn) -> u64| own.iter().map(figure).sum::<u64>();
        let median = |figure: fn(&Turn) -> f64| Spread::of(own.iter().map(figure)).median;
        let (bad, fetched, asked) = (sum(|t| t.report.bad()), sum(|t| t.fetched), sum(|t| t.report.requests));
        let mut cells = vec![subject.name.clone(), with_range(cpu, 2)];
        cells.extend(against.iter().map(|ratio| with_quartiles(*ratio, 2)));
        cells.push(format!("{:.0}", median(|t| t.report.rate())));
        cells.push(format!("{:.0}", median(|t| t.report.p50 as f64 / 1e3)));
        cells.push(format!("{:.0}", median(|t| t.report.p99 as f64 / 1e3)));
        cells.push(format!("{:.0} %", median(|t| 100.0 * t.report.loader_busy())));
        cells.push(bad.to_string());
        cells.push(if subject.server.counted.is_some() { fetched.to_string() } else { "-".to_owned() });
        let against: serde_json::Map<_, _> =
            bases.iter().zip(&against).map(|((_, name), ratio)| ((*name).to_owned(), json!(ratio))).collect();
        let rounds: Vec<_> =
            own.iter().map(|t| json!({ "cpu_nanos": t.cpu, "fetched": t.fetched, "load": t.report })).collect();
        table.row(cells, json!({ "server": subject.name, "cpu_micros": cpu, "ratios": against, "rounds": rounds }));
        if bad > 0 {
            table.fault(format!("{}: {bad} of {asked} answers were wrong or missing", subject.name));
        }
        let expected = if subject.fetches == Fetches::Each { asked } else { 0 };
        if subject.server.counted.is_some() && fetched != expected {
            table.fault(format!("{}: {fetched} of {asked} requests were fetched, not {expected}", subject.name));
        }
    }
    table
}

/// Ratios within each round.
pub(crate) fn ratio<T>(own: &[T], base: &[T], figure: impl Fn(&T) -> f64) -> Spread {
    Spread::of(own.iter().zip(base).map(|(own, base)| figure(own) / figure(base).max(f64::MIN_POSITIVE)))
}
