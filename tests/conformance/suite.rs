//! The suite as it is installed: its own origin and its own client, both of them programs for Node.

use std::{collections::BTreeMap, env, fs, path::PathBuf, process::Stdio};

use edge_cache_tests::PATIENCE;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader, copy, sink},
    process::{Child, Command},
    time::timeout,
};

/// Kinds of tests: what a cache must do, what it had better do, and what the suite only wants to know.
pub(crate) const KINDS: [&str; 3] = ["required", "optimal", "check"];

const PACKAGE: &str = "node_modules/http-cache-tests";
const NO_NODE: &str = "node is missing: `scripts/test` installs it";

/// What came of one test.
pub(crate) struct Verdict {
    /// One of [`KINDS`].
    pub(crate) kind: String,
    /// What went wrong; `None` when it passed.
    pub(crate) failure: Option<String>,
}

/// What came of each test, by its id.
pub(crate) type Verdicts = BTreeMap<String, Verdict>;

/// The folder that the suite is installed in.
pub(crate) struct Suite {
    folder: PathBuf,
}

/// The suite's server, killed when dropped.
pub(crate) struct Origin {
    /// Where it listens.
    pub(crate) url: String,
    _child: Child,
}

impl Suite {
    /// Finds the suite.
    pub(crate) fn installed() -> Self {
        let own = env::current_exe().unwrap();
        // In the target folder, which is so far up as cargo's options say.
        let mut folders = own.ancestors().map(|folder| folder.join("conformance"));
        let folder = folders.find(|folder| folder.join(PACKAGE).is_dir());
        let folder = folder.expect("http-cache-tests is missing: `scripts/test` installs it");
        let installed = fs::read_to_string(folder.join("package.json")).unwrap();
        assert!(installed == include_str!("package.json"), "other packages are installed: `scripts/test` changes them");
        Self { folder }
    }

    fn node(&self) -> Command {
        let mut node = Command::new("node");
        node.current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        node
    }

    /// Starts the server.
    pub(crate) async fn origin(&self) -> Origin {
        let mut node = self.node();
        node.arg(self.folder.join(PACKAGE).join("server/server.mjs")).stdout(Stdio::piped());
        node.env("npm_config_protocol", "http").env("npm_config_port", "0");
        // It does not start without a file to write its process id to.
        node.env("npm_config_pidfile", "/dev/null");
        let mut child = node.spawn().expect(NO_NODE);
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = timeout(PATIENCE, said.read_line(&mut line)).await;
        read.expect("the suite's server starts in time").unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
        let port: u16 = port.unwrap_or_else(|| panic!("the suite's server said {line:?}"));
        // It warns on the same stream and would wait for somebody to read that.
        tokio::spawn(async move { copy(&mut said, &mut sink()).await });
        Origin { url: format!("http://127.0.0.1:{port}"), _child: child }
    }

    /// Runs every test against the cache at `base`, whose origin is [`Suite::origin`].
    pub(crate) async fn run(&self, base: &str) -> Verdicts {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/run.mjs");
        let output = self.node().args([script, base]).output().await.expect(NO_NODE);
        assert!(output.status.success(), "run.mjs failed: {}", String::from_utf8_lossy(&output.stderr));
        let tests: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
        tests.into_iter().map(|(id, test)| (id, Verdict::of(&test))).collect()
    }
}

impl Verdict {
    fn of(test: &Value) -> Self {
        let failure = match &test["outcome"] {
            Value::Bool(true) => None,
            Value::String(failure) => Some(failure.clone()),
            other => Some(format!("no outcome but {other}")),
        };
        Self { kind: test["kind"].as_str().unwrap().to_owned(), failure }
    }
}

/// How many tests of each kind passed, and of how many.
pub(crate) fn summary(verdicts: &Verdicts) -> String {
    let counts = KINDS.map(|kind| {
        let all: Vec<_> = verdicts.values().filter(|verdict| verdict.kind == kind).collect();
        let passed = all.iter().filter(|verdict| verdict.failure.is_none()).count();
        format!("{kind} {passed}/{}", all.len())
    });
    counts.join(", ")
}
