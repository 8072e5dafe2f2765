//! Numbers, addresses and foreign texts, at the end of a line. Every hit's line goes through here: nothing is formatted that can be copied.

use std::{io::Write, net::IpAddr, time::Duration};

const FITS: &str = "a Vec takes what is written to it";

pub(super) fn number(out: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(small @ 0..=9) => out.push(b'0' + small),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

/// As `Display` writes it, without its cost for most.
pub(super) fn address(out: &mut Vec<u8>, client: IpAddr) {
    let IpAddr::V4(client) = client else { return write!(out, "{client}").expect(FITS) };
    // `255.255.255.255`
    let (mut text, mut len) = ([b'.'; 16], 0);
    for byte in client.octets() {
        let (digits, count) = DECIMAL[usize::from(byte)];
        text[len..len + 3].copy_from_slice(&digits);
        len += count;
        text[len] = b'.';
        len += 1;
    }
    out.extend_from_slice(&text[..len - 1]);
}

/// Every byte in words, and how many digits that is.
const DECIMAL: [([u8; 3], usize); 256] = {
    const fn digit(value: usize) -> u8 {
        b'0' + value as u8
    }
    let mut decimal = [([0; 3], 1); 256];
    let mut byte = 0;
    while byte < decimal.len() {
        let [hundreds, tens, ones] = [byte / 100, byte / 10 % 10, byte % 10];
        decimal[byte] = match byte {
            0..=9 => ([digit(ones), 0, 0], 1),
            10..=99 => ([digit(tens), digit(ones), 0], 2),
            _ => ([digit(hundreds), digit(tens), digit(ones)], 3),
        };
        byte += 1;
    }
    decimal
};

/// Its 32 hexadecimal digits.
pub(super) fn trace(out: &mut Vec<u8>, trace: u128) {
    write!(out, "{trace:032x}").expect(FITS);
}

/// Seconds, to the microsecond.
pub(super) fn seconds(out: &mut Vec<u8>, time: Duration) {
    number(out, time.as_secs());
    decimals::<6>(out, time.subsec_micros());
}

/// What stands behind a point.
pub(super) fn decimals<const N: usize>(out: &mut Vec<u8>, mut rest: u32) {
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.push(b'.');
    out.extend_from_slice(&digits);
}

/// What could end a field, or a line, is written as `\xHH`, as nginx does.
pub(super) fn escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    if !any_odd(bytes) {
        return out.extend_from_slice(bytes);
    }
    for byte in bytes {
        match byte {
            odd_one if is_odd(*odd_one) => write!(out, "\\x{odd_one:02X}").expect(FITS),
            plain => out.push(*plain),
        }
    }
}

/// The inside of a JSON string.
pub(super) fn in_json(out: &mut Vec<u8>, bytes: &[u8]) {
    if !any_odd(bytes) {
        return out.extend_from_slice(bytes);
    }
    // As it came where it is UTF-8, else as Latin-1, which header fields once were.
    let is_text = str::from_utf8(bytes).is_ok();
    for byte in bytes {
        match byte {
            beyond if is_text && *beyond >= 0x80 => out.push(*beyond),
            odd_one if is_odd(*odd_one) => write!(out, "\\u{:04x}", odd_one).expect(FITS),
            plain => out.push(*plain),
        }
    }
}

/// Whether any byte must be written otherwise than it is.
fn any_odd(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else { return bytes.iter().any(|byte| is_odd(*byte)) };
    // The last eight may be looked at twice.
    let (words, _) = bytes.as_chunks();
    words.iter().chain([last]).fold(0, |odd, word| odd | odd_bytes(u64::from_le_bytes(*word))) != 0
}

const fn is_odd(byte: u8) -> bool {
    !matches!(byte, 0x20..=0x7e) || matches!(byte, b'"' | b'\\')
}

/// [`is_odd`] of eight bytes at once: not zero if it is true of any. (Anderson, *Bit Twiddling Hacks*, "Determine if a word has a byte less than
/// n"; which of them it is true of cannot be told, since borrows run on.)
const fn odd_bytes(word: u64) -> u64 {
    const EACH: u64 = u64::MAX / 0xff;
    const fn below(word: u64, limit: u8) -> u64 {
        word.wrapping_sub(EACH * limit as u64) & !word
    }
    let quote = below(word ^ (EACH * b'"' as u64), 1);
    let backslash = below(word ^ (EACH * b'\\' as u64), 1);
    let beyond = word.wrapping_add(EACH) | word;
    (below(word, 0x20) | quote | backslash | beyond) & (EACH * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(put: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_they_are() {
        for each in [0, 7, 9, 10, 255, 256, u64::MAX] {
            assert_eq!(put(|out| number(out, each)), each.to_string());
        }
        assert_eq!(put(|out| seconds(out, Duration::from_micros(12_000_045))), "12.000045");
    }

    #[test]
    fn addresses_are_written_as_they_are() {
        let mut all: Vec<IpAddr> = (0..=255).map(|byte| [byte, 255 - byte, 1, byte].into()).collect();
        all.push("2001:db8::7".parse().unwrap());
        for each in all {
            assert_eq!(put(|out| address(out, each)), each.to_string());
        }
    }

    #[test]
    fn eight_bytes_are_judged_as_each_of_them() {
        for byte in 0..=255 {
            // Alone, at each place of a word, and in what is left of one.
            for (len, at) in [(1, 0), (7, 3), (8, 0), (8, 7), (13, 4), (13, 8), (13, 12), (40, 21)] {
                let mut bytes = vec![b'a'; len];
                bytes[at] = byte;
                assert_eq!(any_odd(&bytes), is_odd(byte), "{byte:#x} at {at} of {len}");
            }
        }
        for around in [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7e] {
            assert!(!any_odd(&[around; 16]), "{around:#x}");
        }
        assert!(!any_odd(b""));
    }
}
