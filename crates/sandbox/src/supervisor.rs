//! The shell between us and a server, which outlives us by as long as it takes to clean up.

use crate::Error;
use nix::unistd::User;
use std::{
    env,
    ffi::{OsStr, OsString},
    io::{self, BufRead, BufReader, Write},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// One supervising shell and its temporary folder. Dropping it blocks until both are gone.
#[derive(Debug)]
pub(crate) struct Supervisor {
    child: Child,
    /// Taken only by `drop`: its end is what the shell waits for.
    requests: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    folder: PathBuf,
}

impl Supervisor {
    /// Starts the shell as `user` (`None`: as we are). `end` is the signal, by its short name, that
    /// makes the server end at once.
    pub(crate) fn start(user: Option<&User>, end: &str) -> Result<Self, Error> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", include_str!("supervisor.sh"), "edge-cache-sandbox"])
            .args([env::temp_dir().as_os_str(), OsStr::new(end)])
            // Our own settings (PGPORT, LC_MESSAGES, …) must not steer a private server.
            .env_clear()
            .env("PATH", path())
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // For mktemp's complaint; from then on the shell writes to the log.
            .stderr(Stdio::inherit());
        if let Some(user) = user {
            shell.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let mut child = shell.spawn().map_err(Error::io("start /bin/sh"))?;
        let requests = child.stdin.take().expect("stdin was asked to be a pipe");
        let replies = child.stdout.take().expect("stdout was asked to be a pipe");
        let mut supervisor =
            Self { child, requests: Some(requests), replies: BufReader::new(replies), folder: PathBuf::new() };
        supervisor.folder = OsString::from_vec(supervisor.reply()?).into();
        Ok(supervisor)
    }

    /// The temporary folder, owned by the user that the server runs as.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command to its end; its exit code.
    pub(crate) fn run(&mut self, command: &[OsString]) -> Result<u32, Error> {
        self.request("run", command)
    }

    /// Starts the server; its process id. The server before it must have ended.
    pub(crate) fn spawn(&mut self, command: &[OsString]) -> Result<u32, Error> {
        self.request("spawn", command)
    }

    fn request(&mut self, verb: &str, command: &[OsString]) -> Result<u32, Error> {
        let mut line = verb.as_bytes().to_vec();
        for word in command {
            line.push(b' ');
            quote(word, &mut line)?;
        }
        line.push(b'\n');
        let requests = self.requests.as_mut().expect("only drop takes it");
        requests.write_all(&line).map_err(Error::io("ask the supervising shell"))?;
        let reply = self.reply()?;
        std::str::from_utf8(&reply)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::io("understand the supervising shell")(io::ErrorKind::InvalidData.into()))
    }

    fn reply(&mut self) -> Result<Vec<u8>, Error> {
        let mut line = Vec::new();
        let doing = "hear from the supervising shell (is the temporary folder writable?)";
        self.replies.read_until(b'\n', &mut line).map_err(Error::io(doing))?;
        match line.pop() {
            Some(b'\n') => Ok(line),
            _ => Err(Error::io(doing)(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.requests.take());
        // An error could only mean that somebody else has waited for it.
        drop(self.child.wait());
    }
}

fn path() -> OsString {
    env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

/// Appends `word` so that a POSIX shell reads back its very bytes.
fn quote(word: &OsStr, line: &mut Vec<u8>) -> Result<(), Error> {
    if word.as_bytes().contains(&b'\n') {
        return Err(Error::BadName(word.to_string_lossy().into_owned()));
    }
    line.push(b'\'');
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            other => line.push(other),
        }
    }
    line.push(b'\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use std::fs;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn arguments_arrive_as_they_are() {
        let mut supervisor = Supervisor::start(None, "KILL").unwrap();
        let odd = r#"a 'b' "c" $HOME `x` \ * ;"#;
        assert_eq!(supervisor.run(&words(&["printf", "%s", odd])).unwrap(), 0);
        assert_eq!(fs::read_to_string(supervisor.folder().join("log")).unwrap(), odd);
        assert_eq!(supervisor.run(&words(&["sh", "-c", "exit 7"])).unwrap(), 7);
        assert!(matches!(supervisor.run(&words(&["true", "a\nb"])), Err(Error::BadName(_))));
    }

    #[test]
    fn dropping_it_ends_the_server_and_removes_the_folder() {
        let mut supervisor = Supervisor::start(None, "KILL").unwrap();
        let folder = supervisor.folder().to_owned();
        let server = Process::find(supervisor.spawn(&words(&["sleep", "600"])).unwrap()).unwrap();
        assert!(folder.is_dir() && server.is_alive());
        drop(supervisor);
        assert!(!folder.exists() && !server.is_alive());
    }

    #[test]
    fn a_server_that_does_not_listen_is_killed_with_its_children() {
        let mut supervisor = Supervisor::start(None, "TERM").unwrap();
        let script = "trap '' TERM; sleep 600 & echo; while :; do wait; done";
        let pid = supervisor.spawn(&words(&["sh", "-c", script])).unwrap();
        let server = Process::find(pid).unwrap();
        let log = supervisor.folder().join("log");
        while fs::metadata(&log).map_or(0, |meta| meta.len()) == 0 {
            std::thread::yield_now();
        }
        let children = server.children();
        assert_eq!(children.len(), 1);
        drop(supervisor);
        assert!(!server.is_alive() && !children[0].is_alive());
    }
}
