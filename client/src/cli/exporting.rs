//! `export`: reports for statistics.

use std::process::ExitCode;

use content::export;
use content::v1::EcoMessage;

use super::args::{Export, Format};
use super::print;
use crate::Error;

pub(super) fn run(export: &Export) -> Result<ExitCode, Error> {
    let mut reports = Vec::new();
    for path in &export.files {
        let bytes = std::fs::read(path).map_err(|cause| Error::File { what: "read", path: path.clone(), cause })?;
        let report = content::from_json(&bytes).map_err(|error| Error::Argument(format!("{} is no report: {error}", path.display())))?;
        reports.push(checked(report));
    }
    match export.format {
        Format::Csv => rows(&export::CSV_COLUMNS, reports.iter().map(export::csv)),
        Format::Cites => rows(&export::CITES_COLUMNS, reports.iter().map(export::cites)),
        Format::Geojson => {
            let features: Vec<_> = reports.iter().map(export::geojson).collect();
            print::json(&serde_json::json!({"type": "FeatureCollection", "features": features}));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Identifiers in their one spelling; what is wrong was said when the report was opened.
fn checked(mut report: EcoMessage) -> EcoMessage {
    drop(content::check(&mut report));
    report
}

fn rows(columns: &[&str], rows: impl Iterator<Item = String>) {
    let text: String = std::iter::once(export::record(columns)).chain(rows).collect();
    // A row ends with a line of its own.
    print::line(&crate::words::EscapedLines(text.replace("\r\n", "\n").trim_end_matches('\n')).to_string());
}
