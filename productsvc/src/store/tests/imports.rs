//! What imports store, and how they go on.

use super::*;
use crate::import::{Checker, Counts, Manner, Mode, Reason, Row};

fn rows(lines: std::ops::Range<i64>) -> Vec<Row> {
    let row =
        |line| Row { line, name: format!("Product {line}"), category: "Tools".to_owned(), sku: format!("SKU-{line}") };
    lines.map(row).collect()
}

fn piece(rows: &[Row], mark: i64) -> Piece {
    let mut checker = Checker::default();
    for row in rows {
        checker.add(row, mark).unwrap();
    }
    checker.take()
}

fn beginning(key: Option<RequestKey>) -> Beginning {
    let manner = Manner { mode: Mode::Upsert, allow_damaged: false };
    let source = "test.csv".to_owned();
    Beginning { key, source, manner, dry_run: false, only_if_new: false, resume_cancelled: false }
}

const RULES: Rules =
    Rules { author: Author { name: String::new(), call_id: String::new(), person: false }, end: false };

#[tokio::test]
async fn an_import_adds_changes_and_leaves() {
    let it = fixture().await;
    let mut file = rows(2..702);
    let job = it.store.begin_import(&beginning(None), soon()).await.unwrap();
    let job = it.store.store_piece(&job, &piece(&file, 0), &Rules { end: true, ..RULES }, soon()).await.unwrap();
    assert_eq!(job.counts, Counts { rows: 700, created: 700, ..Counts::default() });
    assert!(job.end_time.is_some());

    file[0].name = "Changed".to_owned();
    file[1].sku = "sku-3".to_owned();
    file[2].name = String::new();
    let job = it.store.begin_import(&beginning(None), soon()).await.unwrap();
    let job = it.store.store_piece(&job, &piece(&file, 0), &Rules { end: true, ..RULES }, soon()).await.unwrap();

    assert_eq!(job.counts, Counts { rows: 700, updated: 2, unchanged: 697, refused: 1, ..Counts::default() });
    assert_eq!(it.found(Field::Name, "changed").await.len(), 1);
    let changed = it.store.find(1, soon()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.version), ("Changed", 2));
    let refused = it.store.refused_rows(job.id, 0, 10, soon()).await.unwrap();
    assert_eq!((refused[0].row.line, refused[0].reason), (4, Reason::InvalidField));
}

#[tokio::test]
async fn an_import_that_only_creates_refuses_taken_skus() {
    let it = fixture().await;
    it.create("Mine", "sku-3").await;

    let manner = Manner { mode: Mode::Create, allow_damaged: false };
    let job = it.store.begin_import(&Beginning { manner, ..beginning(None) }, soon()).await.unwrap();
    let job = it.store.store_piece(&job, &piece(&rows(2..5), 0), &RULES, soon()).await.unwrap();

    assert_eq!((job.counts.created, job.counts.refused), (2, 1));
    let refused = it.store.refused_rows(job.id, 0, 10, soon()).await.unwrap();
    assert_eq!((refused[0].reason, refused[0].message.as_str()), (Reason::SkuTaken, "product 1 has this SKU"));
}

#[tokio::test]
async fn an_import_that_broke_off_goes_on_where_it_was() {
    let it = fixture().await;
    let job = it.store.begin_import(&beginning(Some(key("import"))), soon()).await.unwrap();
    it.store.store_piece(&job, &piece(&rows(2..7), 0), &RULES, soon()).await.unwrap();

    let again = it.store.begin_import(&beginning(Some(key("import"))), soon()).await.unwrap();
    assert_eq!((again.id, again.mark), (job.id, 6));
    let rest = piece(&rows(2..12), again.mark);
    let done = it.store.store_piece(&again, &rest, &Rules { end: true, ..RULES }, soon()).await.unwrap();
    let late = it.store.store_piece(&job, &piece(&rows(2..7), 0), &RULES, soon()).await;

    assert_eq!(done.counts, Counts { rows: 10, created: 10, ..Counts::default() });
    assert!(matches!(late, Err(Error::ImportRunning)));
    let ended = it.store.begin_import(&beginning(Some(key("import"))), soon()).await.unwrap();
    assert_eq!(ended, done);
    assert!(matches!(it.store.begin_import(&beginning(Some(key("other"))), soon()).await, Err(Error::RequestIdReused)));
}

#[tokio::test]
async fn of_two_streams_of_one_import_the_second_is_told() {
    let it = fixture().await;
    let first = it.store.begin_import(&beginning(Some(key("import"))), soon()).await.unwrap();
    let second = it.store.begin_import(&beginning(Some(key("import"))), soon()).await.unwrap();
    let piece = piece(&rows(2..7), 0);

    let stored = it.store.store_piece(&first, &piece, &RULES, soon()).await;
    let refused = it.store.store_piece(&second, &piece, &RULES, soon()).await;

    assert_eq!(stored.unwrap().counts.created, 5);
    assert!(matches!(refused, Err(Error::ImportRunning)));
}

#[tokio::test]
async fn an_import_for_new_catalogues_leaves_others_alone() {
    let it = fixture().await;
    let only_if_new = Beginning { only_if_new: true, ..beginning(None) };
    let early = it.store.begin_import(&only_if_new, soon()).await.unwrap();
    let product = it.create("Hammer", "HAM-1").await;
    it.store.delete(product.id, None).await.unwrap();

    let stored = it.store.store_piece(&early, &piece(&rows(2..4), 0), &RULES, soon()).await;

    assert!(matches!(it.store.begin_import(&only_if_new, soon()).await, Err(Error::CatalogueNotNew)));
    assert!(matches!(stored, Err(Error::CatalogueNotNew)));
}
