//! A Redis in a few lines: numbers purges, keeps markers and entries, and loses them when it is told to. What it does is what the scripts
//! of the `redis` crate do; a rule can be left out, to see that something breaks without it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
};

use edge_cache_core::{
    CacheKey, Entry, TagHash,
    marker::{News, PurgeKind, Record, Start},
};
use tokio::sync::broadcast;

/// What holds in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// Nothing.
    Nothing,
    /// A purge is acknowledged as soon as it has its number.
    Waiting,
    /// A silent node is waited for half as long as its lease lasts.
    FullLease,
    /// A lease begins with the answer, and not with the question.
    LeaseFromAsking,
    /// A node serves without a lease.
    Lease,
    /// An announcement counts as the next one, whatever came before it.
    GapCheck,
    /// A Redis that lost its data goes on in the same order.
    Incarnation,
    /// After a loss nobody waits for the leases of before.
    Grace,
    /// Forgetting markers raises no floor.
    Floor,
    /// A copy from the shared tier is stored as if it had been read just now.
    FenceOfCopy,
}

type Marks = BTreeMap<(u8, u64), u64>;

pub(crate) struct Hub {
    pub(crate) left_out: LeftOut,
    /// Markers that are kept: few, so that some are forgotten.
    markers_max: usize,
    inner: Mutex<Inner>,
    announce: broadcast::Sender<Record>,
}

struct Inner {
    incarnation: u128,
    base: u64,
    seq: u64,
    floor: u64,
    settled: bool,
    marks: Marks,
    nodes: HashMap<usize, (u64, u64)>,
    spoken: u64,
    entries: HashMap<CacheKey, Entry>,
}

/// A purge with its number.
pub(crate) struct Numbered {
    pub(crate) incarnation: u128,
    pub(crate) seq: u64,
    pub(crate) settled: bool,
    pub(crate) nodes: HashMap<usize, (u64, u64)>,
}

impl Hub {
    pub(crate) fn new(left_out: LeftOut, markers_max: usize) -> Self {
        let inner = Inner {
            incarnation: 1,
            base: 1,
            seq: 1,
            floor: 0,
            settled: true,
            marks: Marks::new(),
            nodes: HashMap::new(),
            spoken: 0,
            entries: HashMap::new(),
        };
        Self { left_out, markers_max, inner: Mutex::new(inner), announce: broadcast::channel(1024).0 }
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Record> {
        self.announce.subscribe()
    }

    /// Everything is lost, as by FLUSHALL.
    pub(crate) fn lose(&self) {
        let mut inner = self.inner.lock().unwrap();
        inner.marks.clear();
        inner.nodes.clear();
        inner.entries.clear();
        inner.floor = 0;
        if self.left_out != LeftOut::Incarnation {
            inner.incarnation += 1;
            inner.seq += 1;
            inner.base = inner.seq;
            inner.settled = self.left_out == LeftOut::Grace;
        }
    }

    /// News above `synced` for a node that follows `follows`; it confirms that number.
    pub(crate) fn sync(&self, node: usize, follows: u128, synced: u64, settled: bool) -> News {
        let mut inner = self.inner.lock().unwrap();
        let same = follows == inner.incarnation;
        inner.settled |= settled && same;
        // Of all together: a count of its own would begin anew after a node was struck off.
        inner.spoken += 1;
        let spoken = inner.spoken;
        inner.nodes.insert(node, (if same { synced } else { 0 }, spoken));
        let cursor = if same { synced } else { 0 };
        let markers = inner.marks.iter().filter(|(_, seq)| **seq > cursor);
        let markers = markers.map(|((kind, tag), seq)| (kind_of(*kind), TagHash::from_bits(*tag), *seq)).collect();
        News {
            incarnation: inner.incarnation,
            base: inner.base,
            seq: inner.seq,
            floor: inner.floor,
            markers,
            strict: true,
        }
    }

    /// Numbers a purge; `None` for a node that follows another order.
    pub(crate) fn purge(&self, follows: u128, kind: PurgeKind, tags: &[TagHash]) -> Option<Numbered> {
        let mut inner = self.inner.lock().unwrap();
        if follows != inner.incarnation {
            return None;
        }
        let prev = inner.seq;
        inner.seq += 1;
        let seq = inner.seq;
        for tag in tags {
            inner.marks.insert((u8::from(kind == PurgeKind::Hard), tag.bits()), seq);
        }
        while inner.marks.len() > self.markers_max {
            let (oldest, seq) = inner.marks.iter().min_by_key(|(_, seq)| **seq).map(|(key, seq)| (*key, *seq)).unwrap();
            inner.marks.remove(&oldest);
            if self.left_out != LeftOut::Floor {
                inner.floor = inner.floor.max(seq);
            }
        }
        let prev = if self.left_out == LeftOut::GapCheck { 0 } else { prev };
        let record = Record { incarnation: inner.incarnation, prev, seq, kind, tags: tags.to_vec() };
        // Nobody may be listening.
        drop(self.announce.send(record));
        let (incarnation, settled, nodes) = (inner.incarnation, inner.settled, inner.nodes.clone());
        Some(Numbered { incarnation, seq, settled, nodes })
    }

    /// What the nodes have confirmed, if the purge is still known.
    pub(crate) fn check(&self, incarnation: u128, seq: u64) -> Option<HashMap<usize, (u64, u64)>> {
        let inner = self.inner.lock().unwrap();
        (inner.incarnation == incarnation && inner.seq >= seq).then(|| inner.nodes.clone())
    }

    pub(crate) fn strike(&self, node: usize, spoken: u64) {
        let mut inner = self.inner.lock().unwrap();
        if inner.nodes.get(&node).is_some_and(|(_, now)| *now == spoken) {
            inner.nodes.remove(&node);
        }
    }

    pub(crate) fn get(&self, key: &CacheKey) -> Option<Entry> {
        let inner = self.inner.lock().unwrap();
        let entry = inner.entries.get(key)?;
        // As it comes off the wire.
        Some(Entry::new(entry.head().clone(), entry.body().clone(), Start::promoted(entry.head().fence)))
    }

    pub(crate) fn put(&self, key: CacheKey, entry: Entry) {
        self.inner.lock().unwrap().entries.insert(key, entry);
    }

    pub(crate) fn remove(&self, key: &CacheKey) {
        self.inner.lock().unwrap().entries.remove(key);
    }
}

const fn kind_of(hard: u8) -> PurgeKind {
    if hard == 1 { PurgeKind::Hard } else { PurgeKind::Soft }
}
