use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use edge_cache_core::{BoxError, SharedClock, Timestamp};

use crate::{
    DiskConfig, DiskError, DiskOrder, DiskStore,
    folder::Folder,
    order::{Found, Order},
    store::{Reserve, Segments, is_damage, is_full},
};

/// Opens the folder that `config` names, or makes it: its entries, and the order of purges that judges them. Waits for the disk, so call
/// it before serving. While the one or the other lives, nobody else can open the folder.
///
/// What is damaged, or of another version, is begun anew, empty and with a new order, and the log says so. So is what was cut off where
/// that is seen: entries that know of a later number than the order does.
///
/// # Errors
/// A setting that breaks its rule, and a folder that is in use, is not ours, or cannot be read or written: it stays as it is.
pub fn open(config: DiskConfig, clock: SharedClock) -> Result<(DiskStore, DiskOrder), DiskError> {
    config.validate()?;
    let fail = |source| DiskError::Io { path: config.path.clone(), source };
    let refused = |source| DiskError::Engine { path: config.path.clone(), source };
    let folder = Arc::new(Folder::take(&config.path)?);
    let begin_anew = |what, why: Option<&BoxError>| {
        tracing::warn!(folder = %config.path.display(), error = why.map(|why| &**why), "disk tier begun anew: {what}");
        folder.empty().map_err(fail)
    };
    let reserve = Reserve::at(folder.reserve());
    let mut order = None;
    match Order::find(&folder).map_err(fail)? {
        Found::Order(found) => order = Some(*found),
        Found::Damaged(why) => begin_anew("its order of purges is damaged", Some(&why))?,
        Found::None if folder.entries().exists() => begin_anew("its order of purges is missing", None)?,
        Found::None => {}
    }
    let segments = || segments(&folder, &config, &reserve, clock.now());
    let is_whole = |found: &Segments| order.as_ref().is_none_or(|order| order.kept() >= found.seq());
    let found = match segments() {
        Ok(found) if is_whole(&found) => Ok(found),
        Ok(_) => Err(("its order of purges was cut off", None)),
        Err(Fault::Damaged(why)) => Err(("its entries are damaged", Some(why))),
        Err(Fault::Refused(why)) => return Err(refused(why)),
    };
    let segments = match found {
        Ok(found) => found,
        Err((what, why)) => {
            // Not the one alone: entries are judged by the order that was there when they were made.
            drop(order.take());
            begin_anew(what, why.as_ref())?;
            segments().map_err(|(Fault::Damaged(why) | Fault::Refused(why))| refused(why))?
        }
    };
    let order = match order {
        Some(order) => order,
        None => Order::begin(&folder).map_err(fail)?,
    };
    let order = Arc::new(order);
    let store = DiskStore::new(config, segments, reserve, Arc::clone(&order), Arc::clone(&clock));
    Ok((store, DiskOrder::new(order, clock)))
}

/// Why the entries cannot be opened.
enum Fault {
    /// They are not what was written.
    Damaged(BoxError),
    /// The disk, or the system, refused; they may be well.
    Refused(BoxError),
}

/// Opens the entries. The engine panics at some kinds of damage.
fn segments(folder: &Folder, config: &DiskConfig, reserve: &Reserve, now: Timestamp) -> Result<Segments, Fault> {
    let open = || {
        let open = || Segments::open(&folder.entries(), config.capacity_bytes, now);
        catch_unwind(AssertUnwindSafe(open)).map_err(|_| Fault::Damaged("the engine panicked".into()))
    };
    let mut opened = open()?;
    if opened.as_ref().is_err_and(|error| is_full(error)) {
        reserve.release();
        opened = open()?;
    }
    opened.map_err(|error| if is_damage(&error) { Fault::Damaged(error.into()) } else { Fault::Refused(error.into()) })
}
