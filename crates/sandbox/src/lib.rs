//! Private Postgres, PgBouncer and Redis servers for tests, benches and drills, and a browser for tests.
//!
//! Each server is started from an installed binary, listens on a free port of 127.0.0.1 only, keeps
//! its files in a temporary folder of its own and is gone, folder included, when its handle is
//! dropped or when the process that started it ends in any way, `kill -9` included.
//!
//! ```no_run
//! # async fn example() -> Result<(), edge_cache_sandbox::Error> {
//! use edge_cache_sandbox::{PgBouncer, Postgres, Redis};
//!
//! let pg = Postgres::builder().max_connections(20).start().await?;
//! let redis = Redis::start().await?;
//! let pooler = PgBouncer::in_front_of(&pg).await?;
//! println!("{} {} {}", pg.url(), pooler.url(), redis.url());
//! redis.kill().await?; // the port now refuses
//! redis.restart().await?; // the same port, an empty database
//! # Ok(())
//! # }
//! ```
//!
//! # How a server is tied to its starter
//! Between the two stands a small shell (`supervisor.sh`), which reads requests from a pipe that
//! only the starter holds. The kernel closes that pipe however the starter dies; the shell then ends
//! the server and removes the folder. A parent-death signal (`prctl`, `setpriv --pdeathsig`) would
//! not do: it fires when the *thread* that spawned the server ends, so a runtime that retires an idle
//! worker would kill a healthy server, and nobody would be left to remove the folder.
//!
//! The shell and the server stand in a process group of their own, so that a test runner that kills
//! the group of a test that hangs does not kill the cleaner with it.
//!
//! Nothing here depends on the runtime that called it: the work is done on blocking threads, with
//! real time, so it also works under a paused clock and a handle may outlive its runtime. Dropping a
//! handle blocks until the server is gone, some tens of milliseconds.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod blocking;
mod error;
mod locate;
mod pgbouncer;
mod port;
mod postgres;
mod process;
mod redis;
mod server;
mod supervisor;
mod user;
mod webdriver;

pub use error::Error;
pub use pgbouncer::{PgBouncer, PgBouncerBuilder};
pub use postgres::{Mode, Postgres, PostgresBuilder};
pub use redis::{Redis, RedisBuilder};
pub use webdriver::WebDriver;
