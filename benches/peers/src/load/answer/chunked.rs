use edge_cache_peers::content::ITEM_START_BYTES;

use super::Malformed;

/// A body that came in chunks.
#[derive(Debug, PartialEq)]
pub(super) struct Whole {
    pub(super) start: Vec<u8>,
    pub(super) bytes: u64,
}

/// The body that `data` is; `None` before it is complete. Trailers are not expected.
pub(super) fn whole(mut data: &[u8]) -> Result<Option<Whole>, Malformed> {
    let mut whole = Whole { start: Vec::new(), bytes: 0 };
    loop {
        let Some(line) = data.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
        let size = std::str::from_utf8(&data[..line]).map_err(|_| Malformed)?;
        let size = usize::from_str_radix(size, 16).map_err(|_| Malformed)?;
        data = &data[line + 2..];
        let Some((chunk, rest)) = data.split_at_checked(size) else { return Ok(None) };
        let Some((end, rest)) = rest.split_at_checked(2) else { return Ok(None) };
        if end != b"\r\n" {
            return Err(Malformed);
        }
        if size == 0 {
            return if rest.is_empty() { Ok(Some(whole)) } else { Err(Malformed) };
        }
        let lacks = ITEM_START_BYTES.saturating_sub(whole.start.len());
        whole.start.extend_from_slice(&chunk[..lacks.min(size)]);
        whole.bytes += size as u64;
        data = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_whole_with_its_last_chunk() {
        let body = b"5\r\nabcde\r\na\r\n0123456789\r\n0\r\n\r\n";
        for cut in 0..body.len() {
            assert_eq!(whole(&body[..cut]), Ok(None), "{cut}");
        }
        let expected = Whole { start: b"abcde0123456789".to_vec(), bytes: 15 };
        assert_eq!(whole(body), Ok(Some(expected)));
    }

    #[test]
    fn what_is_no_chunk_is_malformed() {
        assert_eq!(whole(b"5\r\nabcdefg\r\n"), Err(Malformed));
    }
}
