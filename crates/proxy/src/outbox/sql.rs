//! `cache-proxy sql`: the outbox in a database that is there already.

use anyhow::Context;
use edge_cache_origin::{
    database::{Database, DatabaseConfig, Dialect},
    outbox::{self, INSTALL, UNINSTALL},
};
use edge_cache_pitchey::{NO_TRIGGERS, TRIGGERS, drop_triggers, install_triggers};

use crate::{
    cli::SqlCommand,
    exit::{UsageError, say},
};

/// Runs it, or prints what it would run.
pub(crate) async fn run(command: SqlCommand) -> anyhow::Result<()> {
    match command {
        SqlCommand::Install(args) if args.print => {
            say(INSTALL);
            if args.pitchey {
                say(TRIGGERS);
            }
        }
        SqlCommand::Install(args) => {
            let database = connect(args.database.as_deref().unwrap_or_default()).await?;
            outbox::install(&database).await.context("cannot make the outbox")?;
            if args.pitchey {
                install_triggers(&database).await.context(
                    "the outbox is installed, the triggers are not: --pitchey is for a database that has Pitchey's tables",
                )?;
            }
            say("installed: SELECT edge_cache.invalidate('TAG', …) purges when its transaction commits");
        }
        SqlCommand::Uninstall(args) if args.print => {
            if args.pitchey {
                say(NO_TRIGGERS);
            }
            say(UNINSTALL);
        }
        SqlCommand::Uninstall(args) => {
            let database = connect(args.database.as_deref().unwrap_or_default()).await?;
            if args.pitchey {
                drop_triggers(&database).await.context("cannot remove the triggers")?;
            }
            outbox::uninstall(&database).await.context(
                "cannot remove the outbox: nothing may call it any more (Pitchey's triggers go with --pitchey)",
            )?;
            say("removed");
        }
        SqlCommand::Status(args) => {
            let database = connect(&args.database).await?;
            match outbox::status(&database).await.context("cannot read the outbox")? {
                None => say("not installed"),
                Some(status) => say(format_args!(
                    "installed: {} waiting (the oldest for {} s), {} done of late",
                    status.open, status.oldest_seconds, status.done
                )),
            }
        }
    }
    Ok(())
}

async fn connect(url: &str) -> anyhow::Result<Database> {
    let url = url.to_owned();
    let config = DatabaseConfig { url, connections_max: 1, ..DatabaseConfig::default() };
    if config.dialect().ok() != Some(Dialect::Postgres) {
        return Err(UsageError("--database: must be postgres://USER:PASSWORD@HOST:PORT/NAME".to_owned()).into());
    }
    Ok(Database::connect(config).await?)
}
