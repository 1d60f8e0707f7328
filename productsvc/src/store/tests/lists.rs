//! Lists in every order, forwards and back, each by a range of an index.

use super::*;
use crate::order::By;
use crate::store::products::Side;

const ORDERS: [&str; 12] = [
    "id",
    "id desc",
    "name",
    "name desc",
    "category",
    "category desc",
    "sku",
    "sku desc",
    "create_time",
    "create_time desc",
    "update_time",
    "update_time desc",
];

#[tokio::test]
async fn every_order_leads_through_all_products_and_back() {
    let it = fixture().await;
    let mut random = fastrand::Rng::with_seed(2);
    for n in 0..60 {
        // Many are equal in all but their SKUs.
        let (name, category) = (["Saw", "saw", "Ätze", "2x4"][n % 4], ["Tools", "Tools/Hand"][random.usize(0..2)]);
        let draft = Draft::parse(name, category, &format!("S-{}", random.u32(..))).unwrap();
        it.store.create(&draft, None, soon()).await.unwrap();
    }
    for id in [3, 17, 40] {
        it.store.delete(id, None).await.unwrap();
        it.store.update(&change(id + 1, 1, draft("Changed", &format!("C-{id}"))), None, soon()).await.unwrap();
    }

    for text in ORDERS {
        let order = Order::parse(text).unwrap();
        let (mut forwards, mut pages, mut cursor) = (Vec::new(), 0, Cursor::First);
        let last = loop {
            let listing = Listing { order, cursor };
            let page = it.store.page(&listing, 7, soon()).await.unwrap();
            forwards.extend(page.items);
            pages += 1;
            match page.next {
                Some(next) => cursor = next,
                None => break page.previous,
            }
        };
        assert_eq!((forwards.len(), pages), (57, 9), "{text}");
        let key = |product: &Product| {
            let place = order.place(product);
            let moment = |moment: Timestamp| moment.as_microsecond();
            match order.by {
                By::CreateTime => (String::new(), moment(product.create_time), place.id),
                By::UpdateTime => (String::new(), moment(product.update_time), place.id),
                _ => (place.parts()[1].clone(), 0, place.id),
            }
        };
        let ordered = |pair: &[Product]| (key(&pair[0]) < key(&pair[1])) != order.descending;
        assert!(forwards.windows(2).all(ordered), "{text}");

        let (mut back, mut cursor) = (Vec::new(), last);
        while let Some(before) = cursor {
            let page = it.store.page(&Listing { order, cursor: before }, 7, soon()).await.unwrap();
            back.splice(0..0, page.items);
            cursor = page.previous;
        }
        // The last page has one product, and the way back ends with the first page.
        assert_eq!(back, forwards[..56], "{text}");
    }
    assert_eq!(it.store.count(soon()).await.unwrap(), 57);
}

#[tokio::test]
async fn a_page_that_emptied_leads_back() {
    let it = fixture().await;
    for n in 1..=4 {
        it.create(&format!("P{n}"), &format!("S{n}")).await;
    }
    let order = Order::parse("name").unwrap();
    let listing = |cursor| Listing { order, cursor };
    let first = it.store.page(&listing(Cursor::First), 2, soon()).await.unwrap();
    for id in [3, 4] {
        it.store.delete(id, None).await.unwrap();
    }

    let empty = it.store.page(&listing(first.next.unwrap()), 2, soon()).await.unwrap();
    assert!(empty.items.is_empty() && empty.next.is_none());
    let back = it.store.page(&listing(empty.previous.unwrap()), 2, soon()).await.unwrap();

    assert_eq!(back.items, first.items);
}

#[tokio::test]
async fn each_page_is_a_range_of_an_index_never_a_sort() {
    let it = fixture().await;
    let product = it.create("Saw", "S-1").await;
    let Database::Sqlite(file) = &it.store.database else { panic!("not SQLite") };
    let mut reader = file.reader().await.unwrap();

    for text in ORDERS {
        let order = Order::parse(text).unwrap();
        let place = order.place(&product);
        let page = FindPage { order, cursor: &Cursor::First, size: 50 };
        for (side, place) in [
            (Side::Behind, None),
            (Side::Behind, Some(&place)),
            (Side::Before, Some(&place)),
            (Side::UpTo, Some(&place)),
        ] {
            let sql = page.statement::<sqlx::Sqlite>(side, place);
            let explain = format!("EXPLAIN QUERY PLAN {}", sql.sql().as_str());
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *reader).await.unwrap();

            let [(.., step)] = plan.as_slice() else { panic!("{text}: {plan:?}") };
            let expected = if place.is_some() { "SEARCH products USING" } else { "SCAN products" };
            assert!(step.starts_with(expected), "{text} {side:?}: {step}");
        }
    }
}
