//! Damage of every kind in a SQLite file, and what the check tells of it.

use sqlx::SqliteConnection;

use super::*;
use crate::indexer;
use crate::store::connection::Connection;
use crate::store::snapshot::Snapshot;

async fn found(url: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut tell = |finding: &str| findings.push(finding.to_owned());
    let count = check(url, &mut tell, &Progress::default()).await.unwrap();
    assert_eq!(count, findings.len() as u64);
    findings
}

/// Three products, one of which was changed twice and one deleted, and an import.
async fn shop() -> Fixture {
    let fixture = fixture().await;
    let saw = fixture.store.create(&draft("Saw", "S-1"), None, soon()).await.unwrap();
    for name in ["Hand saw", "Fine saw"] {
        let change =
            Change { id: saw.id, etag: None, name: Some(Text::parse(name).unwrap()), category: None, sku: None };
        fixture.store.update(&change, None, soon()).await.unwrap();
    }
    let nail = fixture.store.create(&draft("Nail", "N-1"), None, soon()).await.unwrap();
    fixture.store.delete(nail.id, None).await.unwrap();
    fixture.store.create(&draft("Screw", "C-1"), None, soon()).await.unwrap();
    fixture
}

pub(super) async fn damage(fixture: &Fixture, sql: &'static str) {
    let mut snapshot = Snapshot::open(&fixture.url).await.unwrap();
    let Connection::Sqlite(connection) = snapshot.connection() else { panic!("it is SQLite") };
    let connection: &mut SqliteConnection = connection;
    sqlx::raw_sql("PRAGMA foreign_keys = OFF").execute(&mut *connection).await.unwrap();
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_sound_catalogue_has_no_findings() {
    assert_eq!(found(&shop().await.url).await, Vec::<String>::new());
    assert_eq!(found(&fixture().await.url).await, Vec::<String>::new(), "nor has an empty one");
}

#[tokio::test]
async fn versions_and_changes_may_be_missing_from_the_front() {
    let fixture = shop().await;

    damage(&fixture, "DELETE FROM product_versions WHERE product_id = 1 AND version = 1").await;
    damage(&fixture, "INSERT INTO archive_parts VALUES (1, 1, 1, 1, '', 1, 1, 0, 0)").await;
    damage(&fixture, "DELETE FROM product_changes WHERE sequence < 3").await;

    assert_eq!(found(&fixture.url).await, Vec::<String>::new());
}

/// What may be done to a sound catalogue, and what is told of it.
const DAMAGE: &[(&str, &str)] = &[
    (
        "UPDATE products SET name_key = 'x' WHERE id = 1",
        "product 1: the key of its name is \"x\" and must be \"fine saw\"",
    ),
    ("UPDATE products SET sku = '' WHERE id = 3", "product 3: its sku must not be empty"),
    ("UPDATE products SET update_time = 1 WHERE id = 3", "product 3: it was changed before it was added"),
    (
        "DROP INDEX products_sku_key_live; UPDATE products SET sku = 's-1', sku_key = 's-1' WHERE id = 3",
        "2 products have the SKU \"s-1\", among them 1 and 3",
    ),
    ("DELETE FROM product_versions WHERE version = 2", "product 1: nothing is kept between its versions 1 and 3"),
    (
        "UPDATE product_versions SET end_time = 1 WHERE version = 2",
        "version 2 of product 1 did not end when version 3 began",
    ),
    (
        "UPDATE product_versions SET product_id = 2, version = 9 WHERE version = 2",
        "product 2 has a version 9, but is at version 2",
    ),
    ("UPDATE catalogue SET last_id = 2", "catalogue: the last id is 2, but product 3 has one"),
    ("UPDATE catalogue SET last_sequence = 9", "catalogue: the last sequence is 9, but that of the last change is 6"),
    ("UPDATE catalogue SET live_products = 7", "catalogue: it counts 7 products that are not deleted, there are 2"),
    (
        "UPDATE categories SET direct_products = 9",
        "the category \"Tools/Hand\" counts 9 products in it and 2 with those below; there are 2 and 2",
    ),
    ("DELETE FROM categories", "the category \"Tools\" is not counted; it has 2 products"),
    ("DELETE FROM catalogue", "the table catalogue has 0 rows"),
    (
        "DELETE FROM product_versions WHERE product_id = 1 AND version = 1",
        "product 1: nothing is kept of what came before its version 2",
    ),
    (
        "DELETE FROM product_versions WHERE product_id = 1",
        "product 1: nothing is kept of what came before its version 3",
    ),
    ("DELETE FROM product_changes WHERE sequence = 3", "nothing is kept between the sequences 2 and 4"),
    ("UPDATE product_changes SET change_kind = 77 WHERE sequence = 3", "change 3: nothing is called 77"),
    (
        "UPDATE product_changes SET version = 8 WHERE sequence = 6",
        "change 6 made version 8 of product 3, which is at 1",
    ),
    ("DELETE FROM products WHERE id = 3", "change 6 is of product 3, which is not there and was not purged"),
    (
        "INSERT INTO import_jobs (id, source, mark, total_rows, created_rows, updated_rows, unchanged_rows,
                refused_rows, create_time) VALUES (1, 'a', 3, 3, 1, 0, 0, 1, 1)",
        "import 1 counts 3 rows, but says what became of 2",
    ),
    (
        "INSERT INTO import_jobs (id, source, mark, total_rows, created_rows, updated_rows, unchanged_rows,
                refused_rows, create_time) VALUES (1, 'a', 3, 3, 1, 0, 0, 2, 1)",
        "import 1 counts 2 refused rows, of which 0 are kept",
    ),
    (
        "INSERT INTO import_refusals (job_id, line, name, category, sku, field, reason, message)
                VALUES (5, 1, '', '', '', '', '', '')",
        "a row of import_refusals refers to a row of import_jobs that is not there",
    ),
    ("ALTER TABLE products ADD COLUMN price INTEGER", "the table products has other columns"),
];

#[tokio::test]
async fn each_damage_is_told_with_its_ids() {
    for (sql, told) in DAMAGE {
        let fixture = shop().await;

        damage(&fixture, sql).await;

        let findings = found(&fixture.url).await;
        assert!(findings.iter().any(|finding| finding.contains(told)), "{sql}: {findings:?}");
    }
}

#[tokio::test]
async fn a_product_that_is_not_on_its_lists_is_told() {
    let fixture = shop().await;
    damage(&fixture, "DELETE FROM search_postings").await;
    assert_eq!(found(&fixture.url).await, Vec::<String>::new(), "what waits for the index need not be in it");
    indexer::fill(&fixture.store, fixture.store.search_state(soon()).await.unwrap()).await.unwrap();
    assert_eq!(found(&fixture.url).await, Vec::<String>::new());

    damage(&fixture, "DELETE FROM search_postings WHERE gram = (SELECT MIN(gram) FROM search_postings)").await;

    let findings = found(&fixture.url).await;
    assert!(!findings.is_empty(), "nobody was on the list");
    assert!(findings.iter().all(|finding| finding.ends_with("is not found by all that it says")), "{findings:?}");

    damage(&fixture, "UPDATE search_postings SET ids = x'ff'").await;
    assert!(found(&fixture.url).await.iter().any(|finding| finding.contains("is damaged")));
}

#[tokio::test]
async fn a_page_that_was_overwritten_is_told() {
    let fixture = shop().await;
    fixture.store.close().await;
    let path = fixture.url.strip_prefix("sqlite://").unwrap();
    let mut bytes = std::fs::read(path).unwrap();
    // The last page is of an index or a table; the first one has the schema.
    let end = bytes.len();
    bytes[end - 4096..].fill(0xa5);
    std::fs::write(path, bytes).unwrap();

    let mut findings = Vec::new();
    let checked = check(&fixture.url, &mut |finding| findings.push(finding.to_owned()), &Progress::default()).await;

    assert!(checked.is_err() || findings.iter().any(|finding| finding.contains("the file is damaged")), "{findings:?}");
}

#[tokio::test]
async fn what_is_counted_is_counted_anew() {
    let fixture = shop().await;
    damage(&fixture, "UPDATE catalogue SET live_products = 7; UPDATE categories SET total_products = 4").await;

    recount(&fixture.url).await.unwrap();

    assert_eq!(found(&fixture.url).await, Vec::<String>::new());
}
