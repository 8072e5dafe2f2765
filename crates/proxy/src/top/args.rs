//! What the command line of `cache-proxy top` says.

use crate::{
    dial::{Dialer, TlsArgs},
    exit::UsageError,
};

/// More nodes than fit on a screen.
const NODES_MAX: usize = 64;

const AFTER: &str = "\
The token of the admin listeners is read from CACHE_PROXY_ADMIN_TOKEN. Of several nodes, counts and rates are sums, hit rates those of the sums,
and latencies those of the worst node. NO_COLOR turns colours off.

Keys: q quit, ? help, n next node, a all nodes, tab routes or keys, arrows scroll, c h p b s sort the routes.

Exit codes: 0 well, 1 no node answered the one snapshot, 64 wrong use.";

/// Live rates, hit rates, latencies, and the hottest routes and keys, of one or several nodes
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// The admin listener of a running node, http:// or https://HOST:PORT; several are summed
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    pub(crate) admin: Vec<String>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Print one snapshot as text and end; so it is also where standard output is no terminal
    #[arg(long)]
    pub(crate) once: bool,
    /// Print the snapshot as JSON; implies --once
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw without colours, and with marks and bars in ASCII
    #[arg(long)]
    pub(crate) plain: bool,
}

impl Args {
    /// Where the nodes are.
    ///
    /// # Errors
    /// Which URL breaks which rule.
    pub(super) fn nodes(&self) -> Result<Vec<Dialer>, UsageError> {
        let nodes = self.admin.iter().map(|url| self.tls.dialer("--admin", url)).collect::<Result<Vec<_>, _>>()?;
        if nodes.len() > NODES_MAX {
            return Err(UsageError(format!("--admin: at most {NODES_MAX} nodes")));
        }
        for (at, node) in nodes.iter().enumerate() {
            // What it counts would be summed twice.
            if nodes[..at].iter().any(|other| other.address() == node.address()) {
                return Err(UsageError(format!("--admin {}: is named twice", self.admin[at])));
            }
        }
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn nodes(line: &[&str]) -> Result<Vec<String>, String> {
        let line = Line::try_parse_from([&["top"], line].concat()).map_err(|error| error.to_string())?;
        let nodes = line.args.nodes().map_err(|error| error.to_string())?;
        Ok(nodes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nodes_are_named_once_each_as_hosts_with_ports() {
        assert_eq!(nodes(&[]).unwrap(), ["http://127.0.0.1:9901"]);
        assert_eq!(
            nodes(&["--admin", "http://a:1/", "--admin", "https://[::1]:2"]).unwrap(),
            ["http://a:1", "https://[::1]:2"]
        );
        for wrong in ["a:1", "http://a/x", "http://a?x", "http://me@a", ""] {
            assert!(nodes(&["--admin", wrong]).unwrap_err().contains("must be http://HOST:PORT"), "{wrong}");
        }
        assert!(nodes(&["--admin", "http://a:1", "--admin", "http://a:1/"]).unwrap_err().contains("twice"));
    }
}
