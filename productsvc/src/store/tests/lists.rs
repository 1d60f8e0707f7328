//! Lists in every order, forwards and back, each by a range of an index.

use super::*;
use crate::order::By;

/// A list of all that is not deleted.
fn listing(order: Order, cursor: Cursor, size: usize) -> List {
    List { selection: Selection::default(), order, cursor, size }
}

impl Fixture {
    async fn page(&self, list: &List) -> Page<Product> {
        self.store.list(list, soon()).await.unwrap().page
    }
}

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
            let page = it.page(&listing(order, cursor, 7)).await;
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
            let page = it.page(&listing(order, before, 7)).await;
            back.splice(0..0, page.items);
            cursor = page.previous;
        }
        // The last page has one product, and the way back ends with the first page.
        assert_eq!(back, forwards[..56], "{text}");
    }
    assert_eq!(it.store.count().await, 57);
}

#[tokio::test]
async fn a_page_that_emptied_leads_back() {
    let it = fixture().await;
    for n in 1..=4 {
        it.create(&format!("P{n}"), &format!("S{n}")).await;
    }
    let order = Order::parse("name").unwrap();
    let first = it.page(&listing(order, Cursor::First, 2)).await;
    for id in [3, 4] {
        it.store.delete(id, None).await.unwrap();
    }

    let empty = it.page(&listing(order, first.next.unwrap(), 2)).await;
    assert!(empty.items.is_empty() && empty.next.is_none());
    let back = it.page(&listing(order, empty.previous.unwrap(), 2)).await;

    assert_eq!(back.items, first.items);
}

#[tokio::test]
async fn each_page_is_a_range_of_an_index_never_a_sort() {
    let it = fixture().await;
    let product = it.create("Saw", "S-1").await;
    for (filter, show_deleted) in [
        ("", false),
        ("", true),
        ("deleted = true", true),
        ("category:Tools AND name = \"saw*\" AND sku = s-1", false),
        ("id > 0 AND create_time > 1999-12-31T23:59:59Z AND update_time < 2999-12-31T23:59:59Z", true),
    ] {
        let selection = Selection::parse(filter, show_deleted).unwrap();
        for text in ORDERS {
            let order = Order::parse(text).unwrap();
            let place = order.place(&product);
            let cursors =
                [Cursor::First, Cursor::After(place.clone()), Cursor::Before(place.clone()), Cursor::UpTo(place)];
            for cursor in cursors {
                let list = List { selection: selection.clone(), order, cursor, size: 50 };

                let plans = it.store.explain(&list, soon()).await.unwrap();

                assert!(plans.len() >= 2);
                for plan in plans {
                    let step = plan.steps.lines().find(|step| step.contains("products")).unwrap();
                    // Only what is read from its beginning on has no place to look for.
                    let scan = step.starts_with("SCAN products") && !plan.statement.contains(" AND ");
                    assert!(scan || step.starts_with("SEARCH products USING"), "{list:?}: {plan:?}");
                    assert!(!plan.steps.contains("TEMP B-TREE"), "{list:?}: {plan:?}");
                }
            }
        }
    }
}
