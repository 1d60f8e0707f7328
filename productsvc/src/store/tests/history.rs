//! What the history keeps, and in which order.

use super::*;
use crate::version::Kind;

#[tokio::test]
async fn every_version_is_kept_with_what_made_it() {
    let it = fixture().await;
    let first = it.create("Hammer", "HAM-1").await;
    let second = it.store.update(&change(first.id, 1, draft("Claw Hammer", "HAM-1")), None, soon()).await.unwrap();
    let third = it.store.delete(first.id, None).await.unwrap();

    let versions = it.store.versions(first.id, i64::MAX, 10, soon()).await.unwrap();

    let states: Vec<&Product> = versions.iter().map(|version| &version.product).collect();
    assert_eq!(states, [&third, &second, &first]);
    let kinds: Vec<Kind> = versions.iter().map(|version| version.origin.kind).collect();
    assert_eq!(kinds, [Kind::Deleted, Kind::Updated, Kind::Created]);
    assert!(versions.iter().all(|version| version.origin.author.name == "tests"));
    let ends: Vec<_> = versions.iter().map(|version| version.end_time).collect();
    assert_eq!(ends, [None, Some(third.update_time), Some(second.update_time)]);
    assert_eq!(it.store.versions(first.id, 3, 1, soon()).await.unwrap()[0].product, second);
    assert_eq!(it.store.find_version(first.id, 1, soon()).await.unwrap().product, first);
    let missing = it.store.find_version(first.id, 4, soon()).await;
    assert!(matches!(missing, Err(Error::VersionNotFound { version: 4, .. })));
}

#[tokio::test]
async fn a_product_is_found_as_it_was() {
    let it = fixture().await;
    let first = it.create("Hammer", "HAM-1").await;
    let second = it.store.update(&change(first.id, 1, draft("Claw Hammer", "HAM-1")), None, soon()).await.unwrap();
    let history = crate::History::new(it.store.clone(), None);
    let as_of = async |moment| history.find_as_of(first.id, moment, soon()).await;

    assert_eq!(as_of(now()).await.unwrap(), second);
    assert_eq!(as_of(second.update_time).await.unwrap(), second);
    assert_eq!(as_of(second.update_time - SignedDuration::from_micros(1)).await.unwrap(), first);
    let before = as_of(first.create_time - SignedDuration::from_micros(1)).await;
    assert!(matches!(before, Err(Error::ProductNotFound { .. })));
}

#[tokio::test]
async fn changes_are_told_in_their_order_with_what_they_left() {
    let it = fixture().await;
    let first = it.create("Hammer", "HAM-1").await;
    let other = it.create("Saw", "SAW-1").await;
    let second = it.store.update(&change(first.id, 1, draft("Claw Hammer", "HAM-1")), None, soon()).await.unwrap();

    let changes = it.store.changes(0, 10, soon()).await.unwrap();

    let sequences: Vec<i64> = changes.iter().map(|change| change.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    let states: Vec<Product> = changes.into_iter().filter_map(|change| change.product).collect();
    assert_eq!(states, [first, other, second]);
    assert_eq!(it.store.changes(2, 10, soon()).await.unwrap().len(), 1);
    assert_eq!(it.store.sequences(soon()).await.unwrap(), (0, 3));
}

#[tokio::test]
async fn products_swap_their_skus_in_one_write() {
    let it = fixture().await;
    let (one, two) = (it.create("Hammer", "A").await, it.create("Saw", "B").await);
    let give = |id, sku: &str| Change { name: None, category: None, etag: None, ..change(id, 1, draft("x", sku)) };
    let steps = [give(one.id, "C"), give(two.id, "A"), give(one.id, "B")].map(Step::Update).to_vec();

    let write = Write { author: Author::default(), steps, validate_only: false };
    it.store.write(write, None, soon()).await.unwrap();

    assert_eq!(it.store.find_by_sku("b", soon()).await.unwrap().id, one.id);
    assert_eq!(it.store.find_by_sku("a", soon()).await.unwrap().id, two.id);
    assert_eq!(it.store.versions(one.id, i64::MAX, 10, soon()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_the_purge_is_told() {
    let it = fixture().await;
    let product = it.create("Hammer", "HAM-1").await;
    it.create("Saw", "SAW-1").await;
    it.store.delete(product.id, None).await.unwrap();

    crate::purge::once(&it.store, now()).await.unwrap();
    assert!(it.store.find(product.id, soon()).await.is_ok());
    it.store.purge_deleted(now() + SignedDuration::from_hours(1), soon()).await.unwrap();

    assert!(matches!(it.store.find(product.id, soon()).await, Err(Error::ProductNotFound { .. })));
    let changes = it.store.changes(0, 10, soon()).await.unwrap();
    let last = changes.last().unwrap();
    assert_eq!((last.sequence, last.kind, last.product.as_ref()), (4, Kind::Purged, None));
    assert!(changes[0].product.is_none(), "its versions are gone with it");
    let later = now() + SignedDuration::from_hours(24 * 31);
    crate::purge::once(&it.store, later).await.unwrap();
    assert_eq!(it.store.sequences(soon()).await.unwrap(), (0, 4), "the search index still needs them");
    crate::indexer::fill(&it.store, it.store.search_state(soon()).await.unwrap()).await.unwrap();
    crate::purge::once(&it.store, later).await.unwrap();
    assert_eq!(it.store.sequences(soon()).await.unwrap(), (4, 4));
    assert_eq!(it.create("Hammer", "HAM-1").await.id, product.id + 2);
}

#[tokio::test]
async fn writes_that_come_together_are_committed_together() {
    let it = fixture().await;
    let writes = (0..200).map(|n| {
        let store = it.store.clone();
        async move { store.create(&draft("Nail", &format!("N-{}", n / 2)), None, soon()).await }
    });

    let outcomes = futures_util::future::join_all(writes).await;

    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 100);
    assert_eq!(it.store.sequences(soon()).await.unwrap().1, 100);
    let times: std::collections::BTreeSet<_> = outcomes.iter().flatten().map(|product| product.create_time).collect();
    assert!(times.len() < 50, "{} transactions", times.len());
}

#[tokio::test]
async fn a_catalogue_from_before_the_history_goes_on() {
    use sqlx::{Connection as _, SqliteConnection};
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/products.db", directory.path().display());
    let mut old = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
    let all = &crate::store::sqlite::MIGRATIONS;
    let first =
        sqlx::migrate::Migrator { migrations: all.migrations[..1].to_vec().into(), ..sqlx::migrate::Migrator::DEFAULT };
    first.run(&mut old).await.unwrap();
    const ROW: &str =
        "INSERT INTO products (name, category, sku, name_key, category_key, sku_key, version, create_time,
        update_time, delete_time) VALUES ($1, 'Tools', $1, $2, 'tools', $2, 1, 5, 5, $3)";
    for (name, key, delete_time) in [("Saw", "saw", None), ("Axe", "axe", Some(now().as_microsecond()))] {
        sqlx::query(ROW).bind(name).bind(key).bind(delete_time).execute(&mut old).await.unwrap();
    }
    sqlx::query("DELETE FROM products WHERE name = 'Axe'").execute(&mut old).await.unwrap();
    old.close().await.unwrap();

    let store = ProductStore::open(&url).await.unwrap();

    let changed = store.update(&change(1, 1, draft("Hand Saw", "SAW")), None, soon()).await.unwrap();
    assert_eq!((changed.version, store.count().await), (2, 1));
    let versions = store.versions(1, i64::MAX, 9, soon()).await.unwrap();
    assert_eq!((versions.len(), versions[1].origin.kind), (2, Kind::Unknown));
    let added = store.create(&draft("Adze", "ADZ-1"), None, soon()).await.unwrap();
    assert_eq!(added.id, 3, "no id is used again");
}
