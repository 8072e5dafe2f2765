use std::fs;

use edge_cache_core::{SystemClock, TagHash, marker::PurgeKind};

use super::*;

fn folder(path: &std::path::Path) -> Arc<Folder> {
    Arc::new(Folder::take(path).unwrap())
}

fn found(folder: &Arc<Folder>) -> Order {
    match Order::find(folder).unwrap() {
        Found::Order(order) => *order,
        other => panic!("{other:?}"),
    }
}

/// The last number, and how many tags have markers.
fn stands(order: &Order) -> (u64, usize) {
    let desk = order.desk.lock();
    (desk.ledger.last(), desk.ledger.marks())
}

fn purge(order: &Order, tags: Vec<TagHash>) -> io::Result<u64> {
    let ticket = Markers::alone(1).defer(PurgeKind::Soft, &[TagHash::all()]).with_tags(tags);
    order.publish(&ticket, None, &(Arc::new(SystemClock) as SharedClock)).map(|published| published.seq)
}

#[test]
fn a_purge_that_was_cut_off_was_never_acknowledged_and_the_others_stand() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path());
    let order = Order::begin(&folder).unwrap();
    let first = purge(&order, vec![TagHash::user("a")]).unwrap();
    let whole = order.archive.lock().file.bytes();
    purge(&order, vec![TagHash::user("b")]).unwrap();
    drop(order);
    let file = fs::File::options().write(true).open(folder.order()).unwrap();
    file.set_len(whole + 20).unwrap();
    let order = found(&folder);
    assert_eq!(order.desk.lock().ledger.last(), first);
    let third = purge(&order, vec![TagHash::user("c")]).unwrap();
    drop(order);
    let order = found(&folder);
    assert_eq!(stands(&order), (third, 2));
}

#[test]
fn the_file_is_written_anew_before_it_grows_too_far() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path());
    let order = Order::begin(&folder).unwrap();
    let tags: Vec<_> = (0..1000).map(TagHash::from_bits).collect();
    for _ in 0..100 {
        purge(&order, tags.clone()).unwrap();
    }
    let bytes = fs::metadata(folder.order()).unwrap().len();
    assert_eq!(order.used_bytes(), bytes);
    assert!(bytes <= FILE_BYTES_MIN, "{bytes}");
    let last = order.desk.lock().ledger.last();
    drop(order);
    let order = found(&folder);
    assert_eq!(stands(&order), (last, 1000));
}

#[test]
fn after_a_failed_write_the_file_is_written_anew_with_all_that_was_numbered() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path());
    let order = Order::begin(&folder).unwrap();
    // A file that is open for reading cannot be written.
    let readable = OrderFile::read_only(&folder.order()).unwrap();
    let whole = std::mem::replace(&mut order.archive.lock().file, readable);
    drop(whole);
    purge(&order, vec![TagHash::user("a")]).unwrap_err();
    let second = purge(&order, vec![TagHash::user("b")]).unwrap();
    drop(order);
    let order = found(&folder);
    assert_eq!(stands(&order), (second, 2));
}

#[test]
fn a_number_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path());
    let order = Order::begin(&folder).unwrap();
    let incarnation = order.desk.lock().ledger.incarnation();
    let before = order.used_bytes();
    order.given(Fence { incarnation: incarnation ^ 1, seq: 99 }).unwrap();
    assert_eq!(order.used_bytes(), before, "of another order");
    order.given(Fence { incarnation, seq: 5 }).unwrap();
    let after = order.used_bytes();
    assert!(after > before);
    order.given(Fence { incarnation, seq: 5 }).unwrap();
    order.given(Fence { incarnation, seq: 4 }).unwrap();
    assert_eq!(order.used_bytes(), after);
    drop(order);
    assert_eq!(found(&folder).desk.lock().ledger.last(), 5);
}
