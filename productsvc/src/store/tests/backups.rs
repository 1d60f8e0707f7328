//! Backups of a SQLite file, and the list of what they hold.

use std::collections::BTreeSet;

use super::*;
use crate::store::connection::Connection;
use crate::store::snapshot::Snapshot;
use crate::store::tables::{DERIVED, TABLES, columns};

/// What is not ours to copy: SQLite's own, and the history of the migrations, which the copy has of its own.
const NOT_COPIED: [&str; 2] = ["sqlite_", "_sqlx_migrations"];

async fn names(fixture: &Fixture) -> Vec<String> {
    const NAMES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";

    let mut snapshot = Snapshot::open(&fixture.url).await.unwrap();
    let Connection::Sqlite(connection) = snapshot.connection() else { panic!("it is SQLite") };
    sqlx::query_scalar(NAMES).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn every_table_and_column_is_copied_or_derived() {
    let fixture = fixture().await;
    let copied: BTreeSet<&str> = TABLES.iter().map(|table| table.name).collect();
    let begins = |name: &str, list: &[&str]| list.iter().any(|begin| name.starts_with(begin));

    for name in names(&fixture).await {
        let is_listed = copied.contains(name.as_str()) || begins(&name, DERIVED) || begins(&name, &NOT_COPIED);
        assert!(is_listed, "{name} is neither copied nor derived: list it in store/tables.rs");
    }
    let mut snapshot = Snapshot::open(&fixture.url).await.unwrap();
    for table in TABLES {
        let mut listed: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        listed.sort_unstable();
        let there = columns(table.name, &mut snapshot.connection()).await.unwrap();
        assert_eq!(there, listed, "the columns of {} in store/tables.rs", table.name);
        assert!(table.key.iter().all(|key| listed.contains(key)), "the key of {}", table.name);
    }
}

#[tokio::test]
async fn a_backup_is_a_catalogue_and_overwrites_nothing() {
    let fixture = fixture().await;
    let first = fixture.store.create(&draft("Saw", "S-1"), None, soon()).await.unwrap();
    let second = fixture.store.create(&draft("Nail", "N-1"), Some(&key("a")), soon()).await.unwrap();
    fixture.store.delete(first.id, None).await.unwrap();
    let path = fixture._directory.path().join("backup.db");

    let holding = backup(&fixture.url, &path, &Progress::default()).await.unwrap();
    let again = backup(&fixture.url, &path, &Progress::default()).await.unwrap_err();

    assert_eq!((holding.last_sequence, holding.live_products), (3, 1));
    assert!(matches!(again, BackupError::Exists { .. }), "{again}");
    let left: Vec<_> =
        std::fs::read_dir(fixture._directory.path()).unwrap().flatten().map(|file| file.file_name()).collect();
    assert_eq!(left.len(), 2, "no partial file stays: {left:?}");
    let served = ProductStore::open(&format!("sqlite://{}", path.display())).await.unwrap();
    assert_eq!(served.find(second.id, soon()).await.unwrap(), second);
    assert_eq!(
        served.create(&draft("Nail", "N-1"), Some(&key("a")), soon()).await.unwrap(),
        second,
        "answers are kept"
    );
    assert_eq!(served.versions(first.id, i64::MAX, 10, soon()).await.unwrap().len(), 2);
    assert_eq!(served.create(&draft("Screw", "S-2"), None, soon()).await.unwrap().id, 3);
    served.close().await;
}

#[tokio::test]
async fn a_backup_is_restored_into_a_new_catalogue_only() {
    let fixture = fixture().await;
    let product = fixture.store.create(&draft("Saw", "S-1"), None, soon()).await.unwrap();
    let path = fixture._directory.path().join("backup.db");
    let new = format!("sqlite://{}", fixture._directory.path().join("new.db").display());
    let holding = backup(&fixture.url, &path, &Progress::default()).await.unwrap();

    assert_eq!(restore(&new, &path, &Progress::default()).await.unwrap(), holding);

    let used = restore(&new, &path, &Progress::default()).await.unwrap_err();
    assert!(matches!(used, BackupError::NotNew), "{used}");
    let restored = ProductStore::open(&new).await.unwrap();
    assert_eq!(restored.find(product.id, soon()).await.unwrap(), product);
    let state = restored.search_state(soon()).await.unwrap();
    assert_eq!((state.indexed_sequence, state.built_from), (1, 1), "the search index is to be built");
    restored.close().await;
}

#[tokio::test]
async fn what_is_no_backup_is_not_restored() {
    let fixture = fixture().await;
    let folder = fixture._directory.path();
    let refused = async |name: &str| {
        let new = format!("sqlite://{}", folder.join("never.db").display());
        restore(&new, &folder.join(name), &Progress::default()).await.unwrap_err().to_string()
    };
    std::fs::write(folder.join("text.db"), "This is no database, whatever its name says. ".repeat(40)).unwrap();
    let path = folder.join("backup.db");
    for number in 0..200 {
        fixture.store.create(&draft("Saw", &format!("S-{number}")), None, soon()).await.unwrap();
    }
    backup(&fixture.url, &path, &Progress::default()).await.unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    std::fs::write(folder.join("damaged.db"), bytes).unwrap();

    assert!(refused("missing.db").await.contains("unable to open"));
    assert!(refused("text.db").await.contains("not a database"));
    // Which page is hit decides whether it can be opened at all.
    let damaged = refused("damaged.db").await;
    assert!(damaged.contains("is damaged") || damaged.contains("malformed"), "{damaged}");
    assert!(!folder.join("never.db").exists(), "nothing was made");
}
