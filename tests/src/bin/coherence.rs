//! `coherence`: checks on real servers that a purge is final, whatever breaks.

use std::{process::ExitCode, time::Duration};

use edge_cache_tests::coherence::{Plan, Report, Scenario, run};

const USAGE: &str = "usage: coherence [--minutes N] [--lease-ms N] [--seed N] [SCENARIO...]";

#[tokio::main]
async fn main() -> ExitCode {
    let Some((scenarios, plan)) = asked(std::env::args().skip(1)) else {
        let names: Vec<_> = Scenario::ALL.iter().map(|scenario| scenario.as_str()).collect();
        eprintln!("{USAGE}\nscenarios: {}; all of them unless named", names.join(", "));
        return ExitCode::from(64);
    };
    println!(
        "{:.1} minutes a scenario, lease {:?}, seed {}",
        plan.duration.as_secs_f64() / 60.0,
        plan.lease,
        plan.seed
    );
    println!("{}", Report::COLUMNS);
    let mut violations = 0;
    for scenario in scenarios {
        let report = run(scenario, plan).await;
        println!("{report}");
        report.described.iter().for_each(|violation| println!("  {violation}"));
        violations += report.violations;
    }
    println!("{violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) }
}

fn asked(mut args: impl Iterator<Item = String>) -> Option<(Vec<Scenario>, Plan)> {
    let mut plan = Plan { duration: Duration::from_secs(120), lease: Duration::from_secs(5), seed: 1 };
    let mut scenarios = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--minutes" => {
                let minutes: f64 = args.next()?.parse().ok()?;
                plan.duration = Duration::try_from_secs_f64(minutes * 60.0).ok()?;
            }
            "--lease-ms" => plan.lease = Duration::from_millis(args.next()?.parse().ok()?),
            "--seed" => plan.seed = args.next()?.parse().ok()?,
            name => scenarios.push(*Scenario::ALL.iter().find(|scenario| scenario.as_str() == name)?),
        }
    }
    if scenarios.is_empty() {
        scenarios.extend(Scenario::ALL);
    }
    Some((scenarios, plan))
}
