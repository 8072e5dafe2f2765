mod chunked;

use std::fmt::{self, Display, Formatter};

use edge_cache_peers::content::ITEM_START_BYTES;

/// What an answer has to be.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) start: String,
}

/// A head as far as it is needed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// Length of the body; `None` for an answer that does not say, such as one in chunks.
    pub(crate) body: Option<u64>,
    pub(crate) chunked: bool,
    /// Length of the head itself.
    pub(crate) bytes: usize,
}

/// Where the reading of an answer is.
#[derive(Debug)]
pub(crate) enum Progress {
    More,
    /// It is complete, and as expected or not.
    Done {
        right: bool,
    },
    /// What comes is no answer that could be read to its end.
    Broken,
}

/// One answer being read.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// The beginning, where it came in pieces.
    pending: Vec<u8>,
    body: Option<Body>,
}

#[derive(Clone, Copy, Debug)]
struct Body {
    left: u64,
    right: bool,
}

impl Reading {
    /// Takes what was read.
    pub(crate) fn feed(&mut self, data: &[u8], expected: &Expected) -> Progress {
        let body = match self.body {
            Some(body) => body.less(data.len()),
            None if self.pending.is_empty() => match begin(data, expected) {
                Begun::Body(body) => Some(body),
                Begun::Short => {
                    self.pending.extend_from_slice(data);
                    return Progress::More;
                }
                Begun::Broken => None,
            },
            None => {
                self.pending.extend_from_slice(data);
                match begin(&self.pending, expected) {
                    Begun::Body(body) => Some(body),
                    Begun::Short => return Progress::More,
                    Begun::Broken => None,
                }
            }
        };
        match body {
            None => Progress::Broken,
            Some(Body { left: 0, right }) => {
                self.pending.clear();
                self.body = None;
                Progress::Done { right }
            }
            more => {
                self.body = more;
                Progress::More
            }
        }
    }
}

impl Display for Reading {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.body {
            Some(body) => write!(f, "{} bytes before the end of an answer", body.left),
            None => write!(f, "with {} bytes of a head before", self.pending.len()),
        }
    }
}

impl Body {
    /// `None` for more than the body: nothing was asked for that could follow.
    fn less(self, bytes: usize) -> Option<Self> {
        Some(Self { left: self.left.checked_sub(bytes as u64)?, ..self })
    }
}

enum Begun {
    /// The head is there, and enough of the body.
    Body(Body),
    Short,
    Broken,
}

fn begin(data: &[u8], expected: &Expected) -> Begun {
    let head = match head(data) {
        Ok(Some(head)) => head,
        Ok(None) => return Begun::Short,
        Err(Malformed) => return Begun::Broken,
    };
    let start = &data[head.bytes..];
    if head.chunked {
        return match chunked::whole(start) {
            Ok(None) => Begun::Short,
            Ok(Some(whole)) => {
                let body = (whole.bytes, whole.start.as_slice());
                let right = head.status == expected.status && body == (expected.bytes, expected.start.as_bytes());
                Begun::Body(Body { left: 0, right })
            }
            Err(Malformed) => Begun::Broken,
        };
    }
    let Some(length) = head.body else { return Begun::Broken };
    if start.len() < ITEM_START_BYTES && (start.len() as u64) < length {
        return Begun::Short;
    }
    let right = head.status == expected.status
        && length == expected.bytes
        && start.get(..ITEM_START_BYTES) == Some(expected.start.as_bytes());
    Body { left: length, right }.less(start.len()).map_or(Begun::Broken, Begun::Body)
}

#[derive(Debug, PartialEq)]
pub(crate) struct Malformed;

/// The head that `data` begins with; `None` before it is complete.
pub(crate) fn head(data: &[u8]) -> Result<Option<Head>, Malformed> {
    let Some(end) = data.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&data[..end]).map_err(|_| Malformed)?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let (mut body, mut chunked) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            body = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    Ok(Some(Head { status: status.ok_or(Malformed)?, body, chunked, bytes: end + 4 }))
}

#[cfg(test)]
mod tests {
    use edge_cache_peers::content::item_start;

    use super::*;

    fn expected() -> Expected {
        Expected { status: 200, bytes: 24, start: item_start(7) }
    }

    fn answer(number: u64) -> String {
        format!("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 24\r\n\r\n{}12345", item_start(number))
    }

    #[test]
    fn an_answer_in_any_pieces_is_right() {
        let answer = answer(7);
        for cut in 1..answer.len() {
            let mut reading = Reading::default();
            assert!(matches!(reading.feed(&answer.as_bytes()[..cut], &expected()), Progress::More), "{cut}");
            let rest = reading.feed(&answer.as_bytes()[cut..], &expected());
            assert!(matches!(rest, Progress::Done { right: true }), "{cut}: {rest:?}");
        }
    }

    #[test]
    fn an_answer_in_chunks_is_right_when_all_of_it_is() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = format!("{head}18\r\n{}12345\r\n0\r\n\r\n", item_start(7));
        let cut = answer.len() - 2;
        let mut reading = Reading::default();
        assert!(matches!(reading.feed(&answer.as_bytes()[..cut], &expected()), Progress::More));
        assert!(matches!(reading.feed(&answer.as_bytes()[cut..], &expected()), Progress::Done { right: true }));
    }

    #[test]
    fn the_answer_to_another_request_is_wrong() {
        let progress = Reading::default().feed(answer(8).as_bytes(), &expected());
        assert!(matches!(progress, Progress::Done { right: false }), "{progress:?}");
    }

    #[test]
    fn what_goes_on_after_its_end_is_broken() {
        let progress = Reading::default().feed((answer(7) + "!").as_bytes(), &expected());
        assert!(matches!(progress, Progress::Broken), "{progress:?}");
    }
}
