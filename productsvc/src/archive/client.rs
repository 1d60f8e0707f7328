//! `productsvc archive`: old versions into the lake, through the mesh.
//!
//! A client like any other: the product service does the work, and stops when this goes.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::ProgressBar;
use mesh::Mesh;
use proto::products::admin_service_client::AdminServiceClient;
use proto::products::{ArchiveStep, ArchiveVersionsRequest, ArchiveVersionsResponse, ErrorReason};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::config::ArchiveArguments;
use crate::error::has_reason;
use crate::terminal::{self, print, say};

/// Another run may have been killed: then its month is free in less than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often we look whether it is.
const RETRY_PERIOD: Duration = Duration::from_millis(500);

/// How many versions are done.
const BAR: &str = "{bar:40} {percent:>3} %  {human_pos} of {human_len}  {msg}";

const RUNNING: u8 = 2;
const NO_LAKE: u8 = 3;
/// As shells have it: 128 and the number of the signal.
const INTERRUPTED: u8 = 130;

/// Archives what the arguments name, and reports how it went.
pub async fn archive(mesh: Mesh, arguments: ArchiveArguments) -> anyhow::Result<ExitCode> {
    let client = AdminServiceClient::new(mesh.channel("productsvc", proto::products::DESCRIPTORS));
    let request = ArchiveVersionsRequest {
        through_month: arguments.through.unwrap_or_default(),
        validate_only: arguments.dry_run,
    };
    let mut report = Report { bar: terminal::bar(0, BAR), found: BTreeMap::new(), done: BTreeMap::new() };
    let ended = tokio::select! {
        ended = until_answered(client, &request, &mut report) => ended,
        // The call ends with us, and with it the run; what is done stays done.
        () = mesh::interrupted() => {
            report.bar.finish_and_clear();
            say("interrupted: what is archived stays so, the next run goes on");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    report.bar.finish_and_clear();
    report.print(request.validate_only);
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(status) if has_reason(&status, ErrorReason::ArchiveRunning) => {
            say(&format!("gave up after {} s: {}", PATIENCE.as_secs(), status.message()));
            Ok(ExitCode::from(RUNNING))
        }
        Err(status) if has_reason(&status, ErrorReason::NoLake) => {
            say("the product service has no data lake: start it with --lake, or PRODUCTSVC_LAKE");
            Ok(ExitCode::from(NO_LAKE))
        }
        Err(status) => anyhow::bail!("the product service refused: {}", status.message()),
    }
}

/// Asks until everything is archived, or there is no use in asking.
async fn until_answered(
    mut client: AdminServiceClient<mesh::Channel>,
    request: &ArchiveVersionsRequest,
    report: &mut Report,
) -> Result<(), Status> {
    let mut waiting_since: Option<Instant> = None;
    loop {
        let before = report.done.len();
        let Err(status) = once(&mut client, request, report).await else { return Ok(()) };
        if report.done.len() > before {
            waiting_since = None;
        }
        // A connection that broke left a run behind that does not know of it yet.
        let passes = matches!(status.code(), Code::Cancelled | Code::Unknown)
            || has_reason(&status, ErrorReason::ArchiveRunning)
            || (status.code() == Code::Unavailable && !has_reason(&status, ErrorReason::LakeAway));
        if !passes {
            return Err(status);
        }
        let since = match waiting_since {
            Some(since) => since,
            None => {
                let notice = format!("waiting up to {} s: {}", PATIENCE.as_secs(), status.message());
                report.bar.suspend(|| say(&notice));
                *waiting_since.insert(Instant::now())
            }
        };
        if since.elapsed() > PATIENCE {
            return Err(status);
        }
        tokio::time::sleep(RETRY_PERIOD).await;
    }
}

async fn once(
    client: &mut AdminServiceClient<mesh::Channel>,
    request: &ArchiveVersionsRequest,
    report: &mut Report,
) -> Result<(), Status> {
    let mut progress = client.archive_versions(request.clone()).await?.into_inner();
    while let Some(progress) = progress.message().await? {
        report.hear(progress);
    }
    Ok(())
}

/// What was told so far.
struct Report {
    bar: ProgressBar,
    /// Months with the versions that were to be archived.
    found: BTreeMap<String, i64>,
    /// Months with the versions that were.
    done: BTreeMap<String, i64>,
}

impl Report {
    fn hear(&mut self, progress: ArchiveVersionsResponse) {
        let ArchiveVersionsResponse { month, rows, total_rows, .. } = progress.clone();
        let what = match progress.step() {
            ArchiveStep::Found => {
                self.found.insert(month, rows);
                return;
            }
            ArchiveStep::Done => {
                self.done.entry(month).and_modify(|done| *done += rows).or_insert(rows);
                return;
            }
            ArchiveStep::Writing => "writing",
            ArchiveStep::Verifying => "verifying",
            ArchiveStep::Removing => "removing",
            ArchiveStep::Unspecified => return,
        };
        self.bar.set_length(total_rows.unsigned_abs());
        self.bar.set_position(rows.unsigned_abs());
        self.bar.set_message(format!("{month}: {what}"));
    }

    fn print(&self, validate_only: bool) {
        let (months, verb) = if validate_only { (&self.found, "would be archived") } else { (&self.done, "archived") };
        let mut text = String::new();
        for (month, versions) in months {
            text.push_str(&format!("{month}  {versions:>10} versions\n"));
        }
        text.push_str(&format!("{} versions of {} months {verb}\n", months.values().sum::<i64>(), months.len()));
        print(&text);
    }
}
