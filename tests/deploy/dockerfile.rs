//! The `Dockerfile`, as far as others rely on it.

use std::collections::BTreeMap;

use edge_cache_tests::ProxyBuilder;

use crate::{root, takes, text};

/// Instructions of each stage: name and arguments.
pub(crate) struct Dockerfile(BTreeMap<String, Vec<(String, String)>>);

impl Dockerfile {
    pub(crate) fn read() -> Self {
        let text = text("Dockerfile").replace("\\\n", " ");
        let mut stages = BTreeMap::<String, Vec<_>>::new();
        let mut stage = String::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, rest) = line.split_once(' ').unwrap();
            if name == "FROM" {
                stage = rest.split_once(" AS ").expect("each stage has a name").1.trim().to_owned();
            }
            stages.entry(stage.clone()).or_default().push((name.to_owned(), rest.trim().to_owned()));
        }
        Self(stages)
    }

    pub(crate) fn has(&self, stage: &str) -> bool {
        self.0.contains_key(stage)
    }

    /// The arguments of an instruction, each time that it stands there.
    pub(crate) fn all(&self, stage: &str, instruction: &str) -> Vec<&str> {
        let of = self.0[stage].iter().filter(|(name, _)| name == instruction);
        of.map(|(_, arguments)| arguments.as_str()).collect()
    }

    /// Those of one that stands there once, as a list.
    fn list(&self, stage: &str, instruction: &str) -> Vec<String> {
        let all = self.all(stage, instruction);
        let [one] = all[..] else { panic!("{stage}: {instruction} stands there {} times", all.len()) };
        let list = one.find('[').map_or(one, |at| &one[at..]);
        serde_json::from_str(list).unwrap_or_else(|error| panic!("{instruction} {one}: no shell is there: {error}"))
    }
}

#[tokio::test]
async fn the_image_runs_the_program_as_nobody_and_without_a_shell() {
    let file = Dockerfile::read();
    for stage in ["cache-proxy", "pgbouncer"] {
        let user = file.all(stage, "USER").pop().expect("it is not root");
        assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{stage}: a number, not {user}");
    }
    let stage = "cache-proxy";
    assert_eq!(file.all(stage, "STOPSIGNAL"), ["SIGTERM"]);
    assert!(file.all(stage, "RUN").is_empty(), "nothing is installed");
    let entry = file.list(stage, "ENTRYPOINT");
    let copies = file.all(stage, "COPY");
    assert!(copies.iter().any(|copy| copy.ends_with(&entry[0])), "{entry:?} is there: {copies:?}");
    takes(&file.list(stage, "CMD")).await;
    let health = file.list(stage, "HEALTHCHECK");
    assert_eq!(health[0], entry[0]);
    takes(&health[1..]).await;
    for copy in copies.iter().filter(|copy| !copy.starts_with("--from")) {
        let mut names = copy.split(' ');
        assert!(root().join(names.next().unwrap()).is_file(), "{copy}");
        let place = names.next().unwrap();
        assert!(file.list(stage, "CMD").iter().any(|argument| argument == place), "{place} is used");
    }
}

#[test]
fn what_the_build_needs_is_sent_to_it() {
    let ignore = text(".dockerignore");
    let sent: Vec<_> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    let manifest = text("Cargo.toml");
    let members = manifest.lines().find_map(|line| line.strip_prefix("members = ")).unwrap();
    let members: Vec<String> = serde_json::from_str(members).unwrap();
    let tops = members.iter().map(|member| member.split('/').next().unwrap());
    for needed in tops.chain(["Cargo.toml", "Cargo.lock", "rust-toolchain.toml", "config"]) {
        assert!(sent.contains(&needed), "{needed} is not sent: {sent:?}");
        assert!(root().join(needed).exists());
    }
    assert_eq!(ignore.lines().next(), Some("*"), "nothing else is sent");
}

#[tokio::test]
async fn the_image_needs_to_be_told_no_more_than_its_origin() {
    let file = Dockerfile::read();
    let copies = file.all("cache-proxy", "COPY");
    let place = &file.list("cache-proxy", "CMD")[2];
    let copied = copies.iter().find_map(|copy| copy.strip_suffix(place.as_str())).expect("its configuration is there");
    let configuration = root().join(copied.trim());
    let check = ProxyBuilder::bare(&["check", "--config", configuration.to_str().unwrap()]);
    let checked = check.env("CACHE_PROXY__ORIGIN__URL", "http://origin:80").to_end().await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let says = &checked.stdout;
    assert!(says.contains("listen 0.0.0.0:8080, admin 127.0.0.1:9901,") && !says.contains("warning"), "{says}");
    let exposed = file.all("cache-proxy", "EXPOSE").join(" ");
    assert!(exposed.split(' ').any(|port| port == "8080"), "clients come from elsewhere: {exposed}");
}
