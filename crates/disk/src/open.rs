use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use edge_cache_core::{BoxError, SharedClock};

use crate::{
    DiskConfig, DiskError, DiskOrder, DiskStore,
    folder::Folder,
    order::{Found, Order},
    store::Segments,
};

/// Opens the folder that `config` names, or makes it: its entries, and the order of purges that judges them. Waits for the disk, so call
/// it before serving. While the one or the other lives, nobody else can open the folder.
///
/// What is damaged, or of another version, is begun anew, empty and with a new order, and the log says so.
///
/// # Errors
/// A setting that breaks its rule, and a folder that is in use, is not ours, or cannot be written.
pub fn open(config: DiskConfig, clock: SharedClock) -> Result<(DiskStore, DiskOrder), DiskError> {
    config.validate()?;
    let fail = |source| DiskError::Io { path: config.path.clone(), source };
    let folder = Arc::new(Folder::take(&config.path)?);
    let begin_anew = |what, why: Option<&BoxError>| {
        tracing::warn!(folder = %config.path.display(), error = why.map(|why| &**why), "disk tier begun anew: {what}");
        folder.empty().map_err(fail)
    };
    let mut order = None;
    match Order::find(&folder).map_err(fail)? {
        Found::Order(found) => order = Some(*found),
        Found::Damaged(why) => begin_anew("its order of purges is damaged", Some(&why))?,
        Found::None if folder.entries().exists() => begin_anew("its order of purges is missing", None)?,
        Found::None => {}
    }
    let segments = match segments(&folder, &config) {
        Ok(segments) => segments,
        Err(why) => {
            // Not the order alone: purges of before say nothing of what an empty store is given.
            drop(order.take());
            begin_anew("its entries cannot be opened", Some(&why))?;
            segments(&folder, &config).map_err(|source| DiskError::Engine { path: config.path.clone(), source })?
        }
    };
    let order = match order {
        Some(order) => order,
        None => Order::begin(&folder).map_err(fail)?,
    };
    let order = Arc::new(order);
    let store = DiskStore::new(config, segments, Arc::clone(&order), Arc::clone(&clock));
    Ok((store, DiskOrder::new(order, clock)))
}

/// Opens the entries. The engine panics at some kinds of damage: that is an error like the others.
fn segments(folder: &Folder, config: &DiskConfig) -> Result<Segments, BoxError> {
    match catch_unwind(AssertUnwindSafe(|| Segments::open(&folder.entries(), config.capacity_bytes))) {
        Ok(opened) => opened.map_err(BoxError::from),
        Err(_) => Err("the engine panicked".into()),
    }
}
