//! How each database means to read a list: along an index of its order, never all of it.

use std::time::Duration;

use harness::system::Options;
use productsvc::ProductStore;
use productsvc::import::{GoodRow, Manner, Mode, Piece};
use productsvc::order::{By, Order};
use productsvc::page::Cursor;
use productsvc::product::Draft;
use productsvc::selection::Selection;
use productsvc::store::{Beginning, List, Plan, Rules};
use productsvc::version::Author;
use productsvc::write::{Step, Write};
use tokio::time::Instant;

const PRODUCTS: i64 = 20_000;

const PAGE: usize = 50;

/// So many are deleted again.
const DELETED: i64 = 3_000;

const FILTERS: [(&str, bool); 7] = [
    ("", false),
    ("", true),
    ("deleted = true", true),
    ("category:\"Aisle 3\"", false),
    ("name = \"product 1*\" AND sku = \"SKU-00*\"", false),
    ("name = \"product 17\" AND id > 5", true),
    ("create_time > 1999-12-31T23:59:59Z AND update_time < 2999-12-31T23:59:59Z AND version != 7", true),
];

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn fill(store: &ProductStore) -> anyhow::Result<()> {
    let author = Author { name: "tests".to_owned(), call_id: String::new(), person: false };
    let beginning = Beginning {
        key: None,
        source: String::new(),
        manner: Manner { mode: Mode::Upsert, allow_damaged: false },
        dry_run: false,
        only_if_new: false,
        resume_cancelled: false,
    };
    let mut job = store.begin_import(&beginning, soon()).await?;
    let lines: Vec<i64> = (1..=PRODUCTS).collect();
    for piece in lines.chunks(500) {
        let end = piece.last() == Some(&PRODUCTS);
        let draft = |line: i64| {
            let (name, category) = (format!("Product {}", line % 997), format!("Aisle {}/Shelf {line}", line % 7));
            Draft::parse(&name, &category, &format!("SKU-{line:05}")).expect("it is a product")
        };
        let good = piece.iter().map(|line| GoodRow { line: *line, draft: draft(*line) }).collect();
        let piece = Piece { good, refused: Vec::new(), last_line: piece[piece.len() - 1] };
        let rules = Rules { author: author.clone(), end };
        job = store.store_piece(&job, &piece, &rules, soon()).await?;
    }
    let ids: Vec<i64> = (1..=PRODUCTS).filter(|id| id * DELETED % PRODUCTS < DELETED).collect();
    for ids in ids.chunks(500) {
        let steps = ids.iter().map(|id| Step::Delete { id: *id, etag: None, allow_missing: false }).collect();
        store.write(Write { author: author.clone(), steps, validate_only: false }, None, soon()).await?;
    }
    Ok(())
}

/// Fails unless a plan goes along one of our indexes and sorts nothing.
fn check(plan: &Plan) -> anyhow::Result<()> {
    let Plan { statement, steps, limit } = plan;
    let deleted = statement.contains("COALESCE(delete_time");
    let order = statement.split(" ORDER BY ").nth(1).and_then(|rest| rest.split([' ', ',']).next()).unwrap_or_default();
    let noun = order.trim_end_matches("_key");
    let names = match (noun, deleted) {
        ("id", false) => vec!["products_pkey".to_owned(), "INTEGER PRIMARY KEY".to_owned(), "SCAN products".to_owned()],
        ("sku", false) => vec!["products_sku_key_live".to_owned()],
        (noun, false) => vec![format!("products_by_{noun} "), format!("products_by_{noun}\n")],
        (noun, true) => vec![format!("products_deleted_by_{noun}")],
    };
    let indexed = names.iter().any(|name| format!("{steps}\n").contains(name));
    let bounded = statement.contains(" AND ");
    let scans_all = steps.contains("Seq Scan") || bounded && steps.contains("SCAN products");
    // A few thousand PostgreSQL may read in the order of the disk and sort, when it believes that there are no more.
    let believed = steps.split(" rows=").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<usize>().ok()).max();
    let is_little = *limit > PAGE + 1 && believed.is_some_and(|rows| rows <= 2 * limit);
    let sorts = !is_little && ["Sort", "TEMP B-TREE", "Bitmap"].iter().any(|word| steps.contains(word));
    anyhow::ensure!(indexed && !scans_all && !sorts, "{statement}\n{steps}");
    anyhow::ensure!(!bounded || ["Index Cond", "SEARCH"].iter().any(|word| steps.contains(word)), "{plan:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_statement_of_a_list_goes_along_an_index_and_sorts_nothing() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        let folder = tempfile::tempdir()?;
        let file = format!("sqlite://{}/products.db", folder.path().display());
        let store = ProductStore::open(&options.database_url.unwrap_or(file)).await?;
        fill(&store).await?;
        let middle = store.find(PRODUCTS / 2 + 1, soon()).await?;

        for (filter, show_deleted) in FILTERS {
            let selection = Selection::parse(filter, show_deleted)?;
            for (by, descending) in By::ALL.into_iter().flat_map(|(_, by)| [(by, false), (by, true)]) {
                let order = Order { by, descending };
                let place = order.place(&middle);
                let cursors =
                    [Cursor::First, Cursor::After(place.clone()), Cursor::Before(place.clone()), Cursor::UpTo(place)];
                for cursor in cursors {
                    let list = List { selection: selection.clone(), order, cursor, size: PAGE };
                    let plans = store.explain(&list, soon()).await?;
                    assert!(!plans.is_empty());
                    plans.iter().try_for_each(check)?;
                }
            }
        }
        store.close().await;
    }
    Ok(())
}
