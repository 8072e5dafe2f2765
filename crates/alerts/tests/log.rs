//! What a courier logs. The only test of its process: the log's callsites are shared by all threads of one.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use edge_cache_alerts::{AlertConfig, Courier, Engine, Figure, Figures, Secret, Sender};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Instant, timeout},
};
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock(), bytes)
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

/// Refuses one message, in words that repeat the secret.
async fn refuse(listener: TcpListener) {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut bytes = vec![0; 64 << 10];
    let mut request = Vec::new();
    while !request.ends_with(b"}") {
        let count = socket.read(&mut bytes).await.unwrap();
        request.extend_from_slice(&bytes[..count]);
    }
    socket.write_all(b"HTTP/1.1 403 no s3cr3t\r\ncontent-length: 6\r\n\r\ns3cr3t").await.unwrap();
}

#[tokio::test]
async fn what_fails_is_logged_with_the_host_and_nothing_secret() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(lines.clone());
    let _guard = tracing::subscriber::set_default(subscriber.with_ansi(false).finish());
    let (refusing, gone) =
        (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let url = |listener: &TcpListener| Secret::new(format!("http://{}/s3cr3t?s3cr3t", listener.local_addr().unwrap()));
    let config = AlertConfig {
        slack: url(&gone),
        webhook: url(&refusing),
        authorization: Secret::new("Bearer s3cr3t"),
        keep: Duration::from_millis(1),
        failures: 1,
        ..AlertConfig::default()
    };
    config.validate().unwrap();
    drop(gone);
    let server = tokio::spawn(refuse(refusing));
    let (courier, delivery) = Courier::new(&config, Sender::default()).unwrap();
    let mut figures = Figures::new();
    figures.set_flag(Figure::DatabaseDown, true);
    for notice in Engine::new(&config).evaluate(Instant::now(), 0.0, &figures) {
        courier.send(&notice);
    }
    drop(courier);
    timeout(Duration::from_secs(60), delivery.run()).await.unwrap();
    server.await.unwrap();
    let text = String::from_utf8(lines.0.lock().clone()).unwrap();
    let refused = "alert not sent channel=\"webhook\" host=\"http://127.0.0.1\" rule=\"database-down\" attempt=1 error=answered 403 Forbidden";
    assert!(text.contains(refused), "{text}");
    assert!(
        text.contains("alert not sent channel=\"slack\" host=\"http://127.0.0.1\"") && text.contains("onnect"),
        "{text}"
    );
    assert!(!text.contains("s3cr3t"), "{text}");
}
