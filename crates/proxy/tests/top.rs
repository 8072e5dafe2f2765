//! `cache-proxy top` on a terminal, which must be afterwards what it was before.

use std::{
    fs::File,
    io::{Read, Write},
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus},
    sync::mpsc,
    thread,
    time::Duration,
};

use nix::{
    pty::{OpenptyResult, Winsize, openpty},
    sys::{
        signal::{Signal, kill},
        termios::{LocalFlags, Termios, tcgetattr},
    },
    unistd::Pid,
};

/// Longest wait for anything that must happen; a healthy run needs a fraction.
const PATIENCE: Duration = Duration::from_secs(30);
const ALTERNATE_SCREEN: &str = "\u{1b}[?1049h";
const NORMAL_SCREEN: &str = "\u{1b}[?1049l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";

/// The command on a terminal of its own. No node listens where it looks.
struct OnTerminal {
    child: Child,
    terminal: OwnedFd,
    keys: File,
    written: mpsc::Receiver<Vec<u8>>,
    text: String,
    /// Of the terminal, before the command began.
    before: Termios,
}

impl OnTerminal {
    fn start(more: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let admin = format!("http://{}", listener.local_addr().expect("it is bound"));
        drop(listener);
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(&size, None).expect("a terminal can be made");
        let before = tcgetattr(&slave).expect("it is a terminal");
        let stream = || slave.try_clone().expect("descriptors are free");
        let child = Command::new(env!("CARGO_BIN_EXE_cache-proxy"))
            .args(["top", "--admin", &admin])
            .args(more)
            .stdin(stream())
            .stdout(stream())
            .stderr(stream())
            .spawn()
            .expect("the command starts");
        let mut output = File::from(master.try_clone().expect("descriptors are free"));
        let (sender, written) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = output.read(&mut buffer)
                && sender.send(buffer[..length].to_vec()).is_ok()
            {}
        });
        Self { child, terminal: slave, keys: master.into(), written, text: String::new(), before }
    }

    fn modes(&self) -> Termios {
        tcgetattr(&self.terminal).expect("it is a terminal")
    }

    /// Reads until `part` was written.
    fn wait_for(&mut self, part: &str) {
        while !self.text.contains(part) {
            let more = self.written.recv_timeout(PATIENCE);
            let more = more.unwrap_or_else(|_| panic!("no {part:?} in {:?}", self.text));
            self.text.push_str(&String::from_utf8_lossy(&more));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    fn end(mut self) -> ExitStatus {
        self.wait_for(NORMAL_SCREEN);
        self.wait_for(SHOW_CURSOR);
        let status = self.child.wait().expect("nobody else has waited for it");
        assert_eq!(self.modes(), self.before);
        status
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        // It has ended, unless the test fails.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    for quit in ["q", "\u{1b}", "\u{3}"] {
        let mut top = OnTerminal::start(&[]);
        top.wait_for(ALTERNATE_SCREEN);
        top.wait_for("no connection");
        assert!(!top.modes().local_flags.contains(LocalFlags::ICANON), "keys come at once");
        top.press(quit);
        assert!(top.end().success(), "{quit:?}");
    }
}

#[test]
fn the_terminal_is_restored_after_a_signal() {
    let mut top = OnTerminal::start(&[]);
    top.wait_for("no connection");
    kill(Pid::from_raw(top.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(top.end().success());
}

#[test]
fn one_snapshot_leaves_the_terminal_alone_and_names_the_node_that_is_not_there() {
    let mut top = OnTerminal::start(&["--once"]);
    top.wait_for("cache-proxy: no node answers: http://127.0.0.1:");
    top.wait_for("no connection: tcp connect error: Connection refused");
    assert_eq!(top.child.wait().unwrap().code(), Some(1));
    assert!(!top.text.contains('\u{1b}'), "{:?}", top.text);
}
