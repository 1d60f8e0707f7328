//! `productsvc import`: a CSV file into the catalogue, through the mesh.
//!
//! A client like any other: it finds the product service through the registry and
//! knows nothing of the database. A connection that breaks is no end: the file is
//! sent again under the same request id, and the service skips what it has.

mod cancel;
mod difference;
mod feed;
mod jobs;
mod lines;
mod report;
mod sheet;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use mesh::Mesh;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{ErrorReason, ImportJob, ImportMode, ImportOptions, ImportProductsResponse, ImportState};
use tokio::time::Instant;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::config::{ImportArguments, Mode};
use crate::error::has_reason;
use crate::importer::feed::Feed;
use crate::importer::report::Report;
use crate::importer::sheet::Sheet;
use crate::terminal::{self, say};
use crate::text::cut;

/// The client of the product service through the mesh.
type Client = ProductServiceClient<mesh::Channel>;

/// How long we wait for a product service that is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// The exit code of an import with refused rows, or of an undoing with conflicts.
const REFUSED: u8 = 2;

/// The exit code of `--only-if-new` on a catalogue that is not.
const NOT_NEW: u8 = 3;

/// How far the file is sent.
const BAR: &str = "{bar:40} {percent:>3} %  {bytes} of {total_bytes}  {msg}";

/// The exit code of what was cancelled, or watched no longer.
const CANCELLED: u8 = 4;

/// How often we look whether it is back.
const RETRY_PERIOD: Duration = Duration::from_millis(300);

/// Does what the arguments say, and reports how it went.
pub async fn import(mesh: Mesh, arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    let client = Client::new(mesh.channel("productsvc", proto::products::DESCRIPTORS));
    match &arguments.file {
        Some(file) => import_file(client, file, &arguments).await,
        None => jobs::serve(client, &arguments).await,
    }
}

async fn import_file(client: Client, file: &Path, arguments: &ImportArguments) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    if let Some(refused) = &arguments.refused {
        report::prepare(refused, file)?;
    }
    // The whole file is read once before anything is sent: half an import of a
    // file that cannot be read to its end would help nobody.
    let survey =
        sheet::survey(file).with_context(|| format!("could not import {}: nothing was sent", file.display()))?;
    for column in &survey.ignored {
        say(&format!("the column {column:?} is ignored: a product has name, category and sku"));
    }

    let options = options(file, arguments);
    let request_id = options.request_id.clone();
    let bar = terminal::bar(survey.bytes, BAR);
    let mut sending = Sending { client: client.clone(), file, options, bar, furthest: 0 };
    let answer = tokio::select! {
        answer = sending.until_answered() => Some(answer),
        () = mesh::interrupted() => None,
    };
    sending.bar.finish_and_clear();
    let Some(answer) = answer else {
        return cancel::after_interrupt(client, file, &request_id).await;
    };
    let answer = match answer {
        Err(error) if error.is::<NotNew>() => {
            say(&error.to_string());
            return Ok(ExitCode::from(NOT_NEW));
        }
        Err(error) if error.is::<Cancelled>() => return cancel::by_others(client, file, &request_id).await,
        answer => answer?,
    };

    let job = answer.job.context("the product service answered without a job")?;
    if job.state() == ImportState::Cancelled {
        return cancel::by_others(client, file, &request_id).await;
    }
    let code = job_code(&job);
    let report = Report { client, job, first: answer.refusals, file: Some(file), empty: survey.empty };
    report.print(begun.elapsed(), arguments).await?;
    Ok(code)
}

/// What an import that ended, or would, is to a script.
fn job_code(job: &ImportJob) -> ExitCode {
    match job.state() {
        ImportState::Cancelled => ExitCode::from(CANCELLED),
        ImportState::Undone if job.conflicts > 0 => ExitCode::from(REFUSED),
        ImportState::Undone => ExitCode::SUCCESS,
        _ if job.refused > 0 => ExitCode::from(REFUSED),
        _ => ExitCode::SUCCESS,
    }
}

fn options(file: &Path, arguments: &ImportArguments) -> ImportOptions {
    let mode = match arguments.mode {
        Mode::Upsert => ImportMode::Upsert,
        Mode::Create => ImportMode::Create,
        Mode::Update => ImportMode::Update,
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    ImportOptions {
        request_id: arguments.request_id.unwrap_or_else(Uuid::new_v4).to_string(),
        mode: mode.into(),
        only_if_new: arguments.only_if_new,
        source: cut(&name.replace(char::is_control, " "), 200),
        dry_run: arguments.dry_run,
        allow_damaged: arguments.allow_damaged,
        // Whoever names an import wants to go on with it.
        resume_cancelled: arguments.request_id.is_some(),
    }
}

/// A file that is being sent, as often as it takes.
struct Sending<'a> {
    client: Client,
    file: &'a Path,
    options: ImportOptions,
    bar: ProgressBar,
    /// The byte that the file was ever sent up to: beyond it is progress.
    furthest: u64,
}

impl Sending<'_> {
    async fn until_answered(&mut self) -> anyhow::Result<ImportProductsResponse> {
        let mut waiting_since: Option<Instant> = None;
        loop {
            let before = self.furthest;
            let status = match self.once().await? {
                Ok(answer) => return Ok(answer),
                Err(status) => status,
            };
            if !passes(&status) {
                return Err(plainly(&status));
            }
            if self.furthest > before {
                waiting_since = None;
            }
            let since = match waiting_since {
                Some(since) => since,
                None => {
                    let notice =
                        format!("waiting up to {} s for the product service: {}", PATIENCE.as_secs(), status.message());
                    self.bar.suspend(|| say(&notice));
                    *waiting_since.insert(Instant::now())
                }
            };
            if since.elapsed() > PATIENCE {
                let id = &self.options.request_id;
                bail!(
                    "gave up after {} s: {}\nwhat was stored stays; `--request-id {id}` goes on with this import",
                    PATIENCE.as_secs(),
                    status.message()
                );
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Sends the file from its beginning; fails when the file cannot be read.
    async fn once(&mut self) -> anyhow::Result<Result<ImportProductsResponse, Status>> {
        let sheet = Sheet::open(self.file)?;
        let (mut feed, messages) = Feed::start(self.options.clone(), sheet, self.bar.clone());
        let mut call = std::pin::pin!(self.client.import_products(messages));
        let answer = tokio::select! {
            answer = &mut call => answer,
            // Ending the stream would end the import: the call is dropped instead.
            error = feed.failed() => return Err(error).with_context(|| format!("could not read {}", self.file.display())),
        };
        self.furthest = self.furthest.max(self.bar.position());
        Ok(answer.map(tonic::Response::into_inner))
    }
}

/// Whether the same request may succeed in a moment.
fn passes(status: &Status) -> bool {
    match status.code() {
        // What is left of a connection that broke tells why in many ways.
        Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded => true,
        // The broken stream before this one is not known to be broken yet.
        Code::Aborted => has_reason(status, ErrorReason::ImportRunning),
        _ => false,
    }
}

/// The catalogue has held products, and only a new one was to be filled.
#[derive(Debug, thiserror::Error)]
#[error("the catalogue is not new: nothing was imported")]
struct NotNew;

/// Someone cancelled the import while its rows were sent.
#[derive(Debug, thiserror::Error)]
#[error("the import was cancelled")]
struct Cancelled;

fn plainly(status: &Status) -> anyhow::Error {
    let has = |reason| has_reason(status, reason);
    if has(ErrorReason::CatalogueNotNew) {
        NotNew.into()
    } else if has(ErrorReason::ImportState) {
        Cancelled.into()
    } else if has(ErrorReason::RequestIdReused) {
        anyhow::anyhow!("this request id belongs to another import: leave it out, or repeat that one exactly")
    } else {
        anyhow::anyhow!("the product service refused: {}", status.message())
    }
}
