use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    baseline, bench,
    dial::{Dialer, TlsArgs},
    drill,
    exit::UsageError,
    monitor, top, warm,
};

/// A multi-tier edge cache in front of an HTTP origin.
#[derive(Debug, Parser)]
#[command(name = "cache-proxy", version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything in one process: Pitchey's API over an embedded database, seeded, behind the cache
    Demo(DemoArgs),
    /// The cache in front of an HTTP origin, or of the Pitchey handlers over Postgres
    Serve(ServeArgs),
    /// Check a configuration file without starting anything
    Check(CheckArgs),
    /// Show the configuration
    Config(ConfigArgs),
    /// Whether a running node wants requests: exit code 0 or 1, for health checks
    Ready(ReadyArgs),
    /// Purge what running nodes hold, through the admin listener of one
    Purge(PurgeArgs),
    /// Say what a running node holds of a URL, and why it would hit or miss
    Explain(ExplainArgs),
    /// Tell what became of a request, decision by decision; or list the last ones
    Request(RequestArgs),
    /// Live rates, hit rates, latencies, and the hottest routes and keys, of one or several nodes
    Top(top::Args),
    /// Ask running nodes for what readers will ask for, before they do
    Warm(Box<warm::Args>),
    /// Ask endpoints of a running node again and again, through its cache and past it
    Monitor(Box<monitor::Args>),
    /// Measure latencies, keep them, and tell a later change from noise
    #[command(subcommand)]
    Baseline(Box<baseline::Command>),
    /// The outbox in a Postgres database: edge_cache.invalidate(tag, …) purges when the transaction commits
    #[command(subcommand)]
    Sql(SqlCommand),
    /// Measure: the load of a film marketplace against private servers, with and without the cache
    Bench(Box<bench::Args>),
    /// Break something on purpose, under load, before private servers: what happens, and whether every promise held
    Drill(Box<drill::Args>),
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub(crate) listen: String,
    /// Where operators connect
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9901")]
    pub(crate) admin: String,
    /// A Postgres database instead of the embedded one: postgres://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL")]
    pub(crate) database: Option<String>,
    /// Add a Redis tier: redis://HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// Pitches to make in an empty database
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=200_000))]
    pub(crate) pitches: u32,
    /// Keep the embedded database here, instead of in a temporary folder
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Do not ask endpoints again and again to see whether all is well
    #[arg(long)]
    pub(crate) no_monitor: bool,
    /// Make the tables and the data even beside tables of something else
    #[arg(long)]
    pub(crate) seed: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration; what the command line says besides comes before it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The origin: http://HOST:PORT or https://HOST:PORT
    #[arg(long, value_name = "URL")]
    pub(crate) origin: Option<String>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
    /// Where operators connect; none unless asked for
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) admin: Option<String>,
    /// Add a Redis tier: redis://HOST:PORT/DATABASE
    #[arg(long, value_name = "URL")]
    pub(crate) redis: Option<String>,
    /// guarded: RFC 9111 with the guards of the field; rfc: a plain shared cache
    #[arg(long, value_enum)]
    pub(crate) policy: Option<PolicyArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PolicyArg {
    Guarded,
    Rfc,
}

#[derive(Debug, Args)]
pub(crate) struct NodeArgs {
    /// The admin listener of a running node, http:// or https://HOST:PORT; the token is read from CACHE_PROXY_ADMIN_TOKEN
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9901")]
    admin: String,
    #[command(flatten)]
    tls: TlsArgs,
}

impl NodeArgs {
    /// The way there.
    ///
    /// # Errors
    /// Which option breaks which rule.
    pub(crate) fn dialer(&self) -> Result<Dialer, UsageError> {
        self.tls.dialer("--admin", &self.admin)
    }
}

#[derive(Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
    /// Print the answer as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true, multiple = true, args = ["tag", "url", "prefix", "all"])]
pub(crate) struct PurgeArgs {
    /// Everything that the origin tagged so; one name each, no list
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// A URL as clients name it, by its scheme, with all its variants; no wildcards
    #[arg(long, value_name = "URL")]
    pub(crate) url: Vec<String>,
    /// Every URL below a directory, http://HOST/DIRECTORY/, by either scheme; without its last slash, or below more than seven levels, the directory above
    #[arg(long, value_name = "URL")]
    pub(crate) prefix: Vec<String>,
    /// Everything
    #[arg(long)]
    pub(crate) all: bool,
    /// Not to be served even if the origin fails
    #[arg(long)]
    pub(crate) hard: bool,
    /// Only say how many entries the node holds of it
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) at: AdminArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The URL, as clients name it: http://HOST:PORT/PATH
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// A header of the request, such as "accept-language: de"
    #[arg(long, value_name = "NAME: VALUE")]
    pub(crate) header: Vec<String>,
    #[command(flatten)]
    pub(crate) at: AdminArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Its name, as the answer says it in x-edge-cache-id and the access log at the end of its line; left out: the last ones are listed
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// How many are listed
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) last: u32,
    #[command(flatten)]
    pub(crate) at: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SqlCommand {
    /// Make it, or leave it as it is
    Install(SqlArgs),
    /// Remove it, with the purges that wait in it
    Uninstall(SqlArgs),
    /// Say what waits in it
    Status(SqlStatusArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// postgres://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL", required_unless_present = "print")]
    pub(crate) database: Option<String>,
    /// With the triggers on Pitchey's tables
    #[arg(long)]
    pub(crate) pitchey: bool,
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SqlStatusArgs {
    /// postgres://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL")]
    pub(crate) database: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ReadyArgs {
    #[command(flatten)]
    pub(crate) node: NodeArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    /// Print every key with its default, as a file to start from
    #[arg(long, required_unless_present = "config")]
    pub(crate) print_defaults: bool,

    /// Print every key with what it has by this file and the environment, without secrets
    #[arg(long, value_name = "FILE", conflicts_with = "print_defaults")]
    pub(crate) config: Option<PathBuf>,
}
