//! Counts of categories beside what products say, and renames.

use std::collections::BTreeMap;

use super::*;
use crate::category::Category;
use crate::rename::Rename;

const PATHS: [&str; 7] =
    ["Paint", "Paint/Interior", "paint / Interior/Eggshell", "Paint supplies", "Tools", "tools/Hand", "Électrique"];

impl Fixture {
    async fn listed(&self) -> BTreeMap<String, (i64, i64, bool)> {
        let listed = self.store.categories(&Below::Anywhere(""), "", 1_000, soon()).await.unwrap();
        listed.into_iter().map(|(key, counted)| (key, (counted.direct, counted.total, counted.has_children))).collect()
    }

    /// What is listed, counted from the products one by one.
    async fn counted(&self) -> BTreeMap<String, (i64, i64, bool)> {
        let last = self.store.search_state(soon()).await.unwrap().last_id;
        let products = self.store.live(&(1..=last).collect::<Vec<_>>(), soon()).await.unwrap();
        let mut counted: BTreeMap<String, (i64, i64, bool)> = BTreeMap::new();
        for product in products {
            let category = Category::parse(&product.category).unwrap();
            let levels: Vec<&str> = category.key().split('/').collect();
            for depth in 1..=levels.len() {
                let count = counted.entry(levels[..depth].join("/")).or_default();
                count.1 += 1;
                count.0 += i64::from(depth == levels.len());
                count.2 |= depth < levels.len();
            }
        }
        counted
    }
}

fn category(path: &str) -> Category {
    Category::parse(path).unwrap()
}

async fn filled(products: u32) -> Fixture {
    let it = fixture().await;
    let mut random = fastrand::Rng::with_seed(9);
    for n in 0..products {
        let draft = Draft::parse("Thing", PATHS[random.usize(..PATHS.len())], &format!("S-{n}")).unwrap();
        let product = it.store.create(&draft, None, soon()).await.unwrap();
        match random.u8(0..4) {
            0 => _ = it.store.delete(product.id, None).await.unwrap(),
            1 => {
                let category = Some(category(PATHS[random.usize(..PATHS.len())]));
                let change = Change { id: product.id, etag: None, name: None, category, sku: None };
                it.store.update(&change, None, soon()).await.unwrap();
            }
            _ => {}
        }
    }
    it
}

#[tokio::test]
async fn counts_are_those_of_the_products() {
    let it = filled(120).await;

    assert_eq!(it.listed().await, it.counted().await);
    let first = it.store.categories(&Below::Directly(""), "", 10, soon()).await.unwrap();
    let paths: Vec<&str> = first.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(paths, ["paint", "paint supplies", "tools", "électrique"]);
    let below = it.store.categories(&Below::Anywhere("paint"), "", 10, soon()).await.unwrap();
    assert_eq!(
        below.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(),
        ["paint/interior", "paint/interior/eggshell"]
    );

    // A database from before they were counted.
    let Database::Sqlite(file) = &it.store.database else { panic!("not SQLite") };
    let mut transaction = file.begin().await.unwrap();
    for sql in ["DELETE FROM categories WHERE path_key > 'p'", "UPDATE catalogue SET categories_counted = 0"] {
        sqlx::query(sql).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let again = ProductStore::open(&it.url).await.unwrap();
    assert_eq!(it.listed().await, it.counted().await);
    again.close().await;
}

#[tokio::test]
async fn a_category_is_renamed_with_what_is_below_it_and_nothing_else() {
    let it = filled(700).await;
    let before = it.counted().await;
    let rename = |from: &str, to: &str| Rename::new(it.store.clone(), category(from), category(to), Author::default());

    let mut move_all = rename("PAINT", "Coatings/Paint").unwrap();
    let preview = move_all.preview(soon()).await.unwrap();
    assert_eq!((preview.total, preview.merges, preview.sample.len()), (before["paint"].1, false, 10));
    let mut renamed = 0;
    while let Some(piece) = move_all.next().await.unwrap() {
        renamed += piece;
    }

    assert_eq!(renamed, before["paint"].1);
    let after = it.counted().await;
    assert_eq!(it.listed().await, after);
    assert_eq!((after.get("paint"), after["coatings/paint"].1), (None, before["paint"].1));
    assert_eq!(after["coatings/paint/interior/eggshell"], before["paint/interior/eggshell"]);
    assert_eq!(after["paint supplies"], before["paint supplies"]);
    assert!(matches!(move_all.preview(soon()).await, Err(Error::CategoryNotFound { .. })));
    assert!(rename("Tools", "tools/old").is_err() && rename("Tools", "Tools").is_err());
    let long = rename("Coatings", &"x".repeat(110)).unwrap().preview(soon()).await.unwrap_err().to_string();
    assert!(long.contains("Coatings/Paint/Interior"), "{long}");

    // Another case of the same name.
    let mut shout = rename("tools", "TOOLS").unwrap();
    while shout.next().await.unwrap().is_some() {}
    let tools = it.store.categories(&Below::Anywhere("tools"), "", 10, soon()).await.unwrap();
    assert_eq!(tools[0].1.path, "TOOLS/Hand");
    assert_eq!(it.store.category(&category("tools"), soon()).await.unwrap().unwrap().path, "TOOLS");
    assert_eq!(it.listed().await, it.counted().await);
}
