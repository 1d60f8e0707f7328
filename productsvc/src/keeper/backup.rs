//! `productsvc backup` and `productsvc restore`.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::keeper::BackupArguments;
use crate::keeper::bar::{bar, shown};
use crate::store::{self, Holding, Progress};
use crate::terminal::print;

/// Writes a backup.
pub(super) async fn backup(BackupArguments { file, database }: BackupArguments) -> anyhow::Result<ExitCode> {
    let progress = Progress::default();
    let done = shown(&bar(), &progress, store::backup(&database.database_url, &file, &progress)).await;
    let holding = done.context("there is no backup")?;
    print(&format!("backed up {} to {}", told(holding), file.display()));
    Ok(ExitCode::SUCCESS)
}

/// Loads a backup.
pub(super) async fn restore(BackupArguments { file, database }: BackupArguments) -> anyhow::Result<ExitCode> {
    let progress = Progress::default();
    let done = shown(&bar(), &progress, store::restore(&database.database_url, &file, &progress)).await;
    let holding = done.context("nothing was restored")?;
    print(&format!("restored {} from {}", told(holding), file.display()));
    Ok(ExitCode::SUCCESS)
}

fn told(holding: Holding) -> String {
    let Holding { last_sequence, live_products, rows } = holding;
    format!("{live_products} products as of change {last_sequence} ({rows} rows)")
}
