use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use http::StatusCode;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use crate::PATIENCE;

/// A request as its bytes came, read to the letter of RFC 9112.
#[derive(Clone, Debug, Default)]
pub struct Wired {
    /// Connections before this one.
    pub connection: usize,
    /// The head, to its empty line.
    pub head: String,
    /// The body, without what frames it.
    pub body: Vec<u8>,
    /// The trailers, as lines.
    pub trailers: String,
}

impl Wired {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.head.split(' ').next().unwrap_or_default()
    }

    /// What the request line asks for.
    #[must_use]
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// Every value of a header.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The header's value; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or_default()
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }
}

/// A server that takes nothing but what can be read in one way: what an attacker brings through to it is noted.
#[derive(Debug)]
pub struct WireOrigin {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<watch::Sender<Vec<Wired>>>,
    odd: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl WireOrigin {
    /// Starts one that answers as `script` says, byte by byte.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(script: impl Fn(&Wired) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (seen, odd) = (Arc::new(watch::Sender::new(Vec::new())), Arc::<Mutex<Vec<_>>>::default());
        let (noted, wrong, script) = (Arc::clone(&seen), Arc::clone(&odd), Arc::new(script));
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { break };
                let (noted, wrong, script) = (Arc::clone(&noted), Arc::clone(&wrong), Arc::clone(&script));
                connections.spawn(async move {
                    if let Err(error) = serve(stream, connection, &noted, &*script).await
                        && error.kind() == io::ErrorKind::InvalidData
                    {
                        wrong.lock().expect("nobody panics with the lock").push(error.to_string());
                    }
                });
            }
        });
        Self { address, seen, odd, _task: AbortOnDropHandle::new(task) }
    }

    /// One whose every answer names what was asked, for which host, and may be kept for a minute.
    pub async fn echo() -> Self {
        Self::start(|request| answer(200, "cache-control: max-age=60\r\n", &echoed(request))).await
    }

    /// `http://ADDRESS:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every whole request so far.
    ///
    /// # Panics
    /// When one came that can be read in two ways.
    #[must_use]
    pub fn seen(&self) -> Vec<Wired> {
        let odd = self.odd.lock().expect("nobody panics with the lock");
        assert!(odd.is_empty(), "{odd:?}");
        self.seen.borrow().clone()
    }

    /// What was asked for so far, as `METHOD TARGET`.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.seen().iter().map(|seen| format!("{} {}", seen.method(), seen.target())).collect()
    }

    /// Waits until `count` whole requests have come.
    ///
    /// # Panics
    /// When they do not.
    pub async fn arrived(&self, count: usize) {
        let mut seen = self.seen.subscribe();
        let came = timeout(PATIENCE, seen.wait_for(|all| all.len() >= count)).await;
        assert!(came.is_ok(), "{count} requests did not come");
    }
}

/// What an echoing origin says.
#[must_use]
pub fn echoed(request: &Wired) -> String {
    format!("{} {} for {}", request.method(), request.target(), request.header("host"))
}

/// An answer with a length; `lines` are further headers, each with its end.
#[must_use]
pub fn answer(status: u16, lines: &str, body: &str) -> Vec<u8> {
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
    format!("HTTP/1.1 {status} {reason}\r\n{lines}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    seen: &watch::Sender<Vec<Wired>>,
    script: &(impl Fn(&Wired) -> Vec<u8> + Sync),
) -> io::Result<()> {
    loop {
        let mut request = Wired { connection, head: until_empty_line(&mut stream).await?, ..Wired::default() };
        let length = framing(&request)?;
        match length {
            Some(length) => {
                request.body = vec![0; length];
                stream.read_exact(&mut request.body).await?;
            }
            None => (request.body, request.trailers) = chunks(&mut stream).await?,
        }
        let answer = script(&request);
        seen.send_modify(|all| all.push(request));
        stream.write_all(&answer).await?;
    }
}

fn odd(what: &str, text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: {text:?}"))
}

/// The length of the body; `None` where it is chunked.
fn framing(request: &Wired) -> io::Result<Option<usize>> {
    let head = &request.head;
    let (codings, lengths) = (request.all("transfer-encoding"), request.all("content-length"));
    if request.all("host").len() != 1 {
        return Err(odd("not one host", head));
    }
    if head.lines().next().is_none_or(|line| line.split(' ').count() != 3 || !line.ends_with(" HTTP/1.1")) {
        return Err(odd("a request line", head));
    }
    if head.lines().skip(1).any(|line| line.starts_with([' ', '\t']) || line.contains(" :")) {
        return Err(odd("a folded or spaced line", head));
    }
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(Some(0)),
        (["chunked"], []) => Ok(None),
        ([], [length]) => {
            let length = length.parse().ok().filter(|number: &usize| number.to_string() == **length);
            length.map(Some).ok_or_else(|| odd("a length", head))
        }
        _ => Err(odd("two framings", head)),
    }
}

async fn until_empty_line(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return Err(odd("a bare CR, LF or NUL", &text));
    }
    Ok(text)
}

async fn line(stream: &mut TcpStream) -> io::Result<String> {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n") {
        text.push(stream.read_u8().await?);
    }
    text.truncate(text.len() - 2);
    Ok(String::from_utf8_lossy(&text).into_owned())
}

async fn chunks(stream: &mut TcpStream) -> io::Result<(Vec<u8>, String)> {
    let (mut body, mut trailers) = (Vec::new(), String::new());
    loop {
        let size = line(stream).await?;
        let hex = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = usize::from_str_radix(&size, 16).ok().filter(|_| hex).ok_or_else(|| odd("a chunk size", &size))?;
        if size == 0 {
            break;
        }
        let before = body.len();
        body.resize(before + size, 0);
        stream.read_exact(&mut body[before..]).await?;
        let end = line(stream).await?;
        if !end.is_empty() {
            return Err(odd("the end of a chunk", &end));
        }
    }
    loop {
        let trailer = line(stream).await?;
        if trailer.is_empty() {
            return Ok((body, trailers));
        }
        trailers.push_str(&trailer);
        trailers.push('\n');
    }
}
