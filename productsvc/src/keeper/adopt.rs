//! `productsvc adopt`: the first Rundoo's products, with a person's decisions.

use std::process::ExitCode;

use crate::adoption::{Report, Resolution};
use crate::keeper::{AdoptArguments, FINDINGS};
use crate::store::{OpenError, ProductStore};
use crate::terminal::{print, say};

/// Adopts, or tells what it would do.
pub(super) async fn adopt(arguments: AdoptArguments) -> anyhow::Result<ExitCode> {
    let AdoptArguments { duplicates, refused, dry_run, database } = arguments;
    let resolution = Resolution { duplicates, refused };
    let report = match ProductStore::adopt(&database.database_url, resolution, dry_run).await {
        Ok(Some(report)) => report,
        Ok(None) => {
            print("there is nothing to adopt");
            return Ok(ExitCode::SUCCESS);
        }
        Err(OpenError::Undecided { report }) => *report,
        Err(error) => return Err(error.into()),
    };
    let undecided = report.open();
    tell(&report, dry_run);
    if undecided == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{undecided} need a decision (--duplicates, --refused); nothing was changed"));
    Ok(ExitCode::from(FINDINGS))
}

fn tell(report: &Report, dry_run: bool) {
    for finding in &report.findings {
        print(&finding.to_string());
    }
    let Report { rows, adopted, cleaned, duplicates, refused, .. } = report;
    let is = if dry_run || report.open() > 0 { "would be" } else { "are" };
    print(&format!("{adopted} of {rows} rows {is} products"));
    print(&format!("  {duplicates} have the SKU of another, {refused} have values that are refused"));
    print(&format!("  {cleaned} lose spaces that nobody sees"));
}
