//! A browser that a program drives.

use crate::{
    Error,
    blocking::blocking,
    locate::{self, Wanted},
    process::Process,
    server::Server,
};
use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

const DRIVER: Wanted = Wanted { programs: &["chromedriver"], package: "chromium-driver" };
const BROWSERS: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
const BROWSER: Wanted = Wanted { programs: &["chromium"], package: "chromium" };
/// For one question whether the driver is ready.
const PROBE: Duration = Duration::from_secs(1);

/// A `chromedriver` on 127.0.0.1, and the Chromium or Chrome that it drives. Dropping it ends both.
#[derive(Debug)]
pub struct WebDriver {
    server: Server,
    browser: PathBuf,
    port: u16,
    url: String,
}

impl WebDriver {
    /// Starts the driver and waits until it is ready; each session that is opened starts a browser.
    ///
    /// # Errors
    /// [`Error::MissingBinary`], with the package that has it, or what the driver's own log says.
    pub async fn start() -> Result<Self, Error> {
        blocking(Self::start_blocking).await
    }

    fn start_blocking() -> Result<Self, Error> {
        let mut folders = locate::search_path();
        folders.extend(["/usr/bin", "/usr/local/bin", "/snap/bin"].map(PathBuf::from));
        let driver = locate::find(&DRIVER, folders.clone())?.join(DRIVER.programs[0]);
        let in_folder = |folder: &PathBuf| BROWSERS.iter().map(|name| folder.join(name)).find(|path| path.is_file());
        let browser = match folders.iter().find_map(in_folder) {
            Some(browser) => browser,
            // It says what to install.
            None => locate::find(&BROWSER, folders)?.join(BROWSER.programs[0]),
        };
        // Asked to end, it closes its browsers first.
        let server = Server::new("chromedriver", None, "TERM")?;
        let command = |port: u16| Ok(vec![driver.clone().into(), format!("--port={port}").into()]);
        let port = server.launch_anywhere(command, is_ready)?;
        Ok(Self { server, browser, port, url: format!("http://127.0.0.1:{port}") })
    }

    /// Where it listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The browser's program.
    #[must_use]
    pub fn browser(&self) -> &Path {
        &self.browser
    }

    /// A folder for the browser's files, which goes with this value.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// Everything that the driver has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.server.log()
    }
}

impl Drop for WebDriver {
    fn drop(&mut self) {
        // Told to end by a signal it leaves its browsers behind.
        drop(say(self.port, "/shutdown", |_| false));
    }
}

/// Whether the driver answers on `port`. Another one may have had the port first; then ours ends, and says why.
fn is_ready(port: u16, _: Process) -> bool {
    let has = |said: &[u8]| String::from_utf8_lossy(said).contains("\"ready\":true");
    say(port, "/status", has).unwrap_or(false)
}

/// Sends a GET, and tells whether the answer `has` what is looked for. The driver keeps the connection, whatever it is asked: what came until it
/// falls silent is looked at.
fn say(port: u16, path: &str, has: impl Fn(&[u8]) -> bool) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PROBE)?;
    stream.set_read_timeout(Some(PROBE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").as_bytes())?;
    let (mut said, mut piece) = (Vec::new(), [0; 4096]);
    while !has(&said) && said.len() < 64 << 10 {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(read) => said.extend_from_slice(&piece[..read]),
        }
    }
    Ok(has(&said))
}
