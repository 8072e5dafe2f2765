//! Instructions, by callgrind.

use std::{path::Path, process::Command};

use anyhow::{Context, ensure};

use crate::{exchanges::Ready, kind::Kind};

/// Instructions of one exchange, in the mean. Callgrind's figures are kept in `folder`.
pub(crate) fn count(kind: Kind, folder: &Path) -> anyhow::Result<f64> {
    let file = folder.join(format!("{}.callgrind", kind.as_str()));
    let this = std::env::current_exe()?;
    let said = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*Ready*measured*"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(this)
        .args(["exchange", kind.as_str()])
        .output()
        .context("cannot run valgrind (Debian: apt-get install valgrind)")?;
    ensure!(said.status.success(), "valgrind failed: {}", String::from_utf8_lossy(&said.stderr));
    Ok(total(&file)? as f64 / Ready::len() as f64)
}

fn total(file: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(file)?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: ")).context("callgrind wrote no totals")?;
    let total = totals.trim().parse().with_context(|| format!("`{totals}` is no count of instructions"))?;
    ensure!(total > 0, "callgrind counted nothing");
    Ok(total)
}
