//! The store on a SQLite file of its own. The same sentences hold on PostgreSQL
//! and through the wire; the integration tests check them there.

mod archives;
mod backups;
mod categories;
mod checks;
mod full_disk;
mod history;
mod imports;
mod jobs;
mod lists;
mod passing;
mod searches;
mod undo;

use std::time::Duration;

use jiff::SignedDuration;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::order::Order;
use crate::page::Cursor;
use crate::product::{Draft, Etag};
use crate::search::finder::Finder;
use crate::search::{Field, Query, place};
use crate::selection::Selection;
use crate::text::Text;
use crate::write::{Change, Step};

struct Fixture {
    store: ProductStore,
    url: String,
    _directory: TempDir,
}

async fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/new/products.db", directory.path().display());
    Fixture { store: ProductStore::open(&url).await.unwrap(), url, _directory: directory }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn draft(name: &str, sku: &str) -> Draft {
    Draft::parse(name, "Tools/Hand", sku).unwrap()
}

fn key(request: &str) -> RequestKey {
    RequestKey::new(Uuid::from_u128(7), "Test", request.as_bytes())
}

/// Writes of one step, as the service makes them.
impl ProductStore {
    /// How many products are not deleted.
    async fn count(&self) -> i64 {
        let list = List { selection: Selection::default(), order: Order::NEWEST, cursor: Cursor::First, size: 1 };
        self.list(&list, soon()).await.unwrap().total.size
    }

    async fn take(&self, step: Step, key: Option<&RequestKey>, deadline: Instant) -> Result<Product, Error> {
        let author = Author { name: "tests".to_owned(), call_id: "call".to_owned(), person: false };
        let write = Write { author, steps: vec![step], validate_only: false };
        Ok(self.write(write, key.cloned(), deadline).await.map_err(Error::alone)?.remove(0))
    }

    async fn create(&self, draft: &Draft, key: Option<&RequestKey>, deadline: Instant) -> Result<Product, Error> {
        self.take(Step::Create(draft.clone()), key, deadline).await
    }

    async fn update(&self, change: &Change, key: Option<&RequestKey>, deadline: Instant) -> Result<Product, Error> {
        self.take(Step::Update(change.clone()), key, deadline).await
    }

    async fn delete(&self, id: i64, etag: Option<Etag>) -> Result<Product, Error> {
        self.take(Step::Delete { id, etag, allow_missing: false }, None, soon()).await
    }
}

fn change(id: i64, version: i64, draft: Draft) -> Change {
    let Draft { name, category, sku } = draft;
    Change { id, etag: Some(Etag { version }), name: Some(name), category: Some(category), sku: Some(sku) }
}

impl Fixture {
    async fn create(&self, name: &str, sku: &str) -> Product {
        self.store.create(&draft(name, sku), None, soon()).await.unwrap()
    }

    async fn names(&self, cursor: Cursor, size: usize) -> (Vec<String>, Page<()>) {
        let list = List { selection: Selection::default(), order: Order::NEWEST, cursor, size };
        let Page { items, next, previous } = self.store.list(&list, soon()).await.unwrap().page;
        (items.into_iter().map(|product| product.name).collect(), Page { items: Vec::new(), next, previous })
    }

    async fn found(&self, field: Field, query: &str) -> Vec<String> {
        let query = Query::new(field, &Text::parse(query).unwrap());
        let found = Finder::new(self.store.clone()).find(&query, &place::Cursor::First, 50, soon()).await.unwrap();
        found.hits.into_iter().map(|hit| hit.product.name).collect()
    }
}

#[tokio::test]
async fn a_product_is_found_as_it_was_added() {
    let it = fixture().await;

    let product = it.create("Claw Hammer", "HAM-1").await;

    assert_eq!((product.name.as_str(), product.version, product.delete_time), ("Claw Hammer", 1, None));
    assert_eq!(it.store.find(product.id, soon()).await.unwrap(), product);
    assert!(matches!(it.store.find(99, soon()).await, Err(Error::ProductNotFound { id: 99 })));
}

#[tokio::test]
async fn a_sku_is_taken_whatever_its_case() {
    let it = fixture().await;
    let first = it.create("Claw Hammer", "HAM-1").await;

    let second = it.store.create(&draft("Other", "ham-1"), None, soon()).await;

    assert!(matches!(second, Err(Error::SkuTaken { product_id: id }) if id == first.id));
}

#[tokio::test]
async fn a_change_needs_the_present_version() {
    let it = fixture().await;
    let product = it.create("Hammer", "HAM-1").await;
    let other = it.create("Saw", "SAW-1").await;
    let change = |name: &str, sku: &str, version| change(product.id, version, draft(name, sku));

    let changed = it.store.update(&change("Claw Hammer", "HAM-2", 1), None, soon()).await.unwrap();
    let stale = it.store.update(&change("Sledge Hammer", "HAM-2", 1), None, soon()).await;
    let taken = it.store.update(&change("Sledge Hammer", "saw-1", 2), None, soon()).await;

    assert_eq!((changed.name.as_str(), changed.version), ("Claw Hammer", 2));
    assert!(matches!(stale, Err(Error::StaleVersion { version: 2 })));
    assert!(matches!(taken, Err(Error::SkuTaken { product_id: id }) if id == other.id));
    assert_eq!(it.store.find(product.id, soon()).await.unwrap(), changed);
}

#[tokio::test]
async fn a_deleted_product_is_hidden_and_its_sku_free() {
    let it = fixture().await;
    let product = it.create("Hammer", "HAM-1").await;

    let stale = it.store.delete(product.id, Some(Etag { version: 9 })).await;
    let deleted = it.store.delete(product.id, Some(product.etag())).await.unwrap();

    assert!(matches!(stale, Err(Error::StaleVersion { version: 1 })));
    assert!(deleted.delete_time.is_some());
    assert_eq!(it.store.find(product.id, soon()).await.unwrap(), deleted);
    assert!(it.found(Field::Any, "hammer").await.is_empty());
    let again = it.store.delete(product.id, None).await;
    assert!(matches!(again, Err(Error::ProductNotFound { .. })));
    let change = change(product.id, deleted.version, draft("x", "y"));
    assert!(matches!(it.store.update(&change, None, soon()).await, Err(Error::ProductDeleted { .. })));

    let successor = it.create("Hammer", "HAM-1").await;
    assert!(successor.id > product.id);
}

#[tokio::test]
async fn pages_lead_to_the_oldest_and_back() {
    let it = fixture().await;
    for n in 1..=5 {
        it.create(&format!("P{n}"), &format!("S{n}")).await;
    }

    let (first, page) = it.names(Cursor::First, 2).await;
    assert_eq!((first.as_slice(), page.previous), (["P5".to_owned(), "P4".to_owned()].as_slice(), None));
    let (second, page) = it.names(page.next.unwrap(), 2).await;
    assert_eq!(second, ["P3", "P2"]);
    let (third, last) = it.names(page.next.unwrap(), 2).await;
    assert_eq!((third, last.next), (vec!["P1".to_owned()], None));

    let (back, page) = it.names(last.previous.unwrap(), 2).await;
    assert_eq!(back, ["P3", "P2"]);
    it.create("P6", "S6").await;
    let (back, page) = it.names(page.previous.unwrap(), 2).await;
    assert_eq!(back, ["P5", "P4"]);
    let (back, page) = it.names(page.previous.unwrap(), 2).await;
    assert_eq!((back.as_slice(), page.previous), (["P6".to_owned(), "P5".to_owned()].as_slice(), None));
}

#[tokio::test]
async fn searches_are_literal_and_look_where_they_are_told() {
    let it = fixture().await;
    it.create("50% Grey_Paint ½ in", "PNT-1").await;
    it.create("Straße Sign", "SGN\\1").await;

    assert_eq!(it.found(Field::Name, "STRASSE").await, ["Straße Sign"]);
    assert_eq!(it.found(Field::Any, "1/2 IN").await, ["50% Grey_Paint ½ in"]);
    assert_eq!(it.found(Field::Any, "%").await, ["50% Grey_Paint ½ in"]);
    assert_eq!(it.found(Field::Any, "_").await, ["50% Grey_Paint ½ in"]);
    assert_eq!(it.found(Field::Sku, "\\").await, ["Straße Sign"]);
    assert_eq!(it.found(Field::Category, "hand").await.len(), 2);
    assert!(it.found(Field::Name, "hand").await.is_empty());
    assert!(it.found(Field::Any, "*").await.is_empty());
}

#[tokio::test]
async fn a_repeated_write_answers_as_the_first_time() {
    let it = fixture().await;
    let first = it.store.create(&draft("Hammer", "HAM-1"), Some(&key("a")), soon()).await.unwrap();
    let change = change(first.id, first.version, draft("Changed", "HAM-1"));
    it.store.update(&change, None, soon()).await.unwrap();

    let again = it.store.create(&draft("Hammer", "HAM-1"), Some(&key("a")), soon()).await.unwrap();
    let other = it.store.create(&draft("Saw", "SAW-1"), Some(&key("b")), soon()).await;

    assert_eq!(again, first);
    assert!(matches!(other, Err(Error::RequestIdReused)));
}

#[tokio::test]
async fn a_refused_write_leaves_its_request_id_free() {
    let it = fixture().await;
    let first = it.create("Hammer", "HAM-1").await;
    let refused = it.store.create(&draft("Other", "HAM-1"), Some(&key("a")), soon()).await;
    assert!(matches!(refused, Err(Error::SkuTaken { .. })));

    it.store.delete(first.id, None).await.unwrap();

    assert!(it.store.create(&draft("Other", "HAM-1"), Some(&key("a")), soon()).await.is_ok());
}

#[tokio::test]
async fn old_answers_are_forgotten() {
    let it = fixture().await;
    it.store.create(&draft("Hammer", "HAM-1"), Some(&key("a")), soon()).await.unwrap();

    assert_eq!(it.store.purge_requests(now() - SignedDuration::from_hours(1), soon()).await.unwrap(), 0);
    assert_eq!(it.store.purge_requests(now() + SignedDuration::from_hours(1), soon()).await.unwrap(), 1);
}

#[tokio::test]
async fn concurrent_duplicates_write_once() {
    let it = fixture().await;
    let other = ProductStore::open(&it.url).await.unwrap();
    let (drafted, key) = (draft("Hammer", "HAM-1"), key("a"));

    let (one, two) =
        tokio::join!(it.store.create(&drafted, Some(&key), soon()), other.create(&drafted, Some(&key), soon()));

    assert_eq!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn a_write_waits_for_another_process_until_its_deadline() {
    let it = fixture().await;
    let other = ProductStore::open(&it.url).await.unwrap();
    let Database::Sqlite(file) = &other.database else { panic!("not SQLite") };
    let holding = file.begin().await.unwrap();

    let deadline = Instant::now() + Duration::from_millis(150);
    let late = it.store.create(&draft("Hammer", "HAM-1"), None, deadline).await;
    assert!(matches!(late, Err(Error::DatabaseBusy)));

    drop(holding);
    assert!(it.store.create(&draft("Hammer", "HAM-1"), None, soon()).await.is_ok());
}

#[tokio::test]
async fn a_dropped_write_leaves_nothing_behind() {
    let it = fixture().await;
    for n in 0..50_u64 {
        let drafted = draft("Hammer", &format!("HAM-{n}"));
        // Dropped at another point of its way each time.
        let patience = Duration::from_micros(n * 40);
        let _ = tokio::time::timeout(patience, it.store.create(&drafted, None, soon())).await.ok();
    }

    let other = ProductStore::open(&it.url).await.unwrap();
    assert!(other.create(&draft("Saw", "SAW-1"), None, Instant::now() + Duration::from_secs(2)).await.is_ok());
    assert!(it.store.create(&draft("Saw", "SAW-2"), None, Instant::now() + Duration::from_secs(2)).await.is_ok());
}

#[tokio::test]
async fn stores_that_start_together_migrate_once() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/products.db", directory.path().display());

    let (one, two, three) = tokio::join!(ProductStore::open(&url), ProductStore::open(&url), ProductStore::open(&url));

    let one = one.unwrap();
    let id = one.create(&draft("Hammer", "HAM-1"), None, soon()).await.unwrap().id;
    for store in [two.unwrap(), three.unwrap()] {
        assert_eq!(store.find(id, soon()).await.unwrap().name, "Hammer");
    }
}

#[tokio::test]
async fn urls_that_cannot_work_are_refused_without_their_password() {
    for url in
        ["", "mysql://clerk:hunter2@host/db", "sqlite::memory:", "sqlite://", "postgres://clerk:hunter2@127.0.0.1:1/db"]
    {
        let error = anyhow::Error::from(ProductStore::open(url).await.unwrap_err());

        assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
    }
}
