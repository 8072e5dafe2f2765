//! Open files: each connection is one.

use edge_cache::{Settings, settings::OriginKind};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Those that are no connection of a client or to an origin: listeners, logs, Redis, the disk, operators.
const OTHERS: u64 = 256;

/// Allows this process as many as it may have: the usual soft limit, 1 024, is for programs that know no better way than `select`. Warns where that is fewer than the settings ask for: who
/// comes beyond it waits, operators too, and so do requests to the origin.
pub(crate) fn allow(settings: &Settings) {
    let needed = needed(settings);
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => return tracing::debug!(%error, "the limit of open files cannot be read"),
    };
    let allowed = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    if allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "fewer open files than limits.connections_max and origin.connections_max ask for (ulimit -n): connections beyond them wait"
        );
    }
}

fn needed(settings: &Settings) -> u64 {
    let origin = match settings.origin.kind {
        OriginKind::Http => settings.origin.connections_max * (1 + settings.origin.more_urls.len()),
        OriginKind::Pitchey => settings.database.connections_max as usize,
    };
    settings.limits.connections_max as u64 + origin as u64 + OTHERS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_is_a_file() {
        let settings = Settings::from_toml(
            "[limits]\nconnections_max = 1000\n[origin]\nconnections_max = 10\nmore_urls = [\"http://b:1\"]\n",
        );
        assert_eq!(needed(&settings.expect("it is valid")), 1000 + 2 * 10 + OTHERS);
    }
}
