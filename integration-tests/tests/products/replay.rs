//! Histories that are replayed: what the catalogue kept of writes is what it answered to them.

use anyhow::Context as _;
use fastrand::Rng;
use prost_types::FieldMask;
use proto::products::import_products_request::Part;
use proto::products::{
    ChangeKind, ImportJob, ImportOptions, ImportProductsRequest, ImportRow, ImportRows, Product, ProductVersion,
    UpdateProductRequest,
};
use tonic::{Code, Status};

use crate::products::changes::{back, undelete};
use crate::products::shop::{Shop, draft, everywhere, fresh};
use crate::products::versions::{earlier, restore, states, versions};
use crate::products::watchers::{behind, take};

/// Few, so that products want each other's.
const SKUS: u32 = 24;

/// Writes something at random, to one of the products that there are or to a new one.
async fn write(shop: &mut Shop, random: &mut Rng, written: &[Vec<Product>]) -> Result<Product, Status> {
    let (name, sku) = (format!("Hammer {}", random.u32(0..3)), format!("SKU-{}", random.u32(0..SKUS)));
    let versions = random.choice(written).map(Vec::as_slice).unwrap_or_default();
    let Some(Product { id, .. }) = versions.last().cloned() else { return shop.create(draft(&name, &sku)).await };
    match random.u32(0..10) {
        0 | 1 => shop.create(draft(&name, &sku)).await,
        2 => shop.delete(id, "").await,
        3 | 4 => undelete(shop, back(id)).await,
        5 => restore(shop, earlier(id, random.i64(1..=versions.len() as i64))).await,
        _ => {
            let paths = ["name", "category", "sku"].into_iter().filter(|_| random.bool()).map(str::to_owned).collect();
            let (category, update_mask) = (format!("Aisle {}", random.u32(0..3)), Some(FieldMask { paths }));
            let request_id = fresh();
            shop.update(UpdateProductRequest { id, name, category, sku, update_mask, request_id, ..Default::default() })
                .await
        }
    }
}

/// Writes at random: all versions of each product as they were answered.
async fn write_many(shop: &mut Shop, random: &mut Rng) -> anyhow::Result<Vec<Vec<Product>>> {
    const EXPECTED: [Code; 3] = [Code::AlreadyExists, Code::NotFound, Code::FailedPrecondition];
    let mut written: Vec<Vec<Product>> = Vec::new();
    for _ in 0..500 {
        let product = match write(shop, random, &written).await {
            Ok(product) => product,
            Err(refused) => {
                anyhow::ensure!(EXPECTED.contains(&refused.code()), "{refused}");
                continue;
            }
        };
        match written.iter_mut().find(|versions| versions[0].id == product.id) {
            None => written.push(vec![product]),
            Some(versions) if versions.last() == Some(&product) => {}
            Some(versions) => versions.push(product),
        }
    }
    Ok(written)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_history_of_writes_at_random_is_what_they_answered() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let written = write_many(shop, &mut Rng::with_seed(20_250_704)).await?;

        let changes: usize = written.iter().map(Vec::len).sum();
        assert!(written.len() > 10 && changes > 100, "{} products, {changes} changes", written.len());
        for expected in &written {
            let numbers = expected.iter().map(|product| product.version);
            assert!(numbers.eq(1_i64..=expected.len() as i64), "{expected:?}");
            let mut kept = states(versions(shop, expected[0].id, 3).await?);
            kept.reverse();
            assert_eq!(kept, *expected);
            assert_eq!(Some(&shop.get(expected[0].id).await?), expected.last());
        }

        // Whoever was told all changes knows the same.
        let mut watch = shop.products.watch_products(behind(0)).await?.into_inner();
        let told = take(&mut watch, changes).await?;
        for expected in &written {
            let own = told.iter().filter(|change| change.product_id == expected[0].id);
            assert!(own.filter_map(|change| change.product.as_ref()).eq(expected));
        }
        let list = shop.list(1000, "").await?.products;
        let present = written.iter().rev().filter_map(|versions| versions.last());
        assert!(present.filter(|product| product.delete_time.is_none()).eq(&list), "newest first");
        Ok(())
    })
    .await
}

async fn import(shop: &mut Shop, rows: &[(&str, &str)]) -> anyhow::Result<ImportJob> {
    let row = |(line, (name, sku)): (i64, &(&str, &str))| ImportRow {
        line,
        name: (*name).to_owned(),
        category: "Tools/Hand".to_owned(),
        sku: (*sku).to_owned(),
    };
    let rows = (1..).zip(rows).map(row).collect();
    let options = ImportOptions { source: "spring.csv".to_owned(), ..Default::default() };
    let parts = [Part::Options(options), Part::Rows(ImportRows { rows })];
    let messages = parts.map(|part| ImportProductsRequest { part: Some(part) });
    let answer = shop.products.import_products(tokio_stream::iter(messages)).await?.into_inner();
    answer.job.context("no job")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_an_import_are_in_the_history_with_its_source() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let there = shop.add("Claw hammer", "HAM-1").await?;
        let same = shop.add("Saw", "SAW-1").await?;

        let rows = [("Framing hammer", "HAM-1"), ("Saw", "SAW-1"), ("Mallet", "MAL-1"), ("", "BAD-1")];
        let job = import(shop, &rows).await?;

        assert_eq!((job.created, job.updated, job.unchanged, job.refused), (1, 1, 1, 1));
        let new = shop.list(1, "").await?.products.remove(0);
        let changed = versions(shop, there.id, 50).await?;
        let added = versions(shop, new.id, 50).await?;
        assert_eq!(versions(shop, same.id, 50).await?.len(), 1, "a row that says the same makes no version");
        let kinds = |made: &[ProductVersion]| made.iter().map(ProductVersion::kind).collect::<Vec<_>>();
        assert_eq!(kinds(&changed), [ChangeKind::Imported, ChangeKind::Created]);
        assert_eq!(kinds(&added), [ChangeKind::Imported]);
        assert_eq!((changed[0].actor.as_str(), added[0].actor.as_str()), ("spring.csv", "spring.csv"));
        assert!(!added[0].request_id.is_empty() && added[0].request_id == changed[0].request_id);
        let first = changed[1].product.as_ref().context("it has a product")?;
        assert_eq!(first, &there);
        assert_eq!(changed[1].end_time, shop.get(there.id).await?.update_time);
        Ok(())
    })
    .await
}
