//! Old versions move to the lake, and the history shows them wherever they are.

mod depot;
mod kills;
mod partitions;

use anyhow::Context as _;
use harness::bucket::Bucket;
use harness::eventually;
use harness::system::{Options, Role};
use proto::products::{
    ArchiveStep, CompareProductVersionsRequest, DeleteProductRequest, GetProductRequest, GetProductVersionRequest,
    RestoreProductVersionRequest,
};
use tonic::Code;

use crate::products::archives::depot::{Depot, FOLDER, each};
use crate::products::shop::{fresh, why};

fn refusal(code: Code, reason: &str) -> (Code, String, Vec<String>) {
    (code, reason.to_owned(), Vec::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archived_versions_leave_the_database_and_are_shown_as_before() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        let mut products = depot.fill(40, 5).await?;
        depot.pass(40)?;
        depot.rename(&mut products[..20], "Later").await?;
        depot.pass(70)?;
        depot.rename(&mut products[10..30], "Lately").await?;
        let before = depot.histories(&products).await?;
        assert_eq!(depot.superseded()?, 240);

        let (code, output) = depot.archive(&["--dry-run"]).await?;
        assert!(code == Some(0) && output.contains("220 versions of 2 months would be archived"), "{output}");
        assert_eq!((depot.superseded()?, depot.files().len()), (240, 0));
        let (code, output) = depot.archive(&[]).await?;
        assert!(code == Some(0) && output.contains("220 versions of 2 months archived"), "{output}");

        assert_eq!(depot.superseded()?, 20, "those of this month stay");
        let archives = depot.archives().await?;
        assert_eq!(
            archives.iter().map(|archive| (archive.rows, archive.files)).collect::<Vec<_>>(),
            [(200, 1), (20, 1)]
        );
        assert!(archives.iter().all(|archive| archive.removed && archive.archive_time.is_some() && archive.bytes > 0));
        assert!(output.contains(&archives[0].month) && output.contains(&archives[1].month), "{output}");
        assert_eq!(depot.histories(&products).await?, before);
        for versions in &before {
            let now = versions.first().and_then(|version| version.product.clone()).context("a product")?;
            for version in versions {
                let product = version.product.clone().context("a product")?;
                let request = GetProductVersionRequest { id: now.id, version: product.version };
                let found = depot.products.get_product_version(request).await?.into_inner().version;
                assert_eq!(found.as_ref(), Some(version));
                let request = GetProductRequest { id: now.id, as_of: product.update_time, ..Default::default() };
                let found = depot.products.get_product(request).await?.into_inner().product;
                // Later ones may have begun in the same microsecond.
                assert!(
                    found.is_some_and(
                        |found| found.version >= product.version && found.update_time == product.update_time
                    )
                );
            }
            let request = CompareProductVersionsRequest { id: now.id, from_version: 1, to_version: now.version };
            let compared = depot.products.compare_product_versions(request).await?.into_inner();
            assert_eq!(compared.from.as_ref(), versions.last());
            assert_eq!(compared.differences[0].field, "name");
        }
        let missing = GetProductVersionRequest { id: products[0].id, version: 99 };
        let missing = depot.products.get_product_version(missing).await.expect_err("there never was");
        assert_eq!(why(&missing), refusal(Code::NotFound, "VERSION_NOT_FOUND"));

        let restore =
            RestoreProductVersionRequest { id: products[0].id, version: 1, request_id: fresh(), ..Default::default() };
        let restored = depot.products.restore_product_version(restore.clone()).await?.into_inner().product;
        let restored = restored.context("a product")?;
        let first = before[0].last().and_then(|version| version.product.as_ref()).context("a product")?;
        assert_eq!((&restored.name, restored.version), (&first.name, products[0].version + 1));
        let again = depot.products.restore_product_version(restore).await?.into_inner().product;
        assert_eq!(again.as_ref(), Some(&restored));

        let (code, output) = depot.archive(&[]).await?;
        assert!(code == Some(0) && output.contains("0 versions of 0 months"), "{output}");
        assert_eq!(depot.archives().await?, archives);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_needs_the_lake_fails_while_it_is_away() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        let mut products = depot.fill(3, 2).await?;
        depot.pass(70)?;
        let late = depot.add("LATE-1").await?;
        depot.archived().await?;
        depot.rename(&mut products[..1], "Lately").await?;
        let id = products[0].id;
        let whole = depot.versions(id, 50).await?;
        assert_eq!(whole.len(), 4);
        let lake = depot.system.folder().join("data/lake");
        let elsewhere = depot.system.folder().join("data/elsewhere");
        // What it has in memory of the lake is none of the catalogue's memory.
        std::fs::rename(&lake, &elsewhere)?;

        let away = refusal(Code::Unavailable, "LAKE_AWAY");
        assert_eq!(why(&depot.versions(id, 50).await.expect_err("it needs the lake")), away);
        let old = GetProductVersionRequest { id, version: 1 };
        assert_eq!(why(&depot.products.get_product_version(old).await.expect_err("it needs the lake")), away);
        let restore = RestoreProductVersionRequest { id, version: 1, request_id: fresh(), ..Default::default() };
        let refused = depot.products.restore_product_version(restore.clone()).await.expect_err("it needs the lake");
        assert_eq!(why(&refused), away);
        assert_eq!(depot.versions(id, 2).await?, whole[..2], "these are in the database");
        let recent = GetProductVersionRequest { id, version: 3 };
        assert_eq!(depot.products.get_product_version(recent).await?.into_inner().version.as_ref(), Some(&whole[1]));
        assert_eq!(depot.versions(late.id, 50).await?.len(), 1, "nothing of it is in the lake");
        let never = GetProductVersionRequest { id, version: 5 };
        assert_eq!(depot.products.get_product_version(never).await.expect_err("no such").code(), Code::NotFound);
        assert_eq!(depot.archives().await?.len(), 1);
        depot.rename(&mut products[..1], "Meanwhile").await?;

        std::fs::rename(&elsewhere, &lake)?;
        assert_eq!(depot.versions(id, 50).await?[1..], whole_but_end(&depot.versions(id, 50).await?, &whole));
        assert_eq!(
            depot.products.restore_product_version(restore).await?.into_inner().product.map(|it| it.version),
            Some(6)
        );
    }
    Ok(())
}

/// What was whole, the newest of it superseded since.
fn whole_but_end(
    now: &[proto::products::ProductVersion],
    whole: &[proto::products::ProductVersion],
) -> Vec<proto::products::ProductVersion> {
    let mut expected = whole.to_vec();
    expected[0].end_time = now[0].product.as_ref().and_then(|product| product.update_time);
    expected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_part_is_noticed_and_nothing_is_removed() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        let products = depot.fill(50, 4).await?;
        depot.pass(70)?;
        let before = depot.histories(&products).await?;
        // As if the run had been killed when its part counted, and nothing was removed yet.
        depot.sql("CREATE TABLE removed_versions AS SELECT * FROM product_versions")?;
        depot.archived().await?;
        assert_eq!(depot.superseded()?, 0);
        depot.sql(
            "INSERT INTO product_versions SELECT * FROM removed_versions; DROP TABLE removed_versions;
            UPDATE archive_parts SET remove_time = NULL",
        )?;
        assert_eq!(depot.superseded()?, 200);
        let file = depot.files().pop().context("a part")?;
        let whole = std::fs::read(&file)?;
        let mut bytes = whole.clone();
        bytes[whole.len() / 3] ^= 0x10;
        std::fs::write(&file, bytes)?;

        let refused = depot.archived().await.expect_err("it is damaged");
        assert_eq!(why(&refused), refusal(Code::DataLoss, "LAKE_DAMAGED"));
        let (code, output) = depot.archive(&[]).await?;
        assert!(code == Some(1) && output.contains("part-1.parquet"), "{output}");
        assert_eq!(depot.superseded()?, 200);
        assert_eq!(depot.histories(&products).await?, before);

        std::fs::write(&file, whole)?;
        depot.archived().await?;
        assert_eq!(depot.superseded()?, 0);
        assert_eq!(depot.histories(&products).await?, before);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purged_product_has_no_history_though_the_lake_has_it() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        let products = depot.fill(2, 3).await?;
        depot.pass(70)?;
        depot.archived().await?;
        let id = products[0].id;
        depot.products.delete_product(DeleteProductRequest { id, ..Default::default() }).await?;
        assert_eq!(depot.versions(id, 50).await?.len(), 5);

        depot.pass(31)?;
        // It forgets what is old when it starts, and then hourly.
        depot.system.kill(Role::Products(0)).await?;
        depot.system.launch(Role::Products(0)).await?;
        depot.system.ready().await;

        eventually("it is purged", async || {
            let gone = depot.products.clone().get_product(GetProductRequest { id, ..Default::default() }).await;
            anyhow::ensure!(gone.is_err_and(|gone| gone.code() == Code::NotFound), "it is not yet");
            Ok(())
        })
        .await;
        let missing = refusal(Code::NotFound, "PRODUCT_NOT_FOUND");
        assert_eq!(why(&depot.versions(id, 50).await.expect_err("it is purged")), missing);
        let one = GetProductVersionRequest { id, version: 1 };
        assert_eq!(why(&depot.products.get_product_version(one).await.expect_err("it is purged")), missing);
        let restore = RestoreProductVersionRequest { id, version: 1, ..Default::default() };
        assert_eq!(why(&depot.products.restore_product_version(restore).await.expect_err("it is purged")), missing);
        assert_eq!(depot.versions(products[1].id, 50).await?.len(), 4);
        depot.archived().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_lake_nothing_is_archived_and_what_was_is_not_hidden() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options.clone()).await?;
        let products = depot.fill(2, 2).await?;
        depot.pass(70)?;
        depot.archived().await?;
        for month in ["2026", "9999-01", "soon"] {
            let refused = depot.run(month).await.expect_err("it is no closed month");
            assert_eq!((refused.code(), why(&refused).2), (Code::InvalidArgument, vec!["through_month".to_owned()]));
        }
        depot.system.stop(Role::Products(0)).await?;
        let mut process = depot.system.program(Role::Products(0)).set("PRODUCTSVC_LAKE", "ftp://x/y").start()?;
        let status = process.wait().await?;
        assert!(
            !status.success() && process.output().contains("looks like s3://bucket/prefix"),
            "{}",
            process.output()
        );

        let url = options
            .database_url
            .clone()
            .unwrap_or_else(|| format!("sqlite://{}", depot.system.folder().join("data/products.db").display()));
        let mut other = Depot::open(Options { database_url: Some(url), ..Options::default() }).await?;
        let no_lake = refusal(Code::FailedPrecondition, "NO_LAKE");
        assert_eq!(why(&other.archived().await.expect_err("there is none")), no_lake);
        let (code, output) = other.archive(&[]).await?;
        assert!(code == Some(3) && output.contains("--lake"), "{output}");
        assert_eq!(why(&other.versions(products[0].id, 50).await.expect_err("they are elsewhere")), no_lake);
        assert_eq!(other.versions(products[0].id, 1).await?.len(), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lake_may_be_a_bucket() -> anyhow::Result<()> {
    let Some(bucket) = Bucket::start("archive").await? else { return Ok(()) };
    let mut settings = bucket.settings();
    settings.push(("PRODUCTSVC_LAKE", "s3://archive/rundoo/one".to_owned()));
    let mut depot = Depot::open(Options { settings, ..Options::default() }).await?;
    let mut products = depot.fill(30, 3).await?;
    depot.pass(70)?;
    let before = depot.histories(&products).await?;

    let told = depot.archived().await?;

    let steps: Vec<ArchiveStep> = told.iter().map(|message| message.step()).collect();
    assert_eq!((steps.first(), steps.last()), (Some(&ArchiveStep::Found), Some(&ArchiveStep::Done)));
    assert_eq!(depot.superseded()?, 0);
    let month = told[0].month.replace('-', "/month=");
    let listed = bucket.list().await?;
    let folder = format!("rundoo/one/product_versions/year={month}");
    assert_eq!(
        listed.keys().cloned().collect::<Vec<_>>(),
        [format!("{folder}/_manifest.json"), format!("{folder}/part-1.parquet")]
    );
    let archives = depot.archives().await?;
    assert_eq!(u64::try_from(archives[0].bytes)?, listed[&format!("{folder}/part-1.parquet")]);
    assert_eq!(depot.histories(&products).await?, before);
    depot.rename(&mut products[..1], "Once more").await?;
    depot.pass(70)?;
    let before = depot.histories(&products).await?;
    depot.archived().await?;
    assert_eq!((depot.superseded()?, depot.histories(&products).await?), (0, before));

    bucket.end().await?;
    let refused = depot.versions(products[1].id, 50).await.expect_err("nobody is there");
    assert_eq!(why(&refused), refusal(Code::Unavailable, "LAKE_AWAY"));
    assert!(depot.archived().await?.is_empty(), "nothing is to be done");
    depot.rename(&mut products[2..3], "At last").await?;
    depot.pass(70)?;
    assert_eq!(why(&depot.archived().await.expect_err("nobody is there")).1, "LAKE_AWAY");
    assert_eq!(depot.superseded()?, 1);
    Ok(())
}
