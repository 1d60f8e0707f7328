//! Backups made among writes, served as they are, and restored into either database.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use harness::system::{Options, Role, System};
use harness::{catalogue, eventually};
use proto::products::import_products_request::Part;
use proto::products::{
    DeleteProductRequest, GetProductRequest, ImportOptions, ImportProductsRequest, ImportRow, ImportRows,
    ListImportRefusalsRequest, ListProductVersionsRequest, Product, ProductVersion, WatchProductsRequest,
    WatchProductsResponse,
};
use tokio_util::sync::CancellationToken;

use crate::products::keeping::keep;
use crate::products::shop::{draft, fresh, renamed, serve};
use crate::products::watchers::{behind, take};

const WRITERS: usize = 4;

/// Adds, renames and deletes products until it is stopped.
async fn write(system: &System, writer: usize, stop: &CancellationToken) -> anyhow::Result<()> {
    let mut client = system.products();
    let mut number = 0;
    while !stop.is_cancelled() {
        let request = draft("Claw hammer", &format!("W{writer}-{number}"));
        let added = client.create_product(request).await?.into_inner().product.context("no product")?;
        let changed = client.update_product(renamed(&added, "Framing hammer")).await?.into_inner();
        let Product { id, etag, .. } = changed.product.context("no product")?;
        if number % 3 == 0 {
            let delete = DeleteProductRequest { id, etag, request_id: fresh(), ..Default::default() };
            client.delete_product(delete).await?;
        }
        number += 1;
    }
    Ok(())
}

/// Imports some rows, the last of which is refused; answers the import's id.
async fn import(system: &System, count: i64) -> anyhow::Result<i64> {
    let row = |line: i64| ImportRow {
        line,
        name: if line == count { String::new() } else { format!("Nail {line}") },
        category: "Fasteners".to_owned(),
        sku: format!("N-{line}"),
    };
    let rows: Vec<ImportRow> = (1..=count).map(row).collect();
    let parts = rows.chunks(1000).map(|rows| Part::Rows(ImportRows { rows: rows.to_vec() }));
    let parts = [Part::Options(ImportOptions::default())].into_iter().chain(parts);
    let messages: Vec<_> = parts.map(|part| ImportProductsRequest { part: Some(part) }).collect();
    let answer = system.products().import_products(tokio_stream::iter(messages)).await?.into_inner();
    let job = answer.job.context("no job")?;
    anyhow::ensure!(job.refused == 1, "{job:?}");
    Ok(job.id)
}

/// Every product that ever was, as the changes up to one of them left it.
async fn as_of(system: &System, sequence: i64) -> anyhow::Result<BTreeMap<i64, Product>> {
    let mut watch = system.products().watch_products(behind(0)).await?.into_inner();
    let changes: Vec<WatchProductsResponse> = take(&mut watch, usize::try_from(sequence)?).await?;
    Ok(changes.into_iter().filter_map(|change| change.product).map(|product| (product.id, product)).collect())
}

async fn versions(system: &System, id: i64) -> anyhow::Result<Vec<ProductVersion>> {
    let request = ListProductVersionsRequest { id, page_size: 100, ..Default::default() };
    Ok(system.products().list_product_versions(request).await?.into_inner().versions)
}

/// The catalogue that the command's words tell of: products that are not deleted, and the last change.
fn told(output: &str) -> anyhow::Result<(usize, i64)> {
    let words: Vec<&str> = output.split_whitespace().collect();
    let behind = |word: &str, by: usize| words.iter().position(|found| *found == word).map(|place| words[place + by]);
    let products = words.iter().position(|word| *word == "products").and_then(|place| words.get(place.checked_sub(1)?));
    Ok((products.context("no count")?.parse()?, behind("change", 1).context("no sequence")?.parse()?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_among_writes_is_the_catalogue_as_of_one_change() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = serve(options).await?;
        import(&system, 3000).await?;
        let stop = CancellationToken::new();
        let writers = try_join_all((0..WRITERS).map(|writer| write(&system, writer, &stop)));
        let backups = async {
            let mut written = Vec::new();
            for number in 0..3 {
                let before = catalogue_size(&system).await?;
                let file = format!("backup-{number}.db");
                let (code, output) = keep(&system, &["backup", &file]).await?;
                anyhow::ensure!(code == Some(0), "{output}");
                written.push((system.folder().join(file), told(&output)?));
                eventually("the writers went on", async || {
                    anyhow::ensure!(catalogue_size(&system).await? > before);
                    Ok(())
                })
                .await;
            }
            stop.cancel();
            anyhow::Ok(written)
        };

        let (_, written) = tokio::try_join!(writers, backups)?;

        let mut last = 0;
        for (path, (live, sequence)) in written {
            assert!(sequence > last, "each is later than the one before");
            last = sequence;
            let expected = as_of(&system, sequence).await?;
            let copy = serve(Options { database_url: Some(url(&path)), ..Options::default() }).await?;
            let there = catalogue::read(&copy).await?;
            let living: BTreeMap<String, Product> = expected
                .values()
                .filter(|product| product.delete_time.is_none())
                .map(|product| (product.sku.clone(), product.clone()))
                .collect();
            assert_eq!(there, living, "all of it is as of change {sequence}");
            assert_eq!(there.len(), live);
            for product in expected.values().filter(|product| product.delete_time.is_some()) {
                let request = GetProductRequest { id: product.id, ..Default::default() };
                let deleted = copy.products().get_product(request).await?.into_inner().product;
                assert_eq!(deleted.as_ref(), Some(product));
                assert_eq!(versions(&copy, product.id).await?, versions(&system, product.id).await?);
            }
            assert_eq!(as_of(&copy, sequence).await?, expected, "its changes are kept");
        }
        let left: Vec<_> = std::fs::read_dir(system.folder())?.flatten().map(|file| file.file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("partial")), "{left:?}");
    }
    Ok(())
}

async fn catalogue_size(system: &System) -> anyhow::Result<i64> {
    let mut watch = system.products().watch_products(WatchProductsRequest::default()).await?.into_inner();
    Ok(watch.message().await?.context("the stream ended")?.sequence)
}

fn url(path: &std::path::Path) -> String {
    format!("sqlite://{}", path.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_either_database_is_restored_into_either() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("from {options:?}");
        let from = serve(options).await?;
        let job = import(&from, 700).await?;
        let request = draft("Claw hammer", "HAM-1");
        let added =
            from.products().create_product(request.clone()).await?.into_inner().product.context("no product")?;
        from.products().update_product(renamed(&added, "Framing hammer")).await?;
        let delete = DeleteProductRequest { id: 1, request_id: fresh(), ..Default::default() };
        let deleted = from.products().delete_product(delete).await?.into_inner().product.context("no product")?;
        let path: PathBuf = from.folder().join("backup.db");
        let (code, output) = keep(&from, &["backup", "backup.db"]).await?;
        assert_eq!(code, Some(0), "{output}");
        let (_, sequence) = told(&output)?;

        for options in Options::default().on_each_database()? {
            println!("into {options:?}");
            let mut to = System::prepare(options)?;
            let restore = ["restore", &path.display().to_string()];
            let (code, restored) = keep(&to, &restore).await?;
            assert_eq!((code, told(&restored)?), (Some(0), told(&output)?), "{restored}");
            for role in [Role::Registry, Role::Products(0)] {
                to.launch(role).await?;
            }
            to.ready().await;

            assert_eq!(catalogue::read(&to).await?, catalogue::read(&from).await?);
            assert_eq!(as_of(&to, sequence).await?, as_of(&from, sequence).await?);
            for id in [deleted.id, added.id] {
                assert_eq!(versions(&to, id).await?, versions(&from, id).await?);
            }
            let again = to.products().create_product(request.clone()).await?.into_inner().product;
            assert_eq!(again.as_ref(), Some(&added), "answers are kept, so that nothing is done twice");
            let refusals = ListImportRefusalsRequest { id: job, ..Default::default() };
            let refusals = to.products().list_import_refusals(refusals).await?.into_inner().refusals;
            assert_eq!(refusals.len(), 1, "imports are kept");
            let next = to.products().create_product(draft("Mallet", "MAL-1")).await?.into_inner();
            assert_eq!(next.product.context("no product")?.id, added.id + 1, "ids go on");
            assert_eq!(catalogue_size(&to).await?, sequence + 1, "and so do changes");
            assert_eq!(import(&to, 2).await?, job + 1, "and imports");

            let (code, refused) = keep(&to, &restore).await?;
            assert!(code == Some(1) && refused.contains("has held products before"), "{refused}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_overwrites_nothing_and_leaves_nothing_when_it_is_interrupted() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = serve(options).await?;
        import(&system, 20_000).await?;
        std::fs::write(system.folder().join("there.db"), "something else")?;

        let (code, output) = keep(&system, &["backup", "there.db"]).await?;
        assert!(
            code == Some(1) && output.contains("there.db is there already, and nothing is overwritten"),
            "{output}"
        );
        assert_eq!(std::fs::read_to_string(system.folder().join("there.db"))?, "something else");

        let partial = || {
            let names = std::fs::read_dir(system.folder())?.flatten().map(|file| file.file_name());
            anyhow::Ok(names.filter(|name| name.to_string_lossy().contains("partial")).count())
        };
        // One that is done before the signal comes is no failure, but tells nothing either.
        let mut interrupted = None;
        for number in 0..20 {
            let file = format!("backup-{number}.db");
            let program = system.program(Role::Products(0)).argument("backup").argument(&file);
            let mut backup = program.start()?;
            while partial()? == 0 && backup.ended().is_none() {
                tokio::task::yield_now().await;
            }
            if backup.ended().is_none() {
                backup.signal(rustix::process::Signal::INT)?;
            }
            let (status, output) = backup.finish().await?;
            assert_eq!(partial()?, 0, "the partial file is gone: {output}");
            if status.code() == Some(130) {
                interrupted = Some(file);
                break;
            }
        }
        let file = interrupted.context("none was interrupted")?;
        assert!(!system.folder().join(file).exists());
    }
    Ok(())
}
