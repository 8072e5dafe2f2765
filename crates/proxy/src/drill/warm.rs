//! What is asked in a drill, and asking it once before the load.

use std::collections::HashSet;
use std::sync::Arc;

use anyhow::anyhow;
use futures_util::future::try_join_all;
use tokio::time::timeout;

use crate::load::catalogue::Catalogue;
use crate::load::client::{Client, PATIENCE};
use crate::load::message::{Messages, is_right};
use crate::load::plan::{Call, Plan};
use crate::load::read::{Key, Read};
use crate::load::server::Server;

/// Different questions where their number is bounded.
const QUESTIONS: usize = 200;
/// Questions asked at once before the load: fewer than the pool has connections.
const AT_ONCE: usize = 4;

/// Bounds the questions: a read of another one becomes one of the first reads of those, so that popular ones stay popular. `keep` are left
/// as they are.
pub(crate) fn bound(plan: &mut Plan, catalogue: &Catalogue, keep: impl Fn(Read) -> bool) {
    let mut keys: HashSet<Key> = HashSet::new();
    let mut first = Vec::new();
    for shot in &plan.shots {
        let Call::Read(read) = shot.call else { continue };
        if keys.len() == QUESTIONS {
            break;
        }
        if read.known() {
            keys.insert(read.key(catalogue));
            first.push(read);
        }
    }
    let mut instead = first.iter().cycle();
    for shot in &mut plan.shots {
        let Call::Read(read) = shot.call else { continue };
        let fine = read.known() && keys.contains(&read.key(catalogue));
        if !fine && !keep(read) {
            let Some(&read) = instead.next() else { return };
            shot.call = Call::Read(read);
        }
    }
}

/// One read for every question that others ask too.
fn questions(plan: &Plan, catalogue: &Catalogue) -> Vec<Read> {
    let mut keys = HashSet::new();
    let reads = plan.shots.iter().filter_map(|shot| match shot.call {
        Call::Read(read) if read.known() => Some(read),
        Call::Read(_) | Call::Write(_) => None,
    });
    reads.filter(|read| keys.insert(read.key(catalogue))).collect()
}

/// Asks every question of the plan once, so that its answer is stored; how many those are.
///
/// # Errors
/// When one is not answered rightly: what was never there cannot be promised.
pub(crate) async fn fill(server: &Server, plan: &Plan, catalogue: &Arc<Catalogue>) -> anyhow::Result<usize> {
    let questions = questions(plan, catalogue);
    let messages = Messages::new(catalogue, server.address);
    let share = questions.len().div_ceil(AT_ONCE).max(1);
    try_join_all(questions.chunks(share).map(|reads| ask(server, &messages, reads))).await?;
    Ok(questions.len())
}

async fn ask(server: &Server, messages: &Messages<'_>, reads: &[Read]) -> anyhow::Result<()> {
    let mut client = Client::new(server.address);
    for &read in reads {
        let call = Call::Read(read);
        let Some(request) = messages.request(call) else { continue };
        let wrong = |why: String| anyhow!("{read:?} is not answered before the fault: {why}");
        let answer = timeout(PATIENCE, client.send(request, false)).await;
        let answer = answer.map_err(|_| wrong("timeout".to_owned()))?.map_err(|failure| wrong(failure.to_string()))?;
        if !is_right(call, answer.status()) {
            return Err(wrong(answer.status().to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::args::{Args, Scenario};
    use super::*;

    fn drawn() -> (Plan, Catalogue) {
        let catalogue = Catalogue::made_up(5_000);
        (Plan::new(&Args::made_up(Scenario::OriginDown).offer(30), &catalogue), catalogue)
    }

    #[test]
    fn bounded_questions_are_known_ones_at_the_same_moments() {
        let (mut plan, catalogue) = drawn();
        let starts: Vec<u64> = plan.shots.iter().map(|shot| shot.at_us).collect();
        assert!(questions(&plan, &catalogue).len() > QUESTIONS);
        bound(&mut plan, &catalogue, |_| false);
        assert_eq!(questions(&plan, &catalogue).len(), QUESTIONS);
        assert!(plan.shots.iter().all(|shot| matches!(shot.call, Call::Read(read) if read.known())));
        assert!(plan.shots.iter().map(|shot| shot.at_us).eq(starts));
    }

    #[test]
    fn what_is_kept_stays_beside_them() {
        let (mut plan, catalogue) = drawn();
        let once = |plan: &Plan| {
            plan.shots.iter().filter(|shot| matches!(shot.call, Call::Read(Read::SearchOnce { .. }))).count()
        };
        let before = once(&plan);
        bound(&mut plan, &catalogue, |read| matches!(read, Read::SearchOnce { .. }));
        assert!(before > 0 && once(&plan) == before);
    }
}
