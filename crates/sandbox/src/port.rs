//! Candidate ports for servers that are stopped and started again on the same port.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::{BuildHasher, Hasher},
    ops::RangeInclusive,
};

/// Below these are well-known services.
const LOWEST: u16 = 10_240;
/// Fewer than this many ports would collide too often.
const ENOUGH: u16 = 1_000;

/// Ports to try, each at random.
///
/// They lie outside the range that the kernel gives to outgoing connections where that leaves room:
/// a client that keeps trying a stopped server could otherwise be given that very port as its own,
/// connect to itself and keep the server from coming back.
pub(crate) fn candidates() -> impl Iterator<Item = u16> {
    let range = outside(ephemeral());
    let span = u64::from(range.end() - range.start()) + 1;
    let start = *range.start();
    std::iter::repeat_with(move || {
        let random = RandomState::new().build_hasher().finish();
        start + u16::try_from(random % span).expect("the span is at most 65536, so the rest fits")
    })
}

fn outside(ephemeral: RangeInclusive<u16>) -> RangeInclusive<u16> {
    let (first, last) = ephemeral.into_inner();
    if first >= LOWEST + ENOUGH {
        LOWEST..=first - 1
    } else if last <= u16::MAX - ENOUGH {
        last.max(LOWEST) + 1..=u16::MAX
    } else {
        LOWEST..=u16::MAX
    }
}

fn ephemeral() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut bounds = text.split_whitespace().map_while(|word| word.parse().ok());
    match (bounds.next(), bounds.next()) {
        (Some(first), Some(last)) if first <= last => first..=last,
        _ => 32_768..=60_999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_avoid_the_ephemeral_range_where_there_is_room() {
        assert_eq!(outside(32_768..=60_999), 10_240..=32_767);
        assert_eq!(outside(1_024..=50_000), 50_001..=65_535);
        assert_eq!(outside(1_024..=2_000), 10_241..=65_535);
        assert_eq!(outside(1_024..=65_535), 10_240..=65_535);
    }

    #[test]
    fn candidates_stay_inside_and_differ() {
        let range = outside(ephemeral());
        let some: Vec<u16> = candidates().take(50).collect();
        assert!(some.iter().all(|port| range.contains(port)));
        assert!(some.iter().any(|port| *port != some[0]));
    }
}
