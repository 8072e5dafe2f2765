//! The soak: a long mixed load over two nodes while everything around them is broken and mended.
//!
//! Each pitch that is written bears its version in three fields. So every answer says by itself whether it is of the pitch that was asked
//! for, whole, of the user who asked, and as new as what was acknowledged before. See `docs/soak.md`.

mod clients;
mod faults;
mod judge;
mod ledger;
mod report;
mod slow;
mod watch;
mod wire;
mod world;
mod writers;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, sleep_until};

use self::{
    ledger::Ledger,
    report::{DESCRIPTORS_MORE_MAX, Descriptors},
    watch::{Watch, descriptors},
    world::World,
};
pub use self::{report::Report, watch::Memory};

/// How long clients that have left may still be connected.
const GONE: Duration = Duration::from_secs(15);

/// How long and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How long clients ask; what was begun is finished after that.
    pub duration: Duration,
    /// Clients that ask, think and ask again; beside them come writers and slow ones.
    pub clients: usize,
    /// How long each thinks, on average.
    pub think: Duration,
    /// Whether anything is broken.
    pub faults: bool,
    /// The nodes do not hear each other's purges: then the verdict must be against them.
    pub apart: bool,
}

impl Plan {
    /// The usual load for so long.
    #[must_use]
    pub const fn lasting(duration: Duration) -> Self {
        let think = Duration::from_millis(600);
        Self { duration, clients: 96, think, faults: true, apart: false }
    }

    /// Whether it is long enough to tell growth from warming up.
    pub(crate) fn measures_memory(&self) -> bool {
        self.duration >= Duration::from_secs(600)
    }
}

/// Runs the soak.
///
/// # Panics
/// When a server does not start.
pub async fn run(plan: Plan) -> Report {
    crate::allow_files();
    let world = Arc::new(World::start(plan.apart).await);
    let written: Vec<_> = world.written.iter().map(|(id, _)| *id).collect();
    let ledger = Arc::new(Ledger::new(&written));
    writers::first(&world, &ledger).await;
    let start = Instant::now();
    let watch = Watch::begin(&world);
    // Some load first, so that what is opened once is open.
    load(&world, &ledger, plan, sleep_until(start + plan.duration / 10)).await;
    let mut seen = Vec::new();
    let before = settled(&world, [usize::MAX; world::NODES]).await;
    let calm = start + plan.duration - (plan.duration / 3).min(Duration::from_secs(60));
    let pause = (plan.duration / 20).clamp(Duration::from_secs(2), Duration::from_secs(20));
    load(&world, &ledger, plan, async {
        if plan.faults {
            faults::run(&world, &ledger, calm, pause).await;
        }
        sleep_until(calm).await;
    })
    .await;
    let (sixth, end) = (plan.duration / 6, Instant::now());
    let memory = watch.memory(start + plan.duration / 3, end, sixth);
    let after = settled(&world, before).await;
    note(&mut seen, "after the faults", before, after);
    load(&world, &ledger, plan, async {
        if !plan.faults {
            return sleep_until(start + plan.duration).await;
        }
        loop {
            faults::rolling(&world, &ledger).await;
            if Instant::now() >= start + plan.duration {
                return;
            }
        }
    })
    .await;
    let last = settled(&world, before).await;
    note(&mut seen, "after the restarts", before, last);
    let exits = stop(&world, &ledger).await;
    Report::new(plan, ledger.counts(), memory, seen, exits)
}

/// Has clients ask until `until`.
async fn load(world: &Arc<World>, ledger: &Arc<Ledger>, plan: Plan, until: impl Future<Output = ()>) {
    let clients = clients::start(world, ledger, plan.clients, plan.think);
    let writers = writers::start(world, ledger, plan.think);
    let slow = slow::start(world, ledger);
    let purges = plan.faults.then(|| faults::purges(world, ledger));
    until.await;
    drop((clients, writers, slow, purges));
}

/// Descriptors of each node once its clients are gone: no more than before, or what is left after a while.
async fn settled(world: &World, before: [usize; world::NODES]) -> [usize; world::NODES] {
    let mut left = [0; world::NODES];
    for ((left, before), node) in left.iter_mut().zip(before).zip(&world.nodes) {
        let deadline = Instant::now() + if before == usize::MAX { GONE / 5 } else { GONE };
        loop {
            *left = descriptors(node.process().0);
            let waits = before == usize::MAX || *left > before + DESCRIPTORS_MORE_MAX / 2;
            if !waits || Instant::now() >= deadline {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
    }
    left
}

fn note(seen: &mut Vec<Descriptors>, when: &'static str, before: [usize; world::NODES], after: [usize; world::NODES]) {
    let both = before.into_iter().zip(after).enumerate();
    seen.extend(both.map(|(node, (before, after))| Descriptors { node, when, before, after }));
}

/// Stops the nodes; how each of their lives ended.
async fn stop(world: &World, ledger: &Ledger) -> Vec<(usize, Option<i32>)> {
    let mut exits = Vec::new();
    for (at, node) in world.nodes.iter().enumerate() {
        node.stop().await;
        for ended in node.ended.lock().expect("nobody panics with it").iter() {
            exits.push((at, ended.code));
            for line in ended.stderr.lines().filter(|line| line.contains("panicked")) {
                ledger.breaks("no node panics", line.to_owned());
            }
        }
    }
    exits
}
