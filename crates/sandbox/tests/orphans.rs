//! A starter that is killed leaves no server and no folder.

mod common;

use common::{PATIENCE, connect, eventually, folder, is_alive};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fs, path::Path, process::Stdio};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// The `sandbox` program and what it said about its three servers: URL and process id.
struct Starter {
    child: Child,
    servers: Vec<(String, u32)>,
}

/// With a folder for temporary files of its own, so that what is left behind shows.
async fn start(temporary: &Path) -> Starter {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .arg("--pgbouncer")
        .env("TMPDIR", temporary)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut servers = Vec::new();
    for _ in 0..3 {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time").expect("reads");
        let line = line.expect("a line for each server");
        let (url, pid) = line.split_once(' ').expect("URL and process id");
        servers.push((url.to_owned(), pid.parse().expect("a number")));
    }
    Starter { child, servers }
}

/// A folder that the servers' user can write to.
fn temporary() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).expect("opens it");
    folder
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("reads").next().is_none()
}

fn children(parent: u32) -> Vec<u32> {
    fs::read_dir("/proc")
        .expect("reads")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                let ppid = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
                ppid == Some(parent.to_string().as_str())
            })
        })
        .collect()
}

/// A short-lived worker may have ended since it was seen.
fn halt(pid: u32) {
    match kill(Pid::from_raw(pid.try_into().expect("fits")), Signal::SIGSTOP) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("{errno}"),
    }
}

async fn expect_all_gone(temporary: &Path, pids: &[u32]) {
    eventually("every server ends", || !pids.iter().any(|pid| is_alive(*pid))).await;
    eventually("every folder is removed", || is_empty(temporary)).await;
}

#[tokio::test]
async fn killed_with_clients_connected() {
    let temporary = temporary();
    let mut starter = start(temporary.path()).await;
    let client = connect(&starter.servers[0].0).await.expect("connects");
    assert!(folder(&client).await.starts_with(temporary.path().to_str().expect("text")));
    let mut pids: Vec<u32> = starter.servers.iter().map(|(_, pid)| *pid).collect();
    pids.extend(children(pids[0]));
    assert!(pids.len() > 4 && pids[..3].iter().all(|pid| is_alive(*pid)));

    starter.child.kill().await.expect("SIGKILL");
    expect_all_gone(temporary.path(), &pids).await;
}

#[tokio::test]
async fn killed_while_the_servers_are_halted() {
    let temporary = temporary();
    let mut starter = start(temporary.path()).await;
    let mut pids: Vec<u32> = starter.servers.iter().map(|(_, pid)| *pid).collect();
    pids.extend(children(pids[0]));
    for pid in &pids {
        halt(*pid);
    }
    starter.child.kill().await.expect("SIGKILL");
    expect_all_gone(temporary.path(), &pids).await;
}

#[tokio::test]
async fn killed_half_way_through_starting() {
    let temporary = temporary();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .env("TMPDIR", temporary.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    eventually("a folder appears", || !is_empty(temporary.path())).await;
    child.kill().await.expect("SIGKILL");
    expect_all_gone(temporary.path(), &[]).await;
}

#[tokio::test]
async fn the_end_of_the_input_ends_the_program_in_order() {
    let temporary = temporary();
    let mut starter = start(temporary.path()).await;
    drop(starter.child.stdin.take());
    let status = timeout(PATIENCE, starter.child.wait()).await.expect("in time").expect("waits");
    assert!(status.success());
    assert!(is_empty(temporary.path()), "an orderly end has cleaned up when it returns");
    assert!(!starter.servers.iter().any(|(_, pid)| is_alive(*pid)));
}
