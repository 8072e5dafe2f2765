//! Readers: they note when they asked and what they were given.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::StatusCode;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ledger::{ITEMS, Ledger, Read},
    wire::Wire,
    world::World,
};

const READERS_A_NODE: usize = 4;

/// A small generator of repeatable choices (xorshift64*).
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or(0) % limit
    }
}

pub(super) fn start(world: &Arc<World>, ledger: &Arc<Ledger>, seed: u64) -> Vec<AbortOnDropHandle<()>> {
    let readers = (0..world.nodes.len()).flat_map(|node| (0..READERS_A_NODE).map(move |at| (node, at)));
    let reader = |(node, at): (usize, usize)| {
        let (world, ledger) = (Arc::clone(world), Arc::clone(ledger));
        let mut dice = Dice::new(seed ^ ((node * READERS_A_NODE + at) as u64 + 1));
        tokio::spawn(async move {
            let mut wire = Wire::default();
            loop {
                read(&world, &ledger, &mut dice, &mut wire, node).await;
            }
        })
    };
    readers.map(reader).map(AbortOnDropHandle::new).collect()
}

async fn read(world: &World, ledger: &Ledger, dice: &mut Dice, wire: &mut Wire, node: usize) {
    // Some rows are asked for much more often than others.
    let item = dice.below(ITEMS).min(dice.below(ITEMS));
    let began = Instant::now();
    let answer = match world.nodes[node].address().await {
        Some(at) => wire.ask(at, "GET", &format!("/item/{item}"), None).await,
        None => None,
    };
    let Some(answer) = answer.filter(|answer| answer.status == StatusCode::OK) else {
        ledger.counts().failed_reads.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(5)).await;
        return;
    };
    let version = std::str::from_utf8(&answer.body).ok().and_then(|text| text.parse().ok());
    let Some(version) = version else {
        return ledger.violate(format!("{:?} is no version", answer.body));
    };
    let cut_off = world.nodes[node].was_cut_off(began);
    ledger.judge(&Read { item, node, began, version, said: &answer.said, cut_off });
    sleep(Duration::from_millis(2)).await;
}
