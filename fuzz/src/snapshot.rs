use bytes::Bytes;
use edge_cache::warm::reread_snapshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::wire::{holds, same, sign};

/// Magic, version, and whether the node was alone.
const HEAD: usize = 9;
const CHECKSUM: usize = 8;
/// In place of hits: the end.
const END: u32 = u32::MAX;
/// Most that what is read may weigh.
const ROOM: u64 = 1 << 20;

/// The input is a snapshot; its checksum and those of its frames are put right, or nothing behind them would ever be reached.
///
/// What is read weighs no more than memory takes, and comes back when it is written again. A bit that changes makes it nothing.
pub fn check(data: &[u8]) {
    let _as_it_is = reread_snapshot(&Bytes::copy_from_slice(data), ROOM);
    let mut all = data.to_vec();
    sign_all(&mut all);
    let all = Bytes::from(all);
    let Some((entries, written)) = reread_snapshot(&all, ROOM) else { return };
    let weight: usize = entries.iter().map(|(key, entry)| entry.weight_bytes(key.weight_bytes())).sum();
    assert!(weight as u64 <= ROOM, "{weight} bytes");
    for (key, entry) in &entries {
        holds(key, entry, all.len());
    }
    let (again, rewritten) = reread_snapshot(&written, ROOM).expect("it is ours");
    assert_eq!(rewritten, written, "writing is stable");
    assert!(again.len() == entries.len(), "nothing is lost");
    assert!(again.iter().zip(&entries).all(|(a, b)| a.0 == b.0 && same(&a.1, &b.1)), "nor changed");
    for at in [6, HEAD, all.len() / 2, all.len() - 1] {
        let mut damaged = all.to_vec();
        damaged[at] ^= 1;
        assert!(reread_snapshot(&damaged.into(), ROOM).is_none(), "a bit of byte {at}");
    }
    for cut in [0, 6, HEAD, all.len() / 2, all.len() - 1] {
        assert!(reread_snapshot(&all.slice(..cut), ROOM).is_none(), "cut at {cut}");
    }
    let small = reread_snapshot(&all, 0).expect("room is no matter of what is right");
    assert!(small.0.is_empty());
}

fn sign_all(all: &mut [u8]) {
    let Some(signed) = all.len().checked_sub(CHECKSUM) else { return };
    let mut at = HEAD;
    while let Some(lengths) = all[..signed].get(at..at + 8) {
        let hits = u32::from_le_bytes([lengths[0], lengths[1], lengths[2], lengths[3]]);
        let len = u32::from_le_bytes([lengths[4], lengths[5], lengths[6], lengths[7]]) as usize;
        at += 8;
        if hits == END || len > signed - at {
            break;
        }
        sign(&mut all[at..at + len]);
        at += len;
    }
    let checksum = xxh3_64(&all[..signed]);
    all[signed..].copy_from_slice(&checksum.to_le_bytes());
}
