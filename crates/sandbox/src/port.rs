//! Candidate ports for servers that are stopped and started again on the same port.

use std::{
    collections::hash_map::RandomState,
    fs::{self, File},
    hash::{BuildHasher, Hasher},
    io,
    ops::RangeInclusive,
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
    libc,
    unistd::getuid,
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

/// A port, and the one beside it, that no other sandbox of this user takes for as long as this is there: a server that is stopped for a while finds it free again.
#[derive(Debug)]
pub(crate) struct Reserved {
    _file: File,
}

impl Reserved {
    /// `None` where another one has it.
    pub(crate) fn port(port: u16) -> io::Result<Option<Self>> {
        // At one place for all of them, whatever folder each has for temporary files.
        let file = format!("/tmp/edge-cache-sandbox-{}.ports", getuid());
        let options = File::options().read(true).write(true).create(true).truncate(false).to_owned();
        let file = options.open(file)?;
        // A byte of the file for each pair, which the kernel gives back however this process ends.
        let range = libc::flock {
            l_type: libc::F_WRLCK as _,
            l_whence: libc::SEEK_SET as _,
            l_start: i64::from(port / 2),
            l_len: 1,
            l_pid: 0,
        };
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&range)) {
            Ok(_) => Ok(Some(Self { _file: file })),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
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
    fn a_pair_of_ports_is_reserved_once() {
        // Of those below, which no server gets.
        let port = u16::try_from(std::process::id() % u32::from(LOWEST)).unwrap() & !1;
        let held = Reserved::port(port).unwrap().expect("nobody has it");
        assert!(Reserved::port(port).unwrap().is_none() && Reserved::port(port | 1).unwrap().is_none());
        drop(held);
        assert!(Reserved::port(port | 1).unwrap().is_some());
    }

    #[test]
    fn candidates_stay_inside_and_differ() {
        let range = outside(ephemeral());
        let some: Vec<u16> = candidates().take(50).collect();
        assert!(some.iter().all(|port| range.contains(port)));
        assert!(some.iter().any(|port| *port != some[0]));
    }
}
