//! The PROXY header, by which a proxy in front says for whom it connects (HAProxy's PROXY protocol, versions 1 and 2).

use std::{io, net::IpAddr};

use ppp::{HeaderResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How a header of version 2 begins.
const SIGNATURE: &[u8] = v2::PROTOCOL_PREFIX;
/// Longest header of version 1, with its end.
const V1_MAX: usize = 107;
/// Bytes of version 2 before what their last two count.
const V2_FIXED: usize = 16;
/// Longest rest of version 2 that is read; addresses take 216 bytes at most.
const V2_REST_MAX: usize = 2048;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// The proxy speaks for itself: a check of its own, or there is no header.
    Itself,
    /// It speaks for a client with this address.
    For(IpAddr),
    /// It speaks for somebody of whom it says nothing.
    Unknown,
}

/// Reads the header and not a byte more.
///
/// # Errors
/// There is no header, or it is none that can be read.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Said> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await?;
    if header == SIGNATURE {
        header.resize(V2_FIXED, 0);
        stream.read_exact(&mut header[SIGNATURE.len()..]).await?;
        let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
        if rest > V2_REST_MAX {
            return Err(invalid("it is too long"));
        }
        header.resize(V2_FIXED + rest, 0);
        stream.read_exact(&mut header[V2_FIXED..]).await?;
    } else {
        while !header.ends_with(b"\r\n") {
            if header.len() >= V1_MAX || !b"PROXY ".starts_with(&header[..6]) {
                return Err(invalid("there is none"));
            }
            header.push(stream.read_u8().await?);
        }
    }
    address(&header)
}

fn address(header: &[u8]) -> io::Result<Said> {
    let address = match HeaderResult::parse(header) {
        HeaderResult::V1(Ok(header)) => match header.addresses {
            v1::Addresses::Tcp4(of) => Some(IpAddr::from(of.source_address)),
            v1::Addresses::Tcp6(of) => Some(IpAddr::from(of.source_address)),
            v1::Addresses::Unknown => None,
        },
        // A health check of the proxy's own: it speaks for itself.
        HeaderResult::V2(Ok(header)) if header.command == v2::Command::Local => return Ok(Said::Itself),
        HeaderResult::V2(Ok(header)) => match header.addresses {
            v2::Addresses::IPv4(of) => Some(IpAddr::from(of.source_address)),
            v2::Addresses::IPv6(of) => Some(IpAddr::from(of.source_address)),
            v2::Addresses::Unspecified | v2::Addresses::Unix(_) => None,
        },
        HeaderResult::V1(Err(error)) => return Err(invalid(&error.to_string())),
        HeaderResult::V2(Err(error)) => return Err(invalid(&error.to_string())),
    };
    Ok(address.map_or(Said::Unknown, |address| Said::For(address.to_canonical())))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no PROXY header: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_from(mut bytes: &[u8]) -> (Result<Said, io::ErrorKind>, &[u8]) {
        let read = read(&mut bytes).await.map_err(|error| error.kind());
        (read, bytes)
    }

    fn v2(command: u8, family: u8, addresses: &[u8], further: &[u8]) -> Vec<u8> {
        let len = u16::try_from(addresses.len() + further.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family], &len, addresses, further].concat()
    }

    #[tokio::test]
    async fn the_header_is_read_to_its_end_and_no_further() {
        let v4 = [192, 0, 2, 1, 192, 0, 2, 2, 0x12, 0x34, 0, 80];
        let v6: Vec<u8> = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]; 2].concat();
        let v6 = [&v6[..], &[1, 2, 3, 4]].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\r\n".to_vec(), Some("192.0.2.1")),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 4660 80\r\n".to_vec(), Some("2001:db8::1")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4, &[]), Some("192.0.2.1")),
            (v2(0x21, 0x11, &v4, &[4, 0, 1, 0]), Some("192.0.2.1")),
            (v2(0x21, 0x21, &v6, &[]), Some("2001:db8::1")),
            (v2(0x21, 0x00, &[], &[]), None),
        ] {
            let sent = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (read, rest) = read_from(&sent).await;
            let expected = expected.map_or(Said::Unknown, |address| Said::For(address.parse().unwrap()));
            assert_eq!((read, rest), (Ok(expected), &b"GET / HTTP/1.1\r\n"[..]), "{header:?}");
        }
        assert_eq!(read_from(&v2(0x20, 0x00, &[], &[])).await.0, Ok(Said::Itself));
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let endless = format!("PROXY TCP4 {}", "1".repeat(200));
        for wrong in [
            &b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"[..],
            b"PROXY TCP4 192.0.2.1\r\n",
            b"PROXY TCP4 a b c d\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 4660 80\n\n\n",
            endless.as_bytes(),
            &v2(0x31, 0x11, &[0; 12], &[]),
            &v2(0x21, 0x11, &[0; 4], &[]),
            &[SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(),
            b"",
        ] {
            assert!(read_from(wrong).await.0.is_err(), "{wrong:?}");
        }
    }
}
