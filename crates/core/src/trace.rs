//! Who a request is among others, and what became of it on its way.

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

/// The header that carries a trace from hop to hop (W3C Trace Context §3.2).
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The name of one request on this node: the number of its span.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u64);

impl RequestId {
    /// Reads sixteen hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u64::from_str_radix(text, 16).ok().filter(|_| digits).map(Self)
    }

    /// Its sixteen digits.
    #[must_use]
    pub fn digits(self) -> [u8; 16] {
        let mut digits = [0; 16];
        put_hex(&mut digits, &self.0.to_be_bytes());
        digits
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a request stands in a trace: one span of it is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace, the same on every hop; never zero.
    pub trace: u128,
    /// Our span in it; never zero.
    pub id: RequestId,
    /// The span of whoever sent the request; `None` where the trace begins here.
    pub parent: Option<u64>,
    /// Whether whoever began the trace wants it kept.
    pub sampled: bool,
    /// When the request came.
    pub began: Instant,
}

impl TraceContext {
    /// The context of a request with these headers, whose span is `id`. A trace that begins here gets the number `trace`, and is kept if
    /// `sampled` says so; both are asked only then. A header that does not parse is as none (W3C Trace Context §4.2).
    #[must_use]
    pub fn of(headers: &HeaderMap, id: RequestId, began: Instant, begin: impl FnOnce() -> (u128, bool)) -> Self {
        match single(headers).and_then(parse) {
            Some((trace, parent, sampled)) => Self { trace, id, parent: Some(parent), sampled, began },
            None => {
                let (trace, sampled) = begin();
                Self { trace, id, parent: None, sampled, began }
            }
        }
    }

    /// What the next hop is told: the same trace, with our span as the parent (W3C Trace Context §3.3).
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(&mut text[3..35], &self.trace.to_be_bytes());
        put_hex(&mut text[36..52], &self.id.0.to_be_bytes());
        text[54] |= u8::from(self.sampled);
        HeaderValue::from_bytes(&text).expect("hexadecimal digits make a header value")
    }
}

/// Several of them are none (W3C Trace Context §4.2).
fn single(headers: &HeaderMap) -> Option<&[u8]> {
    // Most requests have none, and a look at their few names costs less than a search.
    headers.keys().find(|name| **name == TRACEPARENT)?;
    let mut all = headers.get_all(TRACEPARENT).iter();
    all.next().filter(|_| all.next().is_none()).map(HeaderValue::as_bytes)
}

/// `version-trace-parent-flags` (W3C Trace Context §3.2.2): what is known of it in any version.
fn parse(text: &[u8]) -> Option<(u128, u64, bool)> {
    let field = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        let lower = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        lower.then(|| std::str::from_utf8(digits).ok()).flatten()
    };
    let dashes = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
    let version = field(0, 2)?;
    // Later versions may say more after another dash; this one ends here.
    let ends = text.len() == 55 || (version != "00" && text.get(55) == Some(&b'-'));
    if !dashes || version == "ff" || !ends {
        return None;
    }
    let trace = u128::from_str_radix(field(3, 35)?, 16).ok()?;
    let parent = u64::from_str_radix(field(36, 52)?, 16).ok()?;
    let flags = u8::from_str_radix(field(53, 55)?, 16).ok()?;
    (trace != 0 && parent != 0).then_some((trace, parent, flags & 1 == 1))
}

fn put_hex(into: &mut [u8], number: &[u8]) {
    for (digits, byte) in into.chunks_exact_mut(2).zip(number) {
        digits.copy_from_slice(&HEX[usize::from(*byte)]);
    }
}

/// Every byte in words.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [[0; 2]; 256];
    let mut byte = 0;
    while byte < hex.len() {
        hex[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    hex
};

/// Steps kept of one request: more than any takes that is not retried without end.
const STEPS_MAX: usize = 64;
/// Steps that most requests take at most.
const STEPS_MOSTLY: usize = 8;

/// Where a request stands, and what was decided for it, when, and why (request extension). Clones share it. Of a plain hit nothing is noted: its
/// `Cache-Status` says all there is. Where nobody looks at requests, nothing is noted either. A cache that stands within another one has a trail of its own.
#[derive(Clone, Debug)]
pub struct Trail(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    context: TraceContext,
    notes: Mutex<Vec<Note>>,
}

/// A decision as it was noted.
struct Note {
    at: Duration,
    who: &'static str,
    words: Words,
}

/// What was decided, or how to say it: most trails are never read.
enum Words {
    Said(Cow<'static, str>),
    Later(Box<dyn Fn() -> String + Send + Sync>),
}

impl Note {
    fn step(&self) -> Step {
        let what = match &self.words {
            Words::Said(what) => what.clone(),
            Words::Later(say) => say().into(),
        };
        Step { at: self.at, who: self.who, what }
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.step().fmt(f)
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the request came.
    pub at: Duration,
    /// Who decided: a tier, the origin.
    pub who: &'static str,
    /// What, and why.
    pub what: Cow<'static, str>,
}

impl Trail {
    /// The trail of a request that somebody looks at.
    #[must_use]
    pub fn new(context: TraceContext) -> Self {
        Self(Some(Arc::new(Shared { context, notes: Mutex::default() })))
    }

    /// The trail of the request with these extensions; one that leads nowhere where nobody looks at it.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or(Self(None))
    }

    /// Where the request stands.
    #[must_use]
    pub fn context(&self) -> Option<&TraceContext> {
        self.0.as_ref().map(|shared| &shared.context)
    }

    /// The request it is of.
    #[must_use]
    pub fn id(&self) -> Option<RequestId> {
        self.context().map(|context| context.id)
    }

    /// Whether nothing was noted so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|shared| shared.notes().is_empty())
    }

    /// Notes a decision of this moment. After 64 of them no more are kept.
    pub fn note(&self, who: &'static str, what: impl Into<Cow<'static, str>>) {
        if let Some(shared) = &self.0 {
            shared.note(shared.context.began.elapsed(), who, Words::Said(what.into()));
        }
    }

    /// [`note`](Self::note) for words that cost something, and of a moment that is known: they are made when somebody reads them.
    pub fn note_later(&self, at: Instant, who: &'static str, say: impl Fn() -> String + Send + Sync + 'static) {
        if let Some(shared) = &self.0 {
            let at = at.saturating_duration_since(shared.context.began);
            shared.note(at, who, Words::Later(Box::new(say)));
        }
    }

    /// What was noted so far.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let steps = self.0.as_ref().map(|shared| shared.notes().iter().map(Note::step).collect());
        steps.unwrap_or_default()
    }
}

impl Shared {
    fn notes(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, at: Duration, who: &'static str, words: Words) {
        let mut notes = self.notes();
        if notes.capacity() == 0 {
            notes.reserve_exact(STEPS_MOSTLY);
        }
        if notes.len() < STEPS_MAX {
            notes.push(Note { at, who, words });
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "nothing depends on it")]
mod tests {
    use super::*;

    const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn context(lines: &[&str]) -> TraceContext {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(TRACEPARENT, HeaderValue::from_str(line).unwrap());
        }
        TraceContext::of(&headers, RequestId(0xab), Instant::now(), || (7, false))
    }

    #[test]
    fn a_trace_goes_on_with_our_span_as_the_parent() {
        let context = context(&[SENT]);
        assert_eq!(context.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(context.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
    }

    #[test]
    fn what_does_not_parse_begins_a_trace() {
        let begun = "00-00000000000000000000000000000007-00000000000000ab-00";
        assert_eq!(context(&[]).traceparent(), begun);
        for wrong in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
            "",
        ] {
            assert_eq!(context(&[wrong]).traceparent(), begun, "{wrong}");
        }
        assert_eq!(context(&[SENT, SENT]).traceparent(), begun);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = context(&["01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more"]);
        assert_eq!(later.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000ab-01");
    }

    #[test]
    fn an_id_reads_as_it_is_written() {
        for id in [RequestId(1), RequestId(u64::MAX), RequestId(0x0123_4567_89ab_cdef)] {
            assert_eq!(RequestId::parse(&id.to_string()), Some(id));
            assert_eq!(id.digits(), id.to_string().as_bytes());
        }
        for wrong in ["", "1", "+123456789abcdef", "0123456789abcdeg", "00123456789abcdef"] {
            assert_eq!(RequestId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_trail_is_one_for_all_who_hold_the_request_and_bounded() {
        let mut extensions = Extensions::new();
        let nowhere = Trail::of(&extensions);
        nowhere.note("memory", "looked");
        assert!(nowhere.is_empty() && nowhere.steps().is_empty() && nowhere.context().is_none());
        let trail = Trail::new(context(&[]));
        extensions.insert(trail.clone());
        let same = Trail::of(&extensions);
        assert!(same.is_empty() && same.id() == Some(RequestId(0xab)));
        for _ in 0..2 * STEPS_MAX {
            same.note("memory", "looked");
        }
        assert!(!trail.is_empty());
        assert_eq!(trail.steps().len(), STEPS_MAX);
    }

    #[test]
    fn words_for_later_are_said_in_their_place() {
        let trail = Trail::new(context(&[]));
        let status = 200;
        trail.note_later(Instant::now(), "memory", move || format!("was answered {status}"));
        trail.note("memory", "kept");
        let words: Vec<_> = trail.steps().into_iter().map(|step| step.what).collect();
        assert_eq!(words, ["was answered 200", "kept"]);
        assert!(format!("{trail:?}").contains("was answered 200"));
    }
}
