use serde_json::json;

use crate::{
    bench::Bench,
    rounds,
    server::{self, Server},
    servers::{self, CacheProxy},
    stats::Spread,
    table::{Table, with_quartiles, with_range},
};

type Start<'a> = Box<dyn Fn() -> anyhow::Result<Server> + 'a>;

/// How soon the first answer comes: from the start of the process to the end of the answer, a miss where it is a cache's.
pub(crate) fn ask(bench: &mut Bench) -> anyhow::Result<()> {
    let origin = servers::origin(bench)?;
    let mut starts: Vec<(&str, Start<'_>)> = vec![("floor", Box::new(|| servers::floor_at_once(bench, 1024)))];
    if bench.wants("cache-proxy") {
        starts.push(("cache-proxy", Box::new(|| CacheProxy::default().start_at_once(bench, &origin))));
    }
    let times = rounds::interleaved(bench, bench.args.rounds, starts.len(), |at, _| {
        let server = starts[at].1()?;
        server::get(server.address, "/item/1?bytes=1024")?;
        Ok(server.started.elapsed().as_secs_f64() * 1e3)
    })?;
    let mut table = Table::new("From start to first answer", ["server", "ms (min..max)", "x floor (quartiles)"]);
    for ((name, _), own) in starts.iter().zip(&times) {
        let (all, ratio) = (Spread::of(own.iter().copied()), rounds::ratio(own, &times[0], |millis| *millis));
        let json = json!({ "server": name, "millis": all, "ratio": ratio, "rounds": own });
        table.row([(*name).to_owned(), with_range(all, 2), with_quartiles(ratio, 2)], json);
    }
    drop(starts);
    bench.show("start", table);
    Ok(())
}
