//! An import that was stopped: what is in, how to go on, and how to take it back.

use std::path::Path;
use std::process::ExitCode;

use proto::products::{CancelImportRequest, GetImportJobRequest, ImportJob, ImportState};
use tonic::Code;

use crate::importer::jobs::patiently;
use crate::importer::report::counts;
use crate::importer::{CANCELLED, Client, job_code, plainly};
use crate::terminal::say;

/// Stops the import of a file that is no longer sent, and says how it stands.
pub(super) async fn after_interrupt(client: Client, file: &Path, request_id: &str) -> anyhow::Result<ExitCode> {
    say("stopping the import");
    let Some(job) = find(&client, request_id).await? else {
        say("nothing was imported");
        return Ok(ExitCode::from(CANCELLED));
    };
    let id = job.id;
    let cancelled = patiently(async || client.clone().cancel_import(CancelImportRequest { id }).await).await;
    match cancelled {
        Ok(answer) => {
            tell(&answer.job.unwrap_or_default(), file, request_id);
            Ok(ExitCode::from(CANCELLED))
        }
        // It was done before it could be stopped.
        Err(status) if status.code() == Code::FailedPrecondition => {
            let job = find(&client, request_id).await?.unwrap_or_default();
            say(&format!("import {id} had ended already\n{}", counts(&job).trim_end()));
            Ok(job_code(&job))
        }
        Err(status) => Err(plainly(&status)),
    }
}

/// Says how an import stands that someone else stopped.
pub(super) async fn by_others(client: Client, file: &Path, request_id: &str) -> anyhow::Result<ExitCode> {
    let job = find(&client, request_id).await?.unwrap_or_default();
    tell(&job, file, request_id);
    Ok(ExitCode::from(CANCELLED))
}

async fn find(client: &Client, request_id: &str) -> anyhow::Result<Option<ImportJob>> {
    let request = GetImportJobRequest { id: 0, request_id: request_id.to_owned() };
    match patiently(async || client.clone().get_import_job(request.clone()).await).await {
        Ok(answer) => Ok(answer.job),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(plainly(&status)),
    }
}

fn tell(job: &ImportJob, file: &Path, request_id: &str) {
    let (id, file) = (job.id, file.display());
    if job.state() != ImportState::Cancelled {
        say(&format!("import {id} is {}", job.state().as_str_name().trim_start_matches("IMPORT_STATE_")));
        return;
    }
    if job.dry_run {
        say(&format!("cancelled the dry run {id}: nothing was changed"));
        return;
    }
    say(&format!("cancelled import {id} after {} rows; what is in stays\n{}", job.rows, counts(job).trim_end()));
    say(&format!("the same command with --request-id {request_id} goes on with {file}"));
    if job.created + job.updated > 0 {
        say(&format!("productsvc import --undo {id} takes back what is in"));
    }
}
