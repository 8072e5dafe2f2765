use std::path::Path;

use anyhow::Context;

/// Prints a report as text on standard output, and writes it as JSON to `file`; for `-` the JSON takes standard output, and the text standard
/// error.
///
/// # Errors
/// When the file cannot be written; the text has been printed then.
pub(crate) fn publish(text: &str, json: &str, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(file) if file.as_os_str() == "-" => {
            eprint!("{text}");
            print!("{json}");
        }
        Some(file) => {
            print!("{text}");
            std::fs::write(file, json).with_context(|| format!("{} cannot be written", file.display()))?;
        }
        None => print!("{text}"),
    }
    Ok(())
}
