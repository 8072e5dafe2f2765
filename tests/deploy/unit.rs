//! The unit of systemd.

use crate::{root, takes, text};

/// Key and value of each line.
fn lines() -> Vec<(String, String)> {
    let text = text("config/systemd/cache-proxy.service");
    let lines = text.lines().filter(|line| !line.starts_with(['#', '[']) && !line.is_empty());
    lines.map(|line| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap()).collect()
}

fn all(key: &str) -> Vec<String> {
    lines().into_iter().filter(|(name, _)| name == key).map(|(_, value)| value).collect()
}

fn one(key: &str) -> String {
    let mut all = all(key);
    assert_eq!(all.len(), 1, "{key}");
    all.remove(0)
}

#[tokio::test]
async fn it_runs_what_the_program_and_its_image_know() {
    let dockerfile = text("Dockerfile");
    for key in ["ExecStartPre", "ExecStart"] {
        let command: Vec<_> = one(key).split(' ').map(str::to_owned).collect();
        takes(&command[1..]).await;
        for path in command.iter().filter(|part| part.starts_with('/')) {
            assert!(dockerfile.contains(path), "{key}: {path} is where the image has it too");
        }
    }
    assert!(one("ExecReload").ends_with("-HUP $MAINPID"));
    assert_eq!(one("KillSignal"), "SIGTERM");
    let configuration = text("config/cache-proxy.toml");
    let drain = configuration.lines().find_map(|line| line.strip_prefix("drain_timeout = ")).unwrap();
    let seconds = |text: &str| text.trim_matches('"').trim_end_matches('s').parse::<u32>().unwrap();
    // What comes after it takes four seconds at most.
    assert!(seconds(&one("TimeoutStopSec")) >= seconds(drain) + 5, "it is not killed while it drains");
    assert!(root().join("config/systemd/cache-proxy.service").is_file());
}

#[test]
fn it_may_do_what_it_needs_and_no_more() {
    for (key, value) in [
        ("DynamicUser", "yes"),
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("PrivateMounts", "yes"),
        ("ProtectClock", "yes"),
        ("ProtectControlGroups", "yes"),
        ("ProtectHostname", "yes"),
        ("ProtectKernelLogs", "yes"),
        ("ProtectKernelModules", "yes"),
        ("ProtectKernelTunables", "yes"),
        ("ProtectProc", "invisible"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("RestrictNamespaces", "yes"),
        ("RestrictRealtime", "yes"),
        ("RestrictSUIDSGID", "yes"),
        ("LockPersonality", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallArchitectures", "native"),
        ("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE"),
        ("UMask", "0077"),
        ("StateDirectory", "cache-proxy"),
    ] {
        assert_eq!(one(key), value, "{key}");
    }
    assert_eq!(all("SystemCallFilter")[..2], ["@system-service", "~@privileged @resources"]);
    assert!(one("LimitNOFILE").parse::<u32>().is_ok_and(|limit| limit > 65_536));
    assert!(all("Environment").is_empty(), "what is in the unit can be read by all: secrets are in a file");
}
