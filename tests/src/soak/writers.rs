//! Writers: each raises the versions of pitches of its own, and reads them back from any node.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    clients::{Client, door},
    judge,
    ledger::{Broken, Ledger},
    wire::Question,
    world::{ACKNOWLEDGE, NODES, Who, World},
};

const WRITERS: usize = 4;
/// A write without an answer may still be under way: the next one to its pitch waits until it cannot be, by the limits of the nodes' database together.
const REST: Duration = Duration::from_secs(35);

/// Writes every pitch once, so that each has a version.
pub(super) async fn first(world: &Arc<World>, ledger: &Arc<Ledger>) {
    let mut client = Client::new(world, ledger, 0, door(world, 0));
    for (id, owner) in &world.written {
        write(&mut client, *id, *owner).await;
    }
}

/// Starts the writers.
pub(super) fn start(world: &Arc<World>, ledger: &Arc<Ledger>, pause: Duration) -> Vec<AbortOnDropHandle<()>> {
    let writer = |nth: usize| {
        let mut client = Client::new(world, ledger, 1_000 + nth, door(world, nth));
        // What each start draws is its own.
        static STARTS: AtomicU64 = AtomicU64::new(0);
        client.dice = crate::coherence::Dice::new(7_777 + STARTS.fetch_add(1, Ordering::Relaxed));
        let own: Vec<_> = client.world.written.iter().skip(nth).step_by(WRITERS).copied().collect();
        tokio::spawn(async move {
            let mut resting = HashMap::new();
            loop {
                sleep(pause).await;
                let (id, owner) = own[client.dice.below(own.len())];
                if resting.get(&id).is_some_and(|until| *until > Instant::now()) {
                    continue;
                }
                // Any node, whichever the connection led to.
                client.home = client.dice.below(NODES);
                client.wire.close();
                if !write(&mut client, id, owner).await {
                    resting.insert(id, Instant::now() + REST);
                }
                client.home = client.dice.below(NODES);
                client.wire.close();
                client.detail("details, read back by the writer", id, Who::Nobody).await;
            }
        })
    };
    (0..WRITERS).map(writer).map(AbortOnDropHandle::new).collect()
}

/// Writes the next version; whether it is known what came of it.
async fn write(client: &mut Client, id: i64, owner: Who) -> bool {
    client.ledger.asked("writes");
    let version = client.ledger.next_version(id);
    let text = judge::text(id, version);
    let json = format!(r#"{{"title":"{text}","logline":"{text}","tagline":"{text}"}}"#);
    let question = Question {
        method: Method::PATCH,
        token: owner.token(),
        json: Some(json),
        ..Question::get(format!("/api/pitches/{id}"))
    };
    let Some(answer) = client.ask(&question).await else { return false };
    client.hold(&question, &answer, &[StatusCode::OK], |_| Ok(()));
    let (got, span) = answer;
    if got.status != StatusCode::OK {
        return false;
    }
    // Where it took longer, or Redis was gone, the answer went out before every node had heard of it.
    let strictly = span.ended - span.began < ACKNOWLEDGE && !client.ledger.was(Broken::Redis, span);
    if !strictly {
        client.ledger.happened("writes that not every node had heard of in time");
    }
    client.ledger.acknowledged(id, version, strictly, span.ended);
    true
}
