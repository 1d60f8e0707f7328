//! `productsvc import` beyond importing: trying, committing, undoing, and Ctrl-C.

use std::path::Path;

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{catalogue, eventually};
use proto::products::{ImportState, ListImportJobsRequest, Product, UpdateProductRequest};
use rustix::process::Signal;

use crate::import::{ROWS, counts, file, import, varied};

/// The program with arguments about a job.
async fn about(system: &System, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let program = system.program(Role::Products(0)).argument("import");
    let program = arguments.iter().fold(program, |program, argument| program.argument(*argument));
    let (status, output) = program.start()?.finish().await?;
    Ok((status.code(), output))
}

/// The number behind a flag that the program says to go on with.
fn said(output: &str, flag: &str) -> anyhow::Result<String> {
    let (_, rest) = output.split_once(flag).with_context(|| format!("no {flag} in {output}"))?;
    Ok(rest.split_whitespace().next().unwrap_or_default().to_owned())
}

async fn names(system: &System) -> anyhow::Result<Vec<(String, String)>> {
    Ok(catalogue::read(system).await?.into_iter().map(|(sku, product)| (sku, product.name)).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_tried_committed_and_undone_from_the_command_line() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::with(options).await?;
        let path = file(&system, "shelf.csv", "name,category,sku\nSaw,Tools,SAW-1\nAxe,Tools,AXE-1\n")?;
        import(&system, &path, &[]).await?;
        let before = names(&system).await?;
        let text = "name,category,sku\nHand saw,Tools,SAW-1\nAxe,Tools,AXE-1\nNail,Parts,NAIL-1\n,Parts,NAIL-2\n";
        let path = file(&system, "new.csv", text)?;

        let (code, output) = import(&system, &path, &["--dry-run"]).await?;

        assert_eq!((code, counts(&output)), (Some(2), "created 1, changed 1, unchanged 1, refused 1".to_owned()));
        assert!(output.contains("nothing is changed"), "{output}");
        assert!(output.contains("line 2      changes   SAW-1  name: \"Saw\" becomes \"Hand saw\""), "{output}");
        assert!(output.contains("line 4      adds      NAIL-1  Nail  (Parts)"), "{output}");
        assert_eq!(names(&system).await?, before);
        let job = said(&output, "--commit ")?;

        let (code, output) = about(&system, &["--commit", &job, "--refused", "refused.csv"]).await?;
        assert_eq!((code, counts(&output)), (Some(2), "created 1, changed 1, unchanged 1, refused 1".to_owned()));
        let refused = std::fs::read_to_string(system.folder().join("refused.csv"))?;
        assert!(refused.contains("\n,Parts,NAIL-2,5,name,INVALID_FIELD,"), "the service has the row: {refused}");
        let all = catalogue::read(&system).await?;
        assert_eq!((all["SAW-1"].name.as_str(), all.len()), ("Hand saw", 3));
        let (code, output) = about(&system, &["--commit", &job]).await?;
        assert!(code == Some(1) && output.contains(&format!("import {job} is DONE")), "{output}");

        let Product { id, category, sku, etag, .. } = all["NAIL-1"].clone();
        let name = "Mine".to_owned();
        let change = UpdateProductRequest { id, name, category, sku, etag, ..Default::default() };
        system.products().update_product(change).await?;
        let (code, output) = about(&system, &["--undo", &job]).await?;
        assert_eq!(code, Some(2), "{output}");
        assert!(output.contains("took back 1 products") && output.contains("left 1 alone"), "{output}");
        assert!(output.contains(&format!("product {id:<9}NAIL-1  Mine, version 2")), "{output}");
        assert_eq!(catalogue::read(&system).await?["SAW-1"].name, "Saw");
        let (code, output) = about(&system, &["--watch", &job]).await?;
        assert!(code == Some(2) && output.contains("took back 1 products"), "{output}");

        let (_, output) = import(&system, &path, &["--dry-run", "--mode", "update"]).await?;
        let other = said(&output, "--cancel ")?;
        let (code, output) = about(&system, &["--cancel", &other]).await?;
        assert!(
            code == Some(0) && output.contains(&format!("cancelled the dry run {other}: nothing of it is in")),
            "{output}"
        );
        let (code, output) = about(&system, &["--list"]).await?;
        assert!(code == Some(0) && output.contains("CANCELLED") && output.contains("UNDONE"), "{output}");
    }
    Ok(())
}

/// Starts an import, and stops it with Ctrl-C once rows are in.
async fn interrupted(system: &System, path: &Path) -> anyhow::Result<(Option<i32>, String)> {
    let program = system.program(Role::Products(0)).argument("import").argument(path.display().to_string());
    let importing = program.start()?;
    eventually("rows come in", async || {
        let jobs = system.products().list_import_jobs(ListImportJobsRequest::default()).await?.into_inner().jobs;
        anyhow::ensure!(jobs.first().is_some_and(|job| job.created > 0), "none yet");
        Ok(())
    })
    .await;
    importing.signal(Signal::INT)?;
    let (status, output) = importing.finish().await?;
    Ok((status.code(), output))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_says_what_is_in_how_to_go_on_and_how_to_undo() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::with(options).await?;
        let path = file(&system, "big.csv", &varied(ROWS))?;

        let (code, output) = interrupted(&system, &path).await?;

        assert_eq!(code, Some(4), "{output}");
        let jobs = system.products().list_import_jobs(ListImportJobsRequest::default()).await?.into_inner().jobs;
        assert_eq!((jobs.len(), jobs[0].state()), (1, ImportState::Cancelled));
        let rows = usize::try_from(jobs[0].created)?;
        assert!(rows < ROWS && output.contains(&format!("after {rows} rows")), "{output}");
        assert_eq!(catalogue::read(&system).await?.len(), rows, "what is in stays, and nothing more comes in");
        let request_id = said(&output, "--request-id ")?;
        let job = said(&output, "--undo ")?;

        let (code, output) = import(&system, &path, &["--request-id", &request_id]).await?;
        assert_eq!((code, counts(&output)), (Some(0), "created 50000, changed 0, unchanged 0, refused 0".to_owned()));
        let all = catalogue::read(&system).await?;
        assert!(all.len() == ROWS && all.values().all(|product| product.version == 1), "each row was stored once");

        let (code, output) = about(&system, &["--undo", &job]).await?;
        assert!(code == Some(0) && output.contains("took back 50000 products"), "{output}");
        assert!(catalogue::read(&system).await?.is_empty());
    }
    Ok(())
}
