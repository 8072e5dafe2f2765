use std::io::{BufReader, Cursor};

use edge_cache_warmer::{Wanted, log};

/// The input is an access log.
///
/// Every line is counted once, whatever pieces it comes in, and each target can be asked for.
pub fn check(data: &[u8]) {
    let asked = match log::read(Cursor::new(data)) {
        Ok(asked) => asked,
        Err(error) => {
            assert!(matches!(error, log::LogError::Garbage { lines } if lines > 0), "{error}");
            assert!(log::read(BufReader::with_capacity(3, Cursor::new(data))).is_err(), "in pieces too");
            return;
        }
    };
    let pieces = log::read(BufReader::with_capacity(3, Cursor::new(data)));
    assert!(pieces.is_ok_and(|pieces| pieces == asked), "pieces say nothing");
    let most = asked.most(usize::MAX);
    let counted: u64 = most.iter().map(|(_, count)| count).sum();
    assert_eq!(counted + asked.not_understood + asked.passed_over + asked.left_out, asked.lines, "each line once");
    let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(asked.lines, lines as u64, "no line is lost or made up");
    assert!(asked.lines == 0 || asked.not_understood < asked.lines, "of something else");
    assert!(most.is_sorted_by(|one, other| (other.1, one.0) < (one.1, other.0)), "the most asked first, then by name");
    assert_eq!(asked.most(2), most[..most.len().min(2)]);
    for (target, count) in most {
        assert!(count > 0 && target.len() <= data.len());
        let replay = Wanted::path(target).at("http", "some.example");
        assert!(replay.is_ok_and(|replay| replay.path_and_query() == target), "{target} can be asked for");
    }
    // A line more is a line more.
    let more = [data, b"\nh - - [t] \"GET /one-more?x HTTP/1.1\" 200 1\n"].concat();
    let more = log::read(Cursor::new(more)).expect("one line is understood");
    assert_eq!(more.lines, asked.lines + 1);
}
