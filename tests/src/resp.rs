use std::io;

use bytes::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

/// A client of Redis that knows two commands.
#[derive(Debug)]
pub struct Resp(BufStream<TcpStream>);

impl Resp {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens.
    pub async fn connect(port: u16) -> Self {
        Self(BufStream::new(TcpStream::connect(("127.0.0.1", port)).await.expect("Redis listens")))
    }

    /// Every key.
    ///
    /// # Panics
    /// When Redis does not answer with keys.
    pub async fn keys(&mut self) -> Vec<String> {
        self.send(&[b"KEYS", b"*"]).await.expect("Redis reads");
        let count = self.number('*').await.expect("a list");
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(String::from_utf8_lossy(&self.bulk().await.expect("a key")).into_owned());
        }
        keys
    }

    /// The value of a key.
    ///
    /// # Panics
    /// When there is none.
    pub async fn get(&mut self, key: &str) -> Bytes {
        self.send(&[b"GET", key.as_bytes()]).await.expect("Redis reads");
        self.bulk().await.expect("a value")
    }

    /// Overwrites the value of a key.
    ///
    /// # Panics
    /// When Redis refuses.
    pub async fn set(&mut self, key: &str, value: &[u8]) {
        self.send(&[b"SET", key.as_bytes(), value]).await.expect("Redis reads");
        assert_eq!(self.line().await.expect("Redis answers"), "+OK");
    }

    /// A section of what it tells of itself.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn info(&mut self, section: &str) -> String {
        self.send(&[b"INFO", section.as_bytes()]).await.expect("Redis reads");
        String::from_utf8_lossy(&self.bulk().await.expect("a text")).into_owned()
    }

    /// All of a stream, as Redis spells it.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn stream(&mut self, key: &str) -> String {
        let script = b"return cjson.encode(redis.call('XRANGE', KEYS[1], '-', '+'))";
        self.send(&[b"EVAL", script, b"1", key.as_bytes()]).await.expect("Redis reads");
        String::from_utf8_lossy(&self.bulk().await.expect("a text")).into_owned()
    }

    /// The port of the primary, of a sentinel.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn primary(&mut self) -> u16 {
        self.send(&[b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", b"mymaster"]).await.expect("the sentinel reads");
        assert_eq!(self.number('*').await.expect("an address"), 2);
        self.bulk().await.expect("a host");
        let port = self.bulk().await.expect("a port");
        std::str::from_utf8(&port).ok().and_then(|port| port.parse().ok()).expect("a number")
    }

    /// Forgets everything.
    ///
    /// # Panics
    /// When Redis refuses.
    pub async fn flush(&mut self) {
        self.send(&[b"FLUSHALL"]).await.expect("Redis reads");
        assert_eq!(self.line().await.expect("Redis answers"), "+OK");
    }

    async fn send(&mut self, words: &[&[u8]]) -> io::Result<()> {
        self.0.write_all(format!("*{}\r\n", words.len()).as_bytes()).await?;
        for word in words {
            self.0.write_all(format!("${}\r\n", word.len()).as_bytes()).await?;
            self.0.write_all(word).await?;
            self.0.write_all(b"\r\n").await?;
        }
        self.0.flush().await
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        Ok(line.trim_end().to_owned())
    }

    async fn number(&mut self, sign: char) -> io::Result<usize> {
        let line = self.line().await?;
        let number = line.strip_prefix(sign).and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, line))
    }

    async fn bulk(&mut self) -> io::Result<Bytes> {
        let mut value = vec![0; self.number('$').await? + 2];
        self.0.read_exact(&mut value).await?;
        value.truncate(value.len() - 2);
        Ok(value.into())
    }
}
