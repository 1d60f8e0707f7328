//! Imports that are tried first, go on in the background, are stopped and undone.

use anyhow::Context as _;
use harness::eventually;
use proto::products::import_products_request::Part;
use proto::products::*;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::products::shop::{Shop, everywhere, fresh, renamed, skus, why};
use crate::products::watchers::present;

pub(super) fn row(line: i64, name: &str, sku: &str) -> ImportRow {
    ImportRow { line, name: name.to_owned(), category: "Tools/Hand".to_owned(), sku: sku.to_owned() }
}

pub(super) fn dry_run() -> ImportOptions {
    ImportOptions { request_id: fresh(), source: "shelf.csv".to_owned(), dry_run: true, ..Default::default() }
}

pub(super) fn messages(options: ImportOptions, rows: &[ImportRow]) -> Vec<ImportProductsRequest> {
    let rows = rows.chunks(1000).map(|rows| Part::Rows(ImportRows { rows: rows.to_vec() }));
    let parts = [Part::Options(options)].into_iter().chain(rows);
    parts.map(|part| ImportProductsRequest { part: Some(part) }).collect()
}

async fn import(shop: &mut Shop, options: ImportOptions, rows: &[ImportRow]) -> Result<ImportJob, Status> {
    let call = tokio_stream::iter(messages(options, rows));
    Ok(shop.products.import_products(call).await?.into_inner().job.unwrap_or_default())
}

pub(super) fn commit_of(id: i64) -> CommitImportRequest {
    CommitImportRequest { id, request_id: fresh() }
}

pub(super) fn undo_of(id: i64) -> UndoImportRequest {
    UndoImportRequest { id, request_id: fresh() }
}

/// Watches a job until the stream ends, and answers it as it was told last.
async fn ended(shop: &mut Shop, id: i64) -> anyhow::Result<ImportJob> {
    let mut jobs = shop.products.watch_import_job(WatchImportJobRequest { id }).await?.into_inner();
    let mut last = None;
    while let Some(message) = jobs.message().await? {
        last = message.job;
    }
    last.context("nothing was told")
}

async fn changes(shop: &mut Shop, id: i64, show_unchanged: bool) -> anyhow::Result<Vec<ImportChange>> {
    let mut all = Vec::new();
    let mut request = ListImportChangesRequest { id, page_size: 2, show_unchanged, ..Default::default() };
    loop {
        let page = shop.products.list_import_changes(request.clone()).await?.into_inner();
        all.extend(page.changes);
        if page.next_page_token.is_empty() {
            return Ok(all);
        }
        request.page_token = page.next_page_token;
    }
}

async fn refusals(shop: &mut Shop, id: i64) -> anyhow::Result<Vec<ImportRefusal>> {
    let request = ListImportRefusalsRequest { id, ..Default::default() };
    Ok(shop.products.list_import_refusals(request).await?.into_inner().refusals)
}

pub(super) fn counted(job: &ImportJob) -> (ImportState, [i64; 5]) {
    (job.state(), [job.rows, job.created, job.updated, job.unchanged, job.refused])
}

fn wrong_state() -> (Code, String, Vec<String>) {
    (Code::FailedPrecondition, "IMPORT_STATE".to_owned(), Vec::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_changes_nothing_until_it_is_committed_once() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let saw = shop.add("Saw", "SAW-1").await?;
        shop.add("Axe", "AXE-1").await?;
        let before = present(shop).await?;
        let rows = [
            row(2, "Hand saw", "saw-1"),
            row(3, "Axe", "AXE-1"),
            row(4, "Nail", "NAIL-1"),
            row(5, "", "NAIL-2"),
            row(6, "Bolt", "BOLT-1"),
        ];
        let options = dry_run();

        let job = import(shop, options.clone(), &rows).await?;

        assert_eq!(counted(&job), (ImportState::Ready, [5, 2, 1, 1, 1]));
        assert!(job.dry_run && job.end_time.is_none() && job.request_id == options.request_id);
        assert_eq!(present(shop).await?, before, "nothing is changed");
        assert_eq!(import(shop, options, &rows).await?, job, "and the same run is not repeated");
        let listed = changes(shop, job.id, false).await?;
        let kinds: Vec<_> = listed.iter().map(|change| (change.line, change.kind())).collect();
        use ImportChangeKind::{Created, Unchanged, Updated};
        assert_eq!(kinds, [(2, Updated), (4, Created), (6, Created)]);
        assert_eq!(listed[0].before.as_ref(), Some(&saw));
        let fields: Vec<_> = listed[0].differences.iter().map(|it| (it.field.as_str(), it.to.as_str())).collect();
        assert_eq!(fields, [("name", "Hand saw"), ("sku", "saw-1")]);
        assert_eq!((listed[1].before.clone(), listed[1].differences.len()), (None, 3));
        assert_eq!(listed[1].after.as_ref().map(|product| product.name.as_str()), Some("Nail"));
        let all = changes(shop, job.id, true).await?;
        assert_eq!((all.len(), all[1].kind(), all[1].line), (4, Unchanged, 3));

        // Someone is faster with one of them: what is listed is what would happen now.
        shop.add("Bolt", "BOLT-1").await?;
        assert_eq!(changes(shop, job.id, false).await?[2].kind(), Unchanged);
        let commit = commit_of(job.id);
        let running = shop.products.commit_import(commit.clone()).await?.into_inner().job.context("no job")?;
        assert_eq!(running.state(), ImportState::Running);
        shop.products.commit_import(commit.clone()).await?;
        let refused = shop.products.commit_import(commit_of(job.id)).await.expect_err("it is committed already");
        assert_eq!(why(&refused), wrong_state());

        let done = ended(shop, job.id).await?;
        assert_eq!(counted(&done), (ImportState::Done, [5, 1, 1, 2, 1]));
        assert!(done.end_time.is_some());
        let again = shop.products.commit_import(commit).await?.into_inner().job;
        assert_eq!(again.as_ref(), Some(&done), "it is answered as it is by then");
        assert_eq!(present(shop).await?, before + 3, "each row was applied once");
        assert_eq!(skus(&shop.list(0, "").await?.products), ["NAIL-1", "BOLT-1", "AXE-1", "saw-1"]);
        let refused = changes(shop, job.id, false).await.expect_err("it is no dry run any more");
        assert_eq!(why(refused.downcast_ref().context("no status")?), wrong_state());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_only_change_are_refused_where_there_is_no_product() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.add("Saw", "SAW-1").await?;
        let options = ImportOptions { mode: ImportMode::Update.into(), ..Default::default() };

        let job = import(shop, options, &[row(2, "Hand saw", "SAW-1"), row(3, "Axe", "AXE-1")]).await?;

        assert_eq!((counted(&job), job.mode()), ((ImportState::Done, [2, 0, 1, 0, 1]), ImportMode::Update));
        let refused = refusals(shop, job.id).await?.remove(0);
        assert_eq!((refused.reason(), refused.field.as_str()), (ErrorReason::ProductNotFound, "sku"));
        assert_eq!(refused.row, Some(row(3, "Axe", "AXE-1")), "the row can be sent again");
        assert_eq!(skus(&shop.list(0, "").await?.products), ["SAW-1"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_spreadsheet_damaged_is_refused_with_what_it_was() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let padded = shop.add("Saw", "000123").await?;
        shop.add("Axe", "Feb-03").await?;
        let rows = [
            row(2, "Saw", "123"),
            row(3, "Nail", "1.23457E+11"),
            row(4, "Bolt", "2-Jan"),
            row(5, "Sharp axe", "Feb-03"),
            row(6, "Nut", "124"),
        ];

        let job = import(shop, ImportOptions::default(), &rows).await?;

        assert_eq!(counted(&job), (ImportState::Done, [5, 1, 1, 0, 3]));
        let refused = refusals(shop, job.id).await?;
        assert!(refused.iter().all(|it| it.reason() == ErrorReason::SpreadsheetDamage && it.field == "sku"));
        let messages: Vec<&str> = refused.iter().map(|it| it.message.as_str()).collect();
        assert!(messages[0].ends_with(&format!("it probably was 000123, product {}", padded.id)), "{}", messages[0]);
        assert!(messages[1].contains("a number of 12 digits that begins with 123457"), "{}", messages[1]);
        assert!(messages[2].contains("1-2, 2-1 or JAN2"), "{}", messages[2]);

        let options = ImportOptions { allow_damaged: true, ..Default::default() };
        let job = import(shop, options, &rows).await?;
        assert_eq!(counted(&job), (ImportState::Done, [5, 3, 0, 2, 0]));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_row_is_answered_whole_up_to_a_limit() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let (long, longer) = ("ä".repeat(2000), "x".repeat(2001));
        let rows = [row(2, &long, "A\nB"), row(3, &longer, "C")];

        let job = import(shop, ImportOptions::default(), &rows).await?;

        let refused = refusals(shop, job.id).await?;
        assert_eq!((refused[0].row.as_ref(), refused[0].cut), (Some(&rows[0]), false));
        assert_eq!(refused[1].row.as_ref().map(|row| row.name.len()), Some(2000));
        assert!(refused[1].cut);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_undone_is_as_it_was_but_for_what_someone_changed_since() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let saw = shop.add("Saw", "SAW-1").await?;
        let axe = shop.add("Axe", "AXE-1").await?;
        let rows = [row(2, "x", "SAW-1"), row(3, "x", "AXE-1"), row(4, "x", "NAIL-1"), row(5, "x", "BOLT-1")];
        let job = import(shop, ImportOptions::default(), &rows).await?;
        assert_eq!(counted(&job), (ImportState::Done, [4, 2, 2, 0, 0]));
        let changed = shop.get(axe.id).await?;
        shop.update(renamed(&changed, "Mine")).await?;
        let nail = shop.list(0, "").await?.products.into_iter().find(|it| it.sku == "NAIL-1").context("no nail")?;
        shop.delete(nail.id, "").await?;

        let undo = undo_of(job.id);
        let undoing = shop.products.undo_import(undo.clone()).await?.into_inner().job.context("no job")?;
        assert_eq!((undoing.state(), undoing.end_time), (ImportState::Undoing, None));
        shop.products.undo_import(undo).await?;
        let undone = ended(shop, job.id).await?;

        assert_eq!((undone.state(), undone.undone, undone.conflicts), (ImportState::Undone, 2, 1));
        let request = ListImportConflictsRequest { id: job.id, ..Default::default() };
        let conflicts = shop.products.list_import_conflicts(request).await?.into_inner().conflicts;
        let told: Vec<_> = conflicts.iter().map(|it| (it.product_id, it.version)).collect();
        assert_eq!(told, [(axe.id, changed.version)]);
        assert_eq!(conflicts[0].product.as_ref().map(|product| product.name.as_str()), Some("Mine"));
        let back = shop.get(saw.id).await?;
        assert_eq!((back.name.as_str(), back.version), ("Saw", 3));
        let request = GetProductVersionRequest { id: saw.id, version: 3 };
        let version = shop.products.get_product_version(request).await?.into_inner().version.context("no version")?;
        assert_eq!(version.kind(), ChangeKind::Undone);
        assert_eq!(skus(&shop.list(0, "").await?.products), ["AXE-1", "SAW-1"]);

        for refused in [
            shop.products.undo_import(undo_of(job.id)).await.map(|_| ()),
            shop.products.cancel_import(CancelImportRequest { id: job.id }).await.map(|_| ()),
            shop.products.commit_import(commit_of(job.id)).await.map(|_| ()),
        ] {
            assert_eq!(why(&refused.expect_err("it is undone")), wrong_state());
        }
        let missing = shop.products.undo_import(undo_of(i64::MAX)).await.expect_err("it never was");
        assert_eq!(why(&missing), (Code::NotFound, "IMPORT_NOT_FOUND".to_owned(), Vec::new()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_cancelled_while_its_rows_come_and_goes_on_when_that_is_asked() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let rows: Vec<ImportRow> = (2..2002).map(|line| row(line, "Nail", &format!("N-{line}"))).collect();
        let options = ImportOptions { request_id: fresh(), ..Default::default() };
        let mut sent = messages(options.clone(), &rows);
        let rest = sent.split_off(2);
        let (sender, stream) = mpsc::channel(8);
        for message in sent {
            sender.send(message).await?;
        }
        let mut client = shop.products.clone();
        let importing =
            mesh::spawn("an import", async move { client.import_products(ReceiverStream::new(stream)).await });
        let by_request = GetImportJobRequest { id: 0, request_id: options.request_id.clone() };
        let job = eventually("its first rows are in", async || {
            let job = shop.products.clone().get_import_job(by_request.clone()).await?.into_inner().job;
            job.filter(|job| job.rows == 1000).context("not yet")
        })
        .await;

        let cancelled = shop.products.cancel_import(CancelImportRequest { id: job.id }).await?.into_inner().job;
        let cancelled = cancelled.context("no job")?;
        assert_eq!(counted(&cancelled), (ImportState::Cancelled, [1000, 1000, 0, 0, 0]));
        for message in rest {
            // It may be refused before all is sent.
            let _gone = sender.send(message).await;
        }
        drop(sender);
        assert_eq!(why(&importing.await?.expect_err("it is cancelled")), wrong_state());
        assert_eq!(ended(shop, job.id).await?, cancelled, "nothing more comes in");
        assert_eq!(import(shop, options.clone(), &rows).await?, cancelled, "nor by itself");

        let resumed = ImportOptions { resume_cancelled: true, ..options };
        let done = import(shop, resumed, &rows).await?;
        assert_eq!((counted(&done), done.id), ((ImportState::Done, [2000, 2000, 0, 0, 0]), job.id));
        assert_eq!(present(shop).await?, 2000, "each row was stored once");
        shop.products.undo_import(undo_of(job.id)).await?;
        assert_eq!(ended(shop, job.id).await?.undone, 2000);
        assert!(shop.list(0, "").await?.products.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_that_is_cancelled_cannot_be_committed_and_imports_are_listed() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(import(shop, dry_run(), &[row(2, "Saw", "SAW-1")]).await?.id);
        }

        let cancelled = shop.products.cancel_import(CancelImportRequest { id: ids[1] }).await?.into_inner().job;
        assert_eq!(cancelled.as_ref().map(counted), Some((ImportState::Cancelled, [1, 0, 0, 0, 0])));
        let again = shop.products.cancel_import(CancelImportRequest { id: ids[1] }).await?.into_inner().job;
        assert_eq!(again, cancelled);
        let refused = shop.products.commit_import(commit_of(ids[1])).await.expect_err("it is cancelled");
        assert_eq!(why(&refused), wrong_state());
        assert_eq!(mesh::Refusal::metadata_of(&refused, "state").as_deref(), Some("CANCELLED"));

        let first = ListImportJobsRequest { page_size: 2, ..Default::default() };
        let first = shop.products.list_import_jobs(first).await?.into_inner();
        let next = ListImportJobsRequest { page_size: 2, page_token: first.next_page_token };
        let next = shop.products.list_import_jobs(next).await?.into_inner();
        let listed: Vec<i64> = first.jobs.iter().chain(&next.jobs).map(|job| job.id).collect();
        assert_eq!(listed, [ids[2], ids[1], ids[0]]);
        assert!(next.next_page_token.is_empty());
        Ok(())
    })
    .await
}
