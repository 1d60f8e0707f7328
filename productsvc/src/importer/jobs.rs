//! What is done to imports that are there: committing, undoing, cancelling, watching, listing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::ProgressBar;
use proto::products::{
    CancelImportRequest, CommitImportRequest, ImportJob, ImportState, ListImportConflictsRequest,
    ListImportJobsRequest, ListImportRefusalsRequest, UndoImportRequest, WatchImportJobRequest,
};
use tokio::time::Instant;
use tonic::{Response, Status};
use uuid::Uuid;

use crate::config::{ImportArguments, JobArguments};
use crate::importer::report::{Report, counts};
use crate::importer::{CANCELLED, Client, PATIENCE, RETRY_PERIOD, job_code, passes};
use crate::terminal::{self, print, say};

/// Imports that are listed; conflicts that are shown.
const MOST_LISTED: i32 = 20;

/// As many as a page may have.
const PAGE: i32 = 1000;

/// How many rows are done.
const BAR: &str = "{bar:40} {percent:>3} %  {pos} of {len}";

/// Does what the arguments say of an import.
pub(super) async fn serve(client: Client, arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let request_id = arguments.request_id.unwrap_or_else(Uuid::new_v4).to_string();
    match arguments.job {
        JobArguments { commit: Some(id), .. } => {
            let request = CommitImportRequest { id, request_id };
            done(patiently(async || client.clone().commit_import(request.clone()).await).await)?;
            follow(client, id, arguments).await
        }
        JobArguments { undo: Some(id), .. } => {
            let request = UndoImportRequest { id, request_id };
            done(patiently(async || client.clone().undo_import(request.clone()).await).await)?;
            follow(client, id, arguments).await
        }
        JobArguments { cancel: Some(id), .. } => {
            let request = CancelImportRequest { id };
            let job = done(patiently(async || client.clone().cancel_import(request).await).await)?.job;
            let job = job.unwrap_or_default();
            match job.dry_run {
                true => print(&format!("cancelled the dry run {id}: nothing of it is in")),
                false => print(&format!("cancelled import {id}; what is in stays\n{}", counts(&job))),
            }
            Ok(ExitCode::SUCCESS)
        }
        JobArguments { watch: Some(id), .. } => follow(client, id, arguments).await,
        JobArguments { .. } => list(client).await,
    }
}

/// Calls until it is answered, refused or too late.
pub(super) async fn patiently<T>(mut call: impl AsyncFnMut() -> Result<Response<T>, Status>) -> Result<T, Status> {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(status) if !passes(&status) || begun.elapsed() > PATIENCE => return Err(status),
            Err(_) => tokio::time::sleep(RETRY_PERIOD).await,
        }
    }
}

fn done<T>(answer: Result<T, Status>) -> anyhow::Result<T> {
    answer.map_err(|status| anyhow::anyhow!("the product service refused: {}", status.message()))
}

/// Shows how an import goes until it rests, and reports how it went.
async fn follow(client: Client, id: i64, arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let bar = terminal::bar(0, BAR);
    let job = tokio::select! {
        job = until_it_rests(&client, id, &bar) => job,
        () = mesh::interrupted() => {
            bar.finish_and_clear();
            say(&format!(
                "import {id} goes on without this program: --watch {id} shows it, --cancel {id} stops what is imported"
            ));
            return Ok(ExitCode::from(CANCELLED));
        }
    };
    bar.finish_and_clear();
    let job = job?;
    report(client, &job, begun.elapsed(), arguments).await?;
    Ok(job_code(&job))
}

async fn until_it_rests(client: &Client, id: i64, bar: &ProgressBar) -> anyhow::Result<ImportJob> {
    loop {
        let request = WatchImportJobRequest { id };
        let mut jobs = done(patiently(async || client.clone().watch_import_job(request).await).await)?;
        let mut last = None;
        // A stream that breaks is begun again, here or at another instance.
        while let Ok(Some(message)) = jobs.message().await {
            let job = message.job.unwrap_or_default();
            show(&job, bar);
            last = Some(job);
        }
        let rests = |job: &ImportJob| {
            use ImportState::{Cancelled, Done, Ready, Undone};
            matches!(job.state(), Ready | Done | Cancelled | Undone)
        };
        if let Some(job) = last.filter(rests) {
            return Ok(job);
        }
        tokio::time::sleep(RETRY_PERIOD).await;
    }
}

fn show(job: &ImportJob, bar: &ProgressBar) {
    let (did, all) = match job.state() {
        ImportState::Undoing => (job.undone + job.conflicts, job.created + job.updated),
        ImportState::Running => (job.created + job.updated + job.unchanged + job.refused, job.rows),
        _ => return,
    };
    bar.set_length(u64::try_from(all).unwrap_or_default());
    bar.set_position(u64::try_from(did).unwrap_or_default());
}

async fn report(
    mut client: Client,
    job: &ImportJob,
    elapsed: Duration,
    arguments: &ImportArguments,
) -> anyhow::Result<()> {
    match job.state() {
        ImportState::Undone => {
            let mut text = format!("took back {} products of import {}\n", job.undone, job.id);
            text.push_str(&conflicts(&mut client, job).await?);
            print(&text);
            Ok(())
        }
        ImportState::Cancelled => {
            print(&format!("import {} is cancelled; what is in stays\n{}", job.id, counts(job)));
            Ok(())
        }
        _ => {
            let request = ListImportRefusalsRequest { id: job.id, page_size: PAGE, page_token: String::new() };
            let page = client.list_import_refusals(request).await.context("could not list the refused rows")?;
            let first = page.into_inner().refusals;
            let report = Report { client, job: job.clone(), first, file: None, empty: 0 };
            report.print(elapsed, arguments).await
        }
    }
}

async fn conflicts(client: &mut Client, job: &ImportJob) -> anyhow::Result<String> {
    if job.conflicts == 0 {
        return Ok(String::new());
    }
    let request = ListImportConflictsRequest { id: job.id, page_size: MOST_LISTED, page_token: String::new() };
    let page = client.list_import_conflicts(request).await.context("could not list what was left alone")?.into_inner();
    let mut text = format!("left {} alone, which someone changed since\n", job.conflicts);
    for conflict in &page.conflicts {
        let what = match &conflict.product {
            None => "is gone".to_owned(),
            Some(product) if product.delete_time.is_some() => format!("{}  is deleted", product.sku),
            Some(product) => format!("{}  {}, version {}", product.sku, product.name, product.version),
        };
        text.push_str(&format!("  product {:<9}{what}\n", conflict.product_id));
    }
    if !page.next_page_token.is_empty() {
        text.push_str(&format!("  and {} more\n", job.conflicts - i64::from(MOST_LISTED)));
    }
    Ok(text)
}

async fn list(client: Client) -> anyhow::Result<ExitCode> {
    let request = ListImportJobsRequest { page_size: MOST_LISTED, page_token: String::new() };
    let page = done(patiently(async || client.clone().list_import_jobs(request.clone()).await).await)?;
    let mut text =
        format!("{:>6}  {:<10}{:>9}{:>9}{:>9}{:>9}  source\n", "job", "state", "rows", "created", "changed", "refused");
    for job in page.jobs {
        let state = job.state().as_str_name().trim_start_matches("IMPORT_STATE_").to_owned();
        let ImportJob { id, rows, created, updated, refused, source, .. } = job;
        text.push_str(&format!("{id:>6}  {state:<10}{rows:>9}{created:>9}{updated:>9}{refused:>9}  {source}\n"));
    }
    print(&text);
    Ok(ExitCode::SUCCESS)
}
