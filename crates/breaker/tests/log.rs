//! What a breaker logs. The only test of its process: the log's callsites are shared by all threads of one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use edge_cache_breaker::{Breaker, BreakerConfig};
use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(start_paused = true)]
async fn says_what_opened_it_and_when_it_closed() {
    let lines = Lines::default();
    let subscriber =
        tracing_subscriber::fmt().with_writer(lines.clone()).with_ansi(false).with_target(false).without_time();
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    // With no time to wait it is half-open as soon as it opened.
    let config = BreakerConfig { reset: Duration::ZERO, ramp_max: 2, ..BreakerConfig::default() };
    let breaker = Breaker::named("redis reads", config);
    let fail = || breaker.try_acquire().unwrap().failure();
    let succeed = || breaker.try_acquire().unwrap().success();
    (0..3).for_each(|_| fail());
    fail();
    succeed();
    fail();
    (0..3).for_each(|_| succeed());
    breaker.trip();
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let opened = |cause| format!(" INFO circuit breaker opened breaker=\"redis reads\" cause=\"{cause}\" wait_ms=0\n");
    let said = [
        opened("failures in a row"),
        opened("failed probe"),
        opened("failure in the ramp"),
        " INFO circuit breaker closed breaker=\"redis reads\"\n".into(),
        opened("tripped"),
    ];
    assert_eq!(text, said.concat());
}
