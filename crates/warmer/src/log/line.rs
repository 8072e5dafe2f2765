/// What counts of one line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) status: u16,
}

/// `HOST IDENT USER [TIME] "METHOD TARGET VERSION" STATUS BYTES`, and whatever follows.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let line = std::str::from_utf8(line).ok()?;
    // A user's name can be anything, but for what servers escape.
    let (_, rest) = line.split_once(" [")?;
    let (_, rest) = rest.split_once("] \"")?;
    let (request, rest) = quoted(rest)?;
    let mut words = request.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/") || method.is_empty() || target.is_empty() {
        return None;
    }
    let mut rest = rest.split_ascii_whitespace();
    let status = rest.next().filter(|status| status.len() == 3)?.parse().ok()?;
    let size = rest.next()?;
    let is_size = size == "-" || size.bytes().all(|byte| byte.is_ascii_digit());
    is_size.then_some(Line { method, target, status })
}

/// The text up to the next quote that is not escaped, and what is behind that.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return Some((&text[..at], &text[at + 1..])),
            _ => escaped = false,
        }
    }
    None
}
