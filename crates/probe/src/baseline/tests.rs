use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use edge_cache_warmer::Replay;
use futures_util::{FutureExt, future::BoxFuture};
use http::StatusCode;
use parking_lot::Mutex;

use super::{resample::Draws, *};
use crate::{Answer, Ask, AskError, By, Class, Question, Way};

const TRIALS: usize = 200;

/// How latencies are made: log-normal, and moved together within a round.
#[derive(Clone, Copy)]
struct Law {
    micros: f64,
    /// Of single answers.
    spread: f64,
    /// Of rounds.
    drift: f64,
    /// How much of what moved a round moves the next.
    memory: f64,
}

const CALM: Law = Law { micros: 1_000.0, spread: 0.15, drift: 0.03, memory: 0.5 };
const WILD: Law = Law { spread: 1.0, drift: 0.6, ..CALM };

impl Law {
    fn slower_by(self, factor: f64) -> Self {
        Self { micros: self.micros * factor, ..self }
    }

    fn measured(self, rounds: usize, samples: usize, draws: &mut Draws) -> Endpoint {
        let mut moved = 0.0;
        let mut round = || {
            moved = self.memory * moved + self.drift * (1.0 - self.memory.powi(2)).sqrt() * normal(draws);
            let latency = |_| (self.micros * (moved + self.spread * normal(draws)).exp()) as u64;
            (0..samples).map(latency).collect()
        };
        let rounds_micros = (0..rounds).map(|_| round()).collect();
        Endpoint { path: "/x".to_owned(), rounds_micros, errors: BTreeMap::new() }
    }
}

/// By Box and Muller.
fn normal(draws: &mut Draws) -> f64 {
    let (radius, angle) = (1.0 - draws.unit(), draws.unit());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// How many of the trials came to each verdict, of the median and of the 95th percentile.
fn verdicts(old: Law, new: Law) -> [BTreeMap<String, usize>; 2] {
    let mut counts = [BTreeMap::new(), BTreeMap::new()];
    for trial in 0..TRIALS {
        let mut draws = Draws::new(trial as u64);
        let (before, after) = (old.measured(15, 30, &mut draws), new.measured(15, 30, &mut draws));
        let compared = compare(&before, &after, Tolerance::default());
        for (counts, statistic) in counts.iter_mut().zip([compared.median, compared.p95]) {
            *counts.entry(statistic.verdict.to_string()).or_default() += 1;
        }
    }
    counts
}

fn share(counts: &BTreeMap<String, usize>, verdict: Verdict) -> f64 {
    counts.get(&verdict.to_string()).copied().unwrap_or_default() as f64 / TRIALS as f64
}

#[test]
fn the_same_measured_twice_is_the_same() {
    for counts in verdicts(CALM, CALM) {
        assert!(share(&counts, Verdict::Same) >= 0.95, "{counts:?}");
    }
}

#[test]
fn a_fifth_more_and_a_fifth_less_are_found() {
    // What an interval is wider for drifts costs a few.
    let [median, p95] = verdicts(CALM, CALM.slower_by(1.2));
    assert!(share(&median, Verdict::Worse) >= 0.9, "{median:?}");
    assert!(share(&p95, Verdict::Worse) >= 0.9, "{p95:?}");
    let [median, _] = verdicts(CALM, CALM.slower_by(0.8));
    assert!(share(&median, Verdict::Better) >= 0.9, "{median:?}");
}

#[test]
fn what_is_within_the_tolerance_is_the_same_however_sure_it_is() {
    let [median, _] = verdicts(Law { drift: 0.0, ..CALM }, Law { drift: 0.0, ..CALM }.slower_by(1.05));
    assert!(share(&median, Verdict::Same) >= 0.95, "{median:?}");
}

#[test]
fn heavy_noise_is_unsure_and_never_the_same() {
    for counts in verdicts(WILD, WILD) {
        assert!(share(&counts, Verdict::Unsure) >= 0.9, "{counts:?}");
        assert_eq!(share(&counts, Verdict::Same), 0.0, "{counts:?}");
    }
}

#[test]
fn the_interval_holds_the_truth_about_as_often_as_it_says_although_rounds_move_together() {
    // Rounds that move a lot, and answers that hardly do: by single answers anything would seem certain.
    for (memory, least) in [(0.0, 0.94), (0.5, 0.89)] {
        let law = Law { micros: 1_000.0, spread: 0.02, drift: 0.1, memory };
        let holds = |trial: usize| {
            let mut draws = Draws::new(1_000 + trial as u64);
            let (old, new) = (law.measured(10, 30, &mut draws), law.measured(10, 30, &mut draws));
            let (low, high) = compare(&old, &new, Tolerance::default()).median.interval.unwrap();
            low <= 1.0 && 1.0 <= high
        };
        let held = (0..TRIALS).filter(|trial| holds(*trial)).count() as f64 / TRIALS as f64;
        assert!(held >= least, "{held} at {memory}");
    }
}

/// A recording, and one more some seconds later, of a server that is `factor` as slow then, where every second moves all latencies by `step`
/// of them from where the second before left them.
fn neighbours(micros: f64, step: f64, factor: f64, draws: &mut Draws) -> (Endpoint, Endpoint) {
    const GAP: u32 = 2;
    let Effort { rounds, samples, .. } = Effort::default();
    let mut moved = 0.0;
    let mut seconds = |count: u32, factor: f64, draws: &mut Draws| {
        let round = |_| {
            moved += step * normal(draws);
            let latency = |_| (micros * factor * (moved + 0.15 * normal(draws)).exp()) as u64;
            (0..samples).map(latency).collect()
        };
        let rounds_micros = (0..count).map(round).collect();
        Endpoint { path: "/x".to_owned(), rounds_micros, errors: BTreeMap::new() }
    };
    let old = seconds(rounds, 1.0, draws);
    seconds(GAP, 1.0, draws);
    (old, seconds(rounds, factor, draws))
}

/// The share of such neighbours of which the second is found to be worse: anything of it, and its median.
fn found_worse(micros: f64, step: f64, factor: f64) -> (f64, f64) {
    let (mut any, mut median) = (0, 0);
    for trial in 0..TRIALS {
        let (old, new) = neighbours(micros, step, factor, &mut Draws::new(5_000 + trial as u64));
        let compared = compare(&old, &new, Tolerance::default());
        any += usize::from(compared.is_worse());
        median += usize::from(compared.median.verdict == Verdict::Worse);
    }
    (any as f64 / TRIALS as f64, median as f64 / TRIALS as f64)
}

#[test]
fn a_server_left_alone_is_seldom_worse_although_it_drifts() {
    for (micros, step) in [(1_000.0, 0.02), (250.0, 0.02)] {
        let (any, _) = found_worse(micros, step, 1.0);
        assert!(any <= 0.05, "{any} at {step} of {micros}");
    }
}

#[test]
fn a_fifth_more_is_found_in_most_although_it_drifts() {
    let (_, median) = found_worse(1_000.0, 0.01, 1.2);
    assert!(median >= 0.8, "{median}");
}

#[test]
fn a_difference_of_next_to_nothing_is_never_worse() {
    // A fifth of 100 µs is below what counts.
    let quick = Law { micros: 100.0, ..CALM };
    for counts in verdicts(quick, quick.slower_by(1.2)) {
        assert_eq!(share(&counts, Verdict::Worse), 0.0, "{counts:?}");
    }
}

#[test]
fn too_few_say_nothing_and_say_so() {
    let mut draws = Draws::new(1);
    let [few_rounds, few_answers, enough] =
        [(4, 100), (5, 3), (5, 10)].map(|(rounds, samples)| CALM.measured(rounds, samples, &mut draws));
    let twice = |one: &Endpoint| compare(one, one, Tolerance::default());
    assert_eq!(twice(&few_rounds).median.why, Some("too few rounds"));
    assert_eq!(twice(&few_answers).median.why, Some("too few answers"));
    let enough = twice(&enough);
    assert_eq!((enough.median.verdict, enough.p95.why), (Verdict::Same, Some("too few answers")));
    let none = Endpoint { path: "/x".to_owned(), rounds_micros: vec![Vec::new(); 10], errors: BTreeMap::new() };
    let compared = compare(&few_rounds, &none, Tolerance::default());
    assert_eq!((compared.median.verdict, compared.median.new_micros), (Verdict::Unsure, None));
    assert_eq!(compared.median.why, Some("no good answers"));
}

#[test]
fn errors_are_judged_apart_from_latencies() {
    let mut draws = Draws::new(1);
    let calm = CALM.measured(10, 30, &mut draws);
    let failing = |count| Endpoint { errors: [(Class::Status, count)].into(), ..calm.clone() };
    let judged = |old, new| compare(&failing(old), &failing(new), Tolerance::default());
    assert_eq!(judged(0, 2).errors.verdict, Verdict::Same, "two of 302 may be chance");
    let worse = judged(0, 12);
    assert_eq!((worse.errors.verdict, worse.median.verdict), (Verdict::Worse, Verdict::Same));
    assert_eq!((worse.errors.old, worse.errors.new), ((0, 300), (12, 312)));
    assert!(worse.is_worse());
    assert_eq!(judged(12, 0).errors.verdict, Verdict::Better);
}

#[test]
fn the_same_files_are_always_judged_alike() {
    let mut draws = Draws::new(3);
    let (old, new) = (WILD.measured(10, 30, &mut draws), WILD.measured(10, 30, &mut draws));
    let once = compare(&old, &new, Tolerance::default());
    assert_eq!(once, compare(&old, &new, Tolerance::default()));
}

fn recording(endpoints: Vec<Endpoint>) -> Recording {
    let machine = Machine { cores: 2, cpu: "c".to_owned(), os: "o".to_owned(), optimised: true };
    let (when, target) = ("2026-11-28T00:00:00Z".to_owned(), "http://h".to_owned());
    Recording::new(when, target, None, Way::Past, "cmd".to_owned(), machine, Effort::default(), endpoints)
}

#[test]
fn a_file_comes_back_as_it_was_and_another_is_refused_with_its_reason() {
    let mut endpoint = CALM.measured(10, 30, &mut Draws::new(1));
    endpoint.errors.insert(Class::NotAsked, 3);
    let recording = recording(vec![endpoint]);
    let text = recording.to_json();
    assert_eq!(Recording::from_json(&text).unwrap(), recording);
    let before_pauses = text.replacen("\"pause\":\"1s\",", "", 1);
    assert_eq!(Recording::from_json(&before_pauses).unwrap().effort.pause, Duration::ZERO);
    let twice =
        text.replacen("\"endpoints\":[", "\"endpoints\":[{\"path\":\"/x\",\"rounds_micros\":[],\"errors\":{}},", 1);
    let vast = text.replacen("\"not-asked\":3", "\"not-asked\":18446744073709551615", 1);
    for (wrong, why) in [
        (text.replacen("\"version\":1", "\"version\":2", 1), "version = 2: must be 1"),
        (text.replacen("edge-cache-baseline", "else", 1), "format must be \"edge-cache-baseline\""),
        (text.replacen("\"way\"", "\"wy\"", 1), "is no baseline"),
        ("{}".to_owned(), "format must be"),
        ("not JSON".to_owned(), "is no baseline: must be JSON"),
        (twice, "endpoints[1].path = /x: must be unique"),
        (vast, "must hold at most 100000 answers"),
        (
            text.replacen("\"rounds\":15", "\"rounds\":9", 1),
            "endpoints[0].rounds_micros: must be at most effort.rounds (9)",
        ),
        (text.replacen("\"rounds\":15", "\"rounds\":0", 1), "effort.rounds: 0: must be above zero"),
    ] {
        let error = Recording::from_json(&wrong).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn what_reached_nobody_is_no_measurement() {
    let lost = |class| Endpoint { path: "/x".to_owned(), rounds_micros: vec![Vec::new()], errors: [(class, 5)].into() };
    assert!(recording(vec![lost(Class::Connection), lost(Class::Timeout)]).is_void());
    assert!(!recording(vec![lost(Class::Connection), lost(Class::Status)]).is_void());
}

#[test]
fn an_effort_is_bounded() {
    let of = |rounds, samples| Effort { rounds, samples, ..Effort::default() };
    assert_eq!(of(10, 30).validate(300), Ok(()));
    let error = of(1_000, 100).validate(2).unwrap_err().to_string();
    assert_eq!(
        error,
        "rounds × samples = 100000: must be at most 100000 answers of all endpoints together: 50000 of each"
    );
    assert!(of(u32::MAX, u32::MAX).validate(1).is_err());
    assert!(of(0, 1).validate(1).unwrap_err().to_string().starts_with("rounds = 0"));
    let pausing = |secs| Effort { pause: Duration::from_secs(secs), ..Effort::default() };
    assert_eq!((pausing(0).validate(1), pausing(60).validate(1)), (Ok(()), Ok(())));
    assert_eq!(pausing(61).validate(1).unwrap_err().to_string(), "pause = 1m 1s: must be at most 1m");
    assert!(Effort { timeout: Duration::ZERO, ..Effort::default() }.validate(1).is_err());
}

/// Takes as long as its path says, in milliseconds, and fails every fourth time it is asked for `/7`.
#[derive(Clone, Default)]
struct Slow(Arc<(Mutex<Vec<String>>, AtomicUsize)>);

impl Ask for Slow {
    fn ask(&self, question: &Question) -> BoxFuture<'static, Result<Answer, AskError>> {
        let path = question.replay.path_and_query().to_string();
        self.0.0.lock().push(path.clone());
        let sevens = if path == "/7" { self.0.1.fetch_add(1, Ordering::SeqCst) } else { 0 };
        async move {
            tokio::time::sleep(Duration::from_millis(path[1..].parse().unwrap())).await;
            let status = if sevens % 4 == 3 { StatusCode::BAD_GATEWAY } else { StatusCode::OK };
            Ok(Answer { status, by: By::Origin, detail: None, body_bytes: 1 })
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn endpoints_take_turns_and_errors_are_in_no_latency() {
    let asker = Slow::default();
    let aim = |path| Aim { asker: asker.clone(), replay: Replay::new("http", "h", path, []).unwrap() };
    let effort = Effort { rounds: 3, samples: 2, warmup: 2, ..Effort::default() };
    let mut heard = Vec::new();
    let endpoints = measure(&[aim("/5"), aim("/7")], Way::Past, &effort, |round, of| heard.push((round, of))).await;
    assert_eq!(heard, [(1, 3), (2, 3), (3, 3)]);
    assert_eq!(endpoints[0].rounds_micros, [[5_000, 5_000], [5_000, 5_000], [5_000, 5_000]]);
    // The first two were for warmth; the fourth and the eighth fail.
    assert_eq!(endpoints[1].rounds_micros, [vec![7_000], vec![7_000, 7_000], vec![7_000]]);
    assert_eq!((endpoints[1].good(), endpoints[1].bad()), (4, 2));
    assert_eq!(endpoints[1].errors, [(Class::Status, 2)].into());
    let asked = asker.0.0.lock().join(" ");
    assert_eq!(asked, "/5 /7 /5 /7 /5 /7 /5 /7 /7 /5 /7 /5 /5 /7 /5 /7");
}

#[tokio::test(start_paused = true)]
async fn rounds_begin_apart_however_quick_the_answers_are() {
    let aim = Aim { asker: Slow::default(), replay: Replay::new("http", "h", "/5", []).unwrap() };
    for (pause, ends) in [(0, [10, 20, 30]), (15, [10, 25, 40]), (1_000, [10, 1_010, 2_010])] {
        let pause = Duration::from_millis(pause);
        let effort = Effort { rounds: 3, samples: 2, warmup: 0, pause, ..Effort::default() };
        let began = tokio::time::Instant::now();
        let mut ended = Vec::new();
        measure(std::slice::from_ref(&aim), Way::Past, &effort, |_, _| ended.push(began.elapsed().as_millis())).await;
        assert_eq!(ended, ends, "{pause:?}");
    }
}
