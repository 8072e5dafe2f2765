//! A process that is killed while it writes.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use super::*;

/// Names the folder to the process that is to be killed.
const FOLDER: &str = "EDGE_CACHE_DISK_TEST_FOLDER";
const ROUNDS: u64 = 5;
/// A purge comes after as many entries.
const PURGE_EVERY: u64 = 50;

/// Every round writes entries of its own.
fn path(round: u64, n: u64) -> String {
    format!("/{round}/{n}")
}

/// The tag that is purged with the first half of these entries.
fn tag(round: u64, n: u64) -> String {
    format!("{round}/{}", n / PURGE_EVERY)
}

fn body(round: u64, n: u64) -> Bytes {
    let seed = round * 1_000_003 + n;
    noise(seed, (seed.wrapping_mul(0x9e37_79b9) % 65_536) as usize)
}

/// Not a test: the process that is killed. It tells what is done, line by line: `w` how many entries wait for the disk, `e` an entry, `p`
/// a purge that was acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn writer() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let (folder, round) = folder.rsplit_once(':').unwrap();
    let round: u64 = round.parse().unwrap();
    let (store, order) = open(Path::new(folder));
    let markers = order.markers();
    let say = |what: &str, n| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{what} {n}").unwrap();
        out.flush().unwrap();
    };
    for n in 0.. {
        let entry = filled(markers.start(), &[&tag(round, n)], body(round, n));
        store.put(key(&path(round, n)), entry, LONG).await.unwrap();
        say("w", store.waiting());
        say("e", n);
        if n % PURGE_EVERY == PURGE_EVERY / 2 {
            purge(&order, PurgeKind::Hard, &[&tag(round, n)], None).await;
            say("p", n);
        }
    }
}

/// How far a writer came: entries put, up to which of them purges were acknowledged, and how many were not on the disk when it last looked.
struct Came {
    entries: u64,
    purged: u64,
    waiting: u64,
}

/// Runs a writer until it has put `until` entries, and kills it in the middle of the next.
fn write_and_kill(folder: &Path, round: u64, until: u64) -> Came {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["crash::writer", "--exact", "--nocapture"])
        .env(FOLDER, format!("{}:{round}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut came = Came { entries: 0, purged: 0, waiting: 0 };
    let mut follow = |line: &str| match line.split_once(' ') {
        Some(("e", n)) => came.entries = n.parse::<u64>().unwrap() + 1,
        Some(("w", count)) => came.waiting = count.parse().unwrap(),
        Some(("p", n)) => came.purged = n.parse::<u64>().unwrap() + 1,
        _ => {}
    };
    let reached = format!("e {until}");
    for line in &mut lines {
        follow(&line);
        if line == reached {
            break;
        }
    }
    // SIGKILL.
    child.kill().unwrap();
    lines.for_each(|line| follow(&line));
    assert!(!child.wait().unwrap().success(), "it was killed, and did not end");
    assert!(came.entries > until, "the writer ended early, at {}", came.entries);
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_the_newest_at_most_and_no_purge() {
    let dir = tempfile::tempdir().unwrap();
    let mut incarnation = None;
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let Came { entries, purged, waiting } = write_and_kill(dir.path(), round, 400 + round * 77);
        all.push((entries, purged));
        let (store, order) = open(dir.path());
        let markers = order.markers();
        let now = markers.position().fence.incarnation;
        assert_eq!(*incarnation.get_or_insert(now), now, "nothing was begun anew");
        let mut found_here = 0;
        for (round, (entries, purged)) in (0..).zip(&all) {
            // One more: the kill may have come between the put and its word.
            for n in 0..=*entries {
                let Some(found) = store.get(&key(&path(round, n))).await.unwrap() else { continue };
                assert!(found.body() == &body(round, n), "another body");
                found_here += u64::from(round + 1 == all.len() as u64);
                let is_purged = n % PURGE_EVERY <= PURGE_EVERY / 2;
                let want = if is_purged && n < *purged { Verdict::Gone } else { Verdict::Live };
                let judged = verdict(&markers, &found);
                let unsaid = is_purged && n >= *purged;
                assert!(judged == want || (unsaid && judged == Verdict::Gone), "{round}/{n}: {judged:?}");
            }
        }
        println!("round {round}: {found_here} of {entries} entries, {waiting} waited, purged up to {purged}");
        assert!(found_here + waiting >= entries && found_here > 0, "{found_here} of {entries}, {waiting} waited");
    }
}
