//! Headers as one block of bytes.

mod block;
mod names;

use std::{ops::Range, sync::Arc};

use bytes::{BufMut, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

pub use self::{block::HeadError, names::Names};

/// Headers as one block of bytes, the form in which entries hold them.
///
/// A `HeaderMap` costs 1.85 × its payload at 1 KiB and may pin the buffer it was read from; this block is copied once, and costs two bytes
/// a header, less than the names that it need not spell. Layout, repeated: the number of the name, or 0 and the name; the value.
/// Before each text comes its length: one byte, or 255 and four bytes.
///
/// It is for this process only: what leaves it is [another block](Self::put_block), in which every name is spelt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedHeaders(Arc<[u8]>);

const LONG: u8 = u8::MAX;
const WHOLE: &str = "headers were packed whole";

impl PackedHeaders {
    /// Packs `headers`, keeping order and repeated lines.
    #[must_use]
    pub fn pack(headers: &HeaderMap) -> Self {
        let mut block = Vec::with_capacity(headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum());
        for (name, value) in headers {
            let name = name.as_str().as_bytes();
            put_line(&mut block, names::number(name), name, value.as_bytes());
        }
        Self(block.into())
    }

    /// Bytes of the block.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.0.len()
    }

    /// Unpacks into `map`, appending.
    pub fn unpack_into(&self, map: &mut HeaderMap) {
        if self.0.is_empty() {
            return;
        }
        // The values are slices of the block: no copy, and each map has a count of references to it of its own.
        let block = Bytes::from_owner(Arc::clone(&self.0));
        for Line { name, value } in self.lines() {
            let name = match name {
                Name::Known(_, name) => name.clone(),
                // Every name is of this rule; `from_bytes` knows fewer (a quotation mark is none of its).
                Name::Spelt(name) => HeaderName::from_lowercase(name).expect(WHOLE),
            };
            map.append(name, HeaderValue::from_maybe_shared(block.slice(value)).expect(WHOLE));
        }
    }

    /// Unpacks into a new map with room for a few headers more.
    #[must_use]
    pub fn unpack(&self) -> HeaderMap {
        let mut map = HeaderMap::with_capacity(12);
        self.unpack_into(&mut map);
        map
    }

    /// The first value of `name`, without unpacking the rest.
    #[must_use]
    pub fn get(&self, name: &HeaderName) -> Option<&[u8]> {
        let mut lines = self.lines();
        let value = match names::number(name.as_str().as_bytes()) {
            Some(wanted) => lines.skip_to(wanted)?,
            None => {
                lines.find(|line| matches!(line.name, Name::Spelt(spelt) if spelt == name.as_str().as_bytes()))?.value
            }
        };
        Some(&self.0[value])
    }

    /// Writes the lines as HTTP/1 has them (RFC 9112 §5), those aside whose names are among `left_out`. Whether one of them is `Date`.
    pub fn write(&self, left_out: &Names, out: &mut Vec<u8>) -> bool {
        let mut is_dated = false;
        for Line { name, value } in self.lines() {
            let name = match name {
                Name::Known(number, _) if left_out.has_known(number) => continue,
                Name::Known(number, name) => {
                    is_dated |= number == names::DATE;
                    name.as_str().as_bytes()
                }
                Name::Spelt(name) if left_out.has_spelt(name) => continue,
                Name::Spelt(name) => name,
            };
            out.extend_from_slice(name);
            out.extend_from_slice(b": ");
            out.extend_from_slice(&self.0[value]);
            out.extend_from_slice(b"\r\n");
        }
        is_dated
    }

    fn lines(&self) -> Lines<'_> {
        Lines { block: &self.0, at: 0 }
    }
}

/// Puts the line of a name, spelt as [`HeaderName`] has it and with the number that it has, and a value that a header may have.
fn put_line(block: &mut Vec<u8>, number: Option<u8>, name: &[u8], value: &[u8]) {
    match number {
        Some(number) => block.push(number),
        None => {
            block.push(names::SPELT);
            put_text(block, name);
        }
    }
    put_text(block, value);
}

fn put_text(block: &mut Vec<u8>, text: &[u8]) {
    match u8::try_from(text.len()) {
        Ok(len) if len < LONG => block.push(len),
        _ => {
            block.push(LONG);
            block.put_u32_le(u32::try_from(text.len()).expect("a header is far below 4 GiB"));
        }
    }
    block.put_slice(text);
}

struct Line<'a> {
    name: Name<'a>,
    /// Where in the block.
    value: Range<usize>,
}

enum Name<'a> {
    Known(u8, &'static HeaderName),
    Spelt(&'a [u8]),
}

impl Name<'_> {
    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Known(_, known) => known.as_str().as_bytes(),
            Self::Spelt(spelt) => spelt,
        }
    }
}

struct Lines<'a> {
    block: &'a [u8],
    at: usize,
}

impl Lines<'_> {
    fn text(&mut self) -> Range<usize> {
        let (short, rest) = self.block[self.at..].split_first().expect(WHOLE);
        let (len, start) = match *short {
            LONG => (u32::from_le_bytes(*rest.first_chunk().expect(WHOLE)) as usize, self.at + 5),
            short => (usize::from(short), self.at + 1),
        };
        self.at = start + len;
        start..self.at
    }
}

impl Lines<'_> {
    /// The value of the next line whose name has this number.
    fn skip_to(&mut self, wanted: u8) -> Option<Range<usize>> {
        loop {
            let number = *self.block.get(self.at)?;
            self.at += 1;
            if number == names::SPELT {
                self.text();
            }
            let value = self.text();
            if number == wanted {
                return Some(value);
            }
        }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let number = *self.block.get(self.at)?;
        self.at += 1;
        let name = match names::named(number) {
            Some(name) => Name::Known(number, name),
            None => Name::Spelt(&self.block[self.text()]),
        };
        Some(Line { name, value: self.text() })
    }
}

#[cfg(test)]
mod tests;
