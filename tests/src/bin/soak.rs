//! `soak`: a long mixed load over two nodes, with faults, in which every answer is judged.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use edge_cache_tests::soak::{Plan, run};

const USAGE: &str = "usage: soak [--seconds N] [--clients N] [--think-ms N] [--apart] [--json FILE]";

#[tokio::main]
async fn main() -> ExitCode {
    let Some((plan, json)) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let report = run(plan).await;
    print!("{report}");
    if let Some(file) = json
        && let Err(error) = std::fs::write(&file, format!("{:#}\n", report.json()))
    {
        eprintln!("{} cannot be written: {error}", file.display());
        return ExitCode::from(74);
    }
    if report.held() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn asked(mut args: impl Iterator<Item = String>) -> Option<(Plan, Option<PathBuf>)> {
    let mut plan = Plan::lasting(Duration::from_secs(1_800));
    let mut json = None;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--seconds" => plan.duration = Duration::from_secs(args.next()?.parse().ok()?),
            "--clients" => plan.clients = args.next()?.parse().ok()?,
            "--think-ms" => plan.think = Duration::from_millis(args.next()?.parse().ok()?),
            "--apart" => plan.apart = true,
            "--json" => json = Some(args.next()?.into()),
            _ => return None,
        }
    }
    Some((plan, json))
}
