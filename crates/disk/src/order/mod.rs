//! The order of purges of a node that has a disk and no Redis: it outlives the process.
//!
//! It is a file of its own beside the entries, because of what each may lose: a damaged part of the entries is a miss, but of the order
//! nothing may be missing that was acknowledged. If something in the file is wrong, a new order begins, and by its incarnation all entries
//! of the old one are dead.
//!
//! A record that is cut off at the end is what a crash leaves of a purge that was not acknowledged yet, so it is dropped. By the file
//! alone it cannot be told from an end that was lost in another way, with purges that were acknowledged. So the tables of entries bear the
//! highest number that the file held when they were written, and an order that does not know it is no order either. What is not seen is
//! the loss of an end that no table came after.

mod file;
mod ledger;
mod record;
#[cfg(test)]
mod tests;

use std::{future::Future, io, sync::Arc, time::Duration};

use edge_cache_core::{
    BoxError, SharedClock,
    marker::{Fence, Guard, Markers, Published, Ticket},
};
use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::timeout};

use self::{file::OrderFile, ledger::Ledger, record::Record};
use crate::{DiskError, folder::Folder};

/// Markers kept; beyond them the older half is dropped.
const MARKS_MAX: usize = 1 << 18;
/// The file is written anew when it is this large, and twice as large as a new one would be.
const FILE_BYTES_MIN: u64 = 256 << 10;
/// Purges that are written down at once; more wait.
const PUBLISHING_MAX: usize = 64;
/// Longest wait until a purge is on the disk. Long, because nobody is served meanwhile what it purges.
const PUBLISH_MAX: Duration = Duration::from_secs(5);

/// The order of purges, kept on the disk. Cheap to clone.
///
/// What was published here is known to every later run that opens the folder.
#[derive(Clone, Debug)]
pub struct DiskOrder {
    order: Arc<Order>,
    markers: Arc<Markers>,
    clock: SharedClock,
    publishing: Arc<Semaphore>,
}

impl DiskOrder {
    pub(crate) fn new(order: Arc<Order>, clock: SharedClock) -> Self {
        let markers = Arc::new(order.markers());
        Self { order, markers, clock, publishing: Arc::new(Semaphore::new(PUBLISHING_MAX)) }
    }

    /// The markers of this node: alone, and knowing every purge of the runs before. Give them to every tier.
    #[must_use]
    pub fn markers(&self) -> Arc<Markers> {
        Arc::clone(&self.markers)
    }

    /// Numbers the purges of `ticket` and writes them down, and looks whether something that `guard` names was purged since. When it
    /// returns they are on the disk; [settle](Markers::settle) the ticket then. Purges that come together are written together.
    ///
    /// # Errors
    /// [`DiskError::NotKept`]: a later run may not know of the purge. On this node the ticket keeps it.
    pub fn publish(
        &self,
        ticket: &Ticket,
        guard: Option<&Guard>,
    ) -> impl Future<Output = Result<Published, DiskError>> + Send + use<> {
        let (this, ticket, guard) = (self.clone(), ticket.clone(), guard.cloned());
        async move {
            let not_kept = |source: BoxError| DiskError::NotKept { source };
            let work = async {
                let place = Arc::clone(&this.publishing).acquire_owned().await?;
                let publish = move || {
                    // Held to the end, even if nobody waits for it any more.
                    let _place = place;
                    this.order.publish(&ticket, guard.as_ref(), &this.clock)
                };
                Ok::<_, BoxError>(tokio::task::spawn_blocking(publish).await??)
            };
            match timeout(PUBLISH_MAX, work).await {
                Ok(published) => published.map_err(not_kept),
                Err(elapsed) => Err(not_kept(elapsed.into())),
            }
        }
    }

    /// Bytes of the file.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.order.used_bytes()
    }
}

/// The order and its file.
#[derive(Debug)]
pub(crate) struct Order {
    desk: Mutex<Desk>,
    /// Taken before `desk`, never while that is held.
    archive: Mutex<Archive>,
}

/// Where purges are numbered.
#[derive(Debug)]
struct Desk {
    ledger: Ledger,
    /// Records that are not in the file yet.
    unwritten: Vec<u8>,
    /// Counts records.
    steps: u64,
}

impl Desk {
    fn note(&mut self, record: &Record) -> u64 {
        record.put(&mut self.unwritten);
        self.steps += 1;
        self.steps
    }
}

/// Where they are kept.
#[derive(Debug)]
struct Archive {
    file: OrderFile,
    /// The step up to which everything is on the disk.
    steps: u64,
    /// The highest number that is known on the disk to have been given.
    last: u64,
    /// Whether something went wrong since the file was last written anew.
    is_broken: bool,
    _folder: Arc<Folder>,
}

/// What was found in the place of an order.
#[derive(Debug)]
pub(crate) enum Found {
    /// An order, and what goes on with it.
    Order(Box<Order>),
    /// Nothing.
    None,
    /// Something that is no order of ours.
    Damaged(BoxError),
}

impl Order {
    /// Looks for an order in `folder`.
    pub(crate) fn find(folder: &Arc<Folder>) -> io::Result<Found> {
        let path = folder.order();
        let Some(bytes) = OrderFile::read(&path)? else { return Ok(Found::None) };
        match Ledger::read(&bytes, MARKS_MAX) {
            Ok((ledger, whole)) => {
                let file = OrderFile::resume(&path, whole)?;
                Ok(Found::Order(Box::new(Self::over(ledger, file, folder))))
            }
            Err(damaged) => Ok(Found::Damaged(damaged.into())),
        }
    }

    /// A new order in `folder`.
    pub(crate) fn begin(folder: &Arc<Folder>) -> io::Result<Self> {
        let ledger = Ledger::new(rand::random::<u128>().max(1), MARKS_MAX);
        let file = OrderFile::replace(&folder.order(), &ledger.snapshot())?;
        Ok(Self::over(ledger, file, folder))
    }

    fn over(ledger: Ledger, file: OrderFile, folder: &Arc<Folder>) -> Self {
        let last = ledger.last();
        let desk = Mutex::new(Desk { ledger, unwritten: Vec::new(), steps: 0 });
        let archive = Archive { file, steps: 0, last, is_broken: false, _folder: Arc::clone(folder) };
        Self { desk, archive: Mutex::new(archive) }
    }

    fn markers(&self) -> Markers {
        let news = self.desk.lock().ledger.news();
        let markers = Markers::alone(news.incarnation);
        markers.apply(&news, &markers.position());
        markers
    }

    fn publish(&self, ticket: &Ticket, guard: Option<&Guard>, clock: &SharedClock) -> io::Result<Published> {
        let (published, step) = {
            let mut desk = self.desk.lock();
            // Under the lock that numbers purges: none comes between this look and this purge.
            let guard_holds = guard.is_some_and(|guard| desk.ledger.holds(guard));
            let seq = desk.ledger.next(clock.now());
            desk.ledger.raise(ticket.kind, &ticket.tags, seq);
            let step = desk.note(&Record::Purge { kind: ticket.kind, seq, tags: ticket.tags.clone() });
            (Published { incarnation: desk.ledger.incarnation(), seq, guard_holds }, step)
        };
        self.keep(step)?;
        Ok(published)
    }

    /// Sees to it that every later run of this order begins at `fence` at least.
    pub(crate) fn given(&self, fence: Fence) -> io::Result<()> {
        let seq = fence.seq;
        let step = {
            let mut desk = self.desk.lock();
            if fence.incarnation != desk.ledger.incarnation() {
                // Entries of another order are dead here.
                return Ok(());
            }
            if desk.ledger.given(seq) { desk.note(&Record::Number(seq)) } else { desk.steps }
        };
        if self.archive.lock().last >= seq { Ok(()) } else { self.keep(step) }
    }

    /// Returns when everything up to `step` is on the disk. Who comes while another writes finds its own written, or writes for all
    /// who came with it.
    fn keep(&self, step: u64) -> io::Result<()> {
        let mut archive = self.archive.lock();
        if archive.steps >= step {
            return Ok(());
        }
        let (bytes, anew, steps, last) = {
            let mut desk = self.desk.lock();
            let trimmed = desk.ledger.trim();
            let unwritten = std::mem::take(&mut desk.unwritten);
            let limit = FILE_BYTES_MIN.max(2 * (24 * desk.ledger.marks() as u64));
            let anew = archive.is_broken || trimmed || archive.file.bytes() + unwritten.len() as u64 > limit;
            let bytes = if anew { desk.ledger.snapshot() } else { unwritten };
            (bytes, anew, desk.steps, desk.ledger.last())
        };
        // Until it is known to be well, whatever of `bytes` is lost is in the ledger, and so in the next file.
        archive.is_broken = true;
        match anew {
            true => archive.file.renew(&bytes)?,
            false => archive.file.append(&bytes)?,
        }
        archive.is_broken = false;
        (archive.steps, archive.last) = (steps, last);
        Ok(())
    }

    /// The highest number that is known on the disk to have been given.
    pub(crate) fn kept(&self) -> u64 {
        self.archive.lock().last
    }

    fn used_bytes(&self) -> u64 {
        self.archive.lock().file.bytes()
    }
}
