//! `productsvc export`: the catalogue, or what a filter means of it, as a CSV file through the mesh.
//!
//! A client like any other. A connection that breaks is no end: the export goes on
//! behind the last batch that was written, at whichever instance answers.

mod output;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use mesh::Mesh;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{ExportProductsRequest, ExportProductsResponse};
use tokio::time::Instant;
use tonic::{Code, Status};

use crate::config::ExportArguments;
use crate::exporter::output::Output;
use crate::terminal::{self, say};

/// How long we wait for a product service that is away.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many products are written.
const BAR: &str = "{bar:40} {percent:>3} %  {human_pos} of {human_len} {msg}";

/// How often we look whether it is back.
const RETRY_PERIOD: Duration = Duration::from_millis(300);

/// What shells say of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Exports what the arguments mean, and says how much it was.
pub async fn export(mesh: Mesh, arguments: ExportArguments) -> anyhow::Result<ExitCode> {
    let target = arguments.file.clone();
    let done = tokio::select! {
        // First, so that it is listened for before there is a file to be removed.
        biased;
        () = mesh::interrupted() => None,
        done = whole(mesh, arguments) => Some(done),
    };
    match done {
        Some(Ok(())) => Ok(ExitCode::SUCCESS),
        // Whoever read this has what it wanted.
        Some(Err(error)) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Some(Err(error)) => Err(error),
        None => {
            // Rows are written whole between two waits, and the unfinished file went with the export.
            let left = match target.display().to_string().as_str() {
                "-" => "what was written ends with a whole row".to_owned(),
                file => format!("{file} is as it was"),
            };
            say(&format!("stopped: {left}"));
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

async fn whole(mesh: Mesh, arguments: ExportArguments) -> anyhow::Result<()> {
    let begun = Instant::now();
    let place = arguments.file.display().to_string();
    let output = Output::create(&arguments.file, arguments.show_deleted);
    let output = output.with_context(|| format!("could not write {place}"))?;
    let request = ExportProductsRequest {
        filter: arguments.filter,
        show_deleted: arguments.show_deleted,
        order_by: arguments.order_by,
        page_token: String::new(),
    };
    let client = ProductServiceClient::new(mesh.channel("productsvc", proto::products::DESCRIPTORS));
    let mut export = Export { client, request, output, bar: terminal::bar(0, BAR), written: 0 };
    let done = export.until_whole().await;
    export.bar.finish_and_clear();
    done?;
    export.output.finish().with_context(|| format!("could not write {place}"))?;
    if place != "-" {
        say(&format!("{} products to {place} in {:.1} s", export.written, begun.elapsed().as_secs_f64()));
    }
    Ok(())
}

/// An export that is being written, however often it takes.
struct Export {
    client: ProductServiceClient<mesh::Channel>,
    /// Goes on behind what is written.
    request: ExportProductsRequest,
    output: Output,
    bar: ProgressBar,
    /// How many products are written.
    written: u64,
}

impl Export {
    async fn until_whole(&mut self) -> anyhow::Result<()> {
        let mut waiting_since: Option<Instant> = None;
        loop {
            let before = self.request.page_token.clone();
            let Err(status) = self.once().await? else { return Ok(()) };
            if !passes(&status) {
                bail!("the product service refused: {}", status.message());
            }
            if self.request.page_token != before {
                waiting_since = None;
            }
            let since = match waiting_since {
                Some(since) => since,
                None => {
                    let notice = format!("waiting for the product service: {}", status.message());
                    self.bar.suspend(|| say(&notice));
                    *waiting_since.insert(Instant::now())
                }
            };
            if since.elapsed() > PATIENCE {
                bail!("gave up after {} s: {}", PATIENCE.as_secs(), status.message());
            }
            tokio::time::sleep(RETRY_PERIOD).await;
        }
    }

    /// Writes what one call tells; fails when it cannot be written.
    async fn once(&mut self) -> anyhow::Result<Result<(), Status>> {
        let mut batches = match self.client.export_products(self.request.clone()).await {
            Ok(batches) => batches.into_inner(),
            Err(status) => return Ok(Err(status)),
        };
        loop {
            let batch = match batches.message().await {
                Ok(Some(batch)) => batch,
                Ok(None) => return Ok(Err(Status::unavailable("the export broke off"))),
                Err(status) => return Ok(Err(status)),
            };
            let is_last = batch.is_last;
            self.write(batch).context("could not write the products")?;
            if is_last {
                return Ok(Ok(()));
            }
        }
    }

    fn write(&mut self, batch: ExportProductsResponse) -> anyhow::Result<()> {
        if self.request.page_token.is_empty() {
            self.bar.set_length(u64::try_from(batch.total_size).unwrap_or(0));
            self.bar.set_message(if batch.total_size_is_exact { "" } else { "or so" });
        }
        self.output.write(&batch.products)?;
        self.written += batch.products.len() as u64;
        self.bar.set_position(self.written);
        self.request.page_token = batch.page_token;
        Ok(())
    }
}

/// Whether the same call may succeed in a moment.
fn passes(status: &Status) -> bool {
    // What is left of a connection that broke tells why in many ways.
    matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown | Code::DeadlineExceeded)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(broken))
}
