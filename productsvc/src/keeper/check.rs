//! `productsvc check`: each thing in the database that must not be.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::keeper::bar::{bar, shown};
use crate::keeper::{CheckArguments, FINDINGS};
use crate::store::{self, Progress};
use crate::terminal::print;

/// Checks, after it has repaired what it may.
pub(super) async fn check(CheckArguments { repair, database }: CheckArguments) -> anyhow::Result<ExitCode> {
    let url = &database.database_url;
    if repair {
        store::recount(url).await.context("nothing was repaired")?;
    }
    let (bar, progress) = (bar(), Progress::default());
    let mut tell = {
        let bar = bar.clone();
        move |finding: &str| bar.suspend(|| print(finding))
    };
    let found = shown(&bar, &progress, store::check(url, &mut tell, &progress)).await;
    match found.context("could not check the catalogue to its end")? {
        0 => {
            print("the catalogue is sound");
            Ok(ExitCode::SUCCESS)
        }
        count => {
            print(&format!("{count} found; docs/catalogue.md says what to do about them"));
            Ok(ExitCode::from(FINDINGS))
        }
    }
}
