//! Lists by filters: each page is what the filter means, whichever database answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use productsvc::filter::Filter;
use productsvc::order::Order;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{
    CreateProductRequest, DeleteProductRequest, ListProductsRequest, ListProductsResponse, Product,
    UndeleteProductRequest,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::products::shop::{Shop, draft, everywhere, renamed, skus, why};

/// Names that escaping, folding and collations get wrong.
const NAMES: [&str; 15] = [
    "Drop cloth",
    "drop cloth, 100%",
    "Dropcloth",
    "ÄTZE",
    "ätze",
    "2x4 stud",
    "½\" pipe",
    "snap_line",
    "snapXline",
    r"in\out valve",
    "'; DROP TABLE products; --",
    "=1+1",
    "Straße 5",
    "STRASSE 6",
    "a * b",
];

const CATEGORIES: [&str; 6] =
    ["Paint", "Paint/Interior", "paint/interior/Eggshell", "Paint & Glue", "Paints", "Fasteners"];

const FILTERS: [&str; 22] = [
    "",
    "name = drop*",
    "name = \"drop *\"",
    "name = \"DROP CLOTH\"",
    "name != \"drop*\" AND category != paints",
    "name = \"%\"",
    "name = \"snap_*\"",
    "name = \"a \\* b\"",
    "name = \"in\\\\*\"",
    "name = \"'; drop table products; --\"",
    "name >= strasse AND name < t",
    "sku > \"S-3\" AND sku <= \"s-50\"",
    "sku = S-1*",
    "category:Paint",
    "category:\"PAINT/Interior/\" AND id > 3",
    "category = \"Paint & Glue\"",
    "category:Paint AND name = \"½*\"",
    "id >= 5 AND id <= 40 AND id != 17",
    "version > 1",
    "create_time > 2000-01-01T00:00:00Z AND update_time < \"2999-01-01T00:00:00+01:00\"",
    "update_time < 2000-01-01T00:00:00Z",
    "name = \"*\"",
];

const ORDERS: [&str; 7] = ["id", "id desc", "name", "category desc", "sku desc", "create_time", "update_time desc"];

fn request(filter: &str, show_deleted: bool) -> ListProductsRequest {
    ListProductsRequest { filter: filter.to_owned(), show_deleted, ..Default::default() }
}

async fn list(shop: &mut Shop, request: &ListProductsRequest) -> Result<ListProductsResponse, Status> {
    shop.products.list_products(request.clone()).await.map(tonic::Response::into_inner)
}

/// All pages of a list, and the token that leads back from the last.
async fn forwards(shop: &mut Shop, mut request: ListProductsRequest) -> anyhow::Result<(Vec<Vec<Product>>, String)> {
    let mut pages = Vec::new();
    loop {
        let page = list(shop, &request).await?;
        pages.push(page.products);
        if page.next_page_token.is_empty() {
            return Ok((pages, page.previous_page_token));
        }
        request.page_token = page.next_page_token;
    }
}

/// All pages before a token, in the order of the list.
async fn backwards(shop: &mut Shop, mut request: ListProductsRequest) -> anyhow::Result<Vec<Vec<Product>>> {
    let mut pages = Vec::new();
    while !request.page_token.is_empty() {
        let page = list(shop, &request).await?;
        pages.push(page.products);
        request.page_token = page.previous_page_token;
    }
    pages.reverse();
    Ok(pages)
}

/// The product as the service sees it.
fn inside(product: &Product) -> productsvc::product::Product {
    let moment = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(mesh::from_timestamp);
    productsvc::product::Product {
        id: product.id,
        name: product.name.clone(),
        category: product.category.clone(),
        sku: product.sku.clone(),
        version: product.version,
        create_time: moment(&product.create_time).unwrap_or(Timestamp::MIN),
        update_time: moment(&product.update_time).unwrap_or(Timestamp::MIN),
        delete_time: moment(&product.delete_time),
    }
}

/// What is to be listed of all, by the rules alone.
fn expected<'a>(all: &'a [Product], filter: &str, order: &str) -> anyhow::Result<Vec<&'a str>> {
    let (filter, order) = (Filter::parse(filter)?, Order::parse(order)?);
    let mut meant: Vec<_> = all.iter().map(|product| (inside(product), product.sku.as_str())).collect();
    meant.retain(|(product, _)| filter.matches(product));
    meant.sort_by_key(|(product, _)| order.place(product));
    if order.descending {
        meant.reverse();
    }
    Ok(meant.into_iter().map(|(_, sku)| sku).collect())
}

/// Products of every name and category, some changed, some deleted.
async fn stock(shop: &mut Shop) -> anyhow::Result<Vec<Product>> {
    for number in 0..60 {
        let category = CATEGORIES[number * 7 % CATEGORIES.len()].to_owned();
        let request = draft(NAMES[number % NAMES.len()], &format!("{}-{number}", ["S", "é", "_"][number % 3]));
        let product = shop.create(CreateProductRequest { category, ..request }).await?;
        match number % 10 {
            3 => drop(shop.update(renamed(&product, "Straße 7")).await?),
            6 => drop(shop.delete(product.id, "").await?),
            _ => {}
        }
    }
    let all = ListProductsRequest { page_size: 1000, ..request("", true) };
    Ok(list(shop, &all).await?.products)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_what_the_filter_means_there_and_back() -> anyhow::Result<()> {
    let mut told: Vec<Vec<String>> = Vec::new();
    let notes = std::sync::Mutex::new(&mut told);
    everywhere(async |shop| {
        let all = stock(shop).await?;
        let live: Vec<Product> = all.iter().filter(|product| product.delete_time.is_none()).cloned().collect();
        assert_eq!((all.len(), live.len()), (60, 54));
        let mut lists = Vec::new();
        let trash = ["deleted = true", "deleted = true AND category:Paint", "deleted = false AND name = drop*"];
        let shown = FILTERS.into_iter().chain(trash).map(|filter| (filter, true));
        for (filter, show_deleted) in FILTERS.into_iter().map(|filter| (filter, false)).chain(shown) {
            for order_by in ORDERS {
                let expected = expected(if show_deleted { &all } else { &live }, filter, order_by)?;
                for page_size in [9, 1000] {
                    let request = ListProductsRequest {
                        page_size,
                        order_by: order_by.to_owned(),
                        ..request(filter, show_deleted)
                    };
                    let (there, last) = forwards(shop, request.clone()).await?;
                    assert_eq!(skus(&there.concat()), expected, "{request:?}");
                    assert!(there.iter().rev().skip(1).all(|page| page.len() == usize::try_from(page_size).unwrap()));
                    let back = backwards(shop, ListProductsRequest { page_token: last, ..request.clone() }).await?;
                    assert_eq!(back, there[..there.len() - 1], "{request:?}");
                }
                let request = ListProductsRequest { order_by: order_by.to_owned(), ..request(filter, show_deleted) };
                let page = list(shop, &request).await?;
                let total = (page.total_size, page.total_size_is_exact);
                assert_eq!(total, (i64::try_from(expected.len())?, true), "{filter}");
                lists.push(format!("{filter} {show_deleted} {order_by}: {expected:?}"));
            }
        }
        notes.lock().expect("no panic").push(lists);
        Ok(())
    })
    .await?;
    for lists in &told[1..] {
        assert_eq!(lists, &told[0], "the databases differ");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_means_few_of_many_goes_on_where_its_page_ended() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(22_000).await?;
        let oldest = ListProductsRequest { order_by: "id".to_owned(), page_size: 3, ..Default::default() };
        let oldest = list(shop, &oldest).await?;
        let changed = shop.update(renamed(&oldest.products[2], "Third")).await?;
        let rare = request("category = \"aisle 3\" AND version > 1", false);

        let first = list(shop, &rare).await?;
        assert!(first.products.is_empty() && !first.next_page_token.is_empty(), "20,000 were looked at");
        assert!(!first.total_size_is_exact && first.total_size < 1_000, "{}", first.total_size);
        let second = list(shop, &ListProductsRequest { page_token: first.next_page_token, ..rare.clone() }).await?;
        assert_eq!(second.products, std::slice::from_ref(&changed));
        assert!(second.next_page_token.is_empty());
        let back = ListProductsRequest { page_token: second.previous_page_token, ..rare.clone() };
        assert!(backwards(shop, back).await?.concat().is_empty(), "there is nothing before it, and an end");
        let other_way = list(shop, &ListProductsRequest { order_by: "id".to_owned(), ..rare }).await?;
        assert_eq!(other_way.products, [changed], "it is among the first");

        // One of seven, by an estimate; a range of the order is counted as far as it is cheap.
        let many = list(shop, &request("category = \"Aisle 3\" AND version < 9", false)).await?;
        assert_eq!(many.products.len(), 50);
        assert!(!many.total_size_is_exact && (2_000..5_000).contains(&many.total_size), "{}", many.total_size);
        let by = |filter: &str, order_by: &str| ListProductsRequest {
            order_by: order_by.to_owned(),
            ..request(filter, false)
        };
        let counted = list(shop, &by("id < 8001", "id")).await?;
        assert_eq!((counted.total_size, counted.total_size_is_exact), (8_000, true));
        let estimated = list(shop, &by("id < 18001", "id desc")).await?;
        assert!(!estimated.total_size_is_exact && (15_000..21_000).contains(&estimated.total_size));
        let few = list(shop, &by("sku = SKU-001* AND category:\"Aisle 3\"", "name desc")).await?;
        assert_eq!((few.total_size, few.total_size_is_exact), (2, true));
        Ok(())
    })
    .await
}

/// Deletes products that a list shows, and has them back, until it is stopped.
async fn disturb(
    mut client: ProductServiceClient<mesh::Channel>,
    ids: Vec<i64>,
    stop: CancellationToken,
) -> anyhow::Result<usize> {
    let mut done = 0;
    while !stop.is_cancelled() {
        let id = ids[done % ids.len()];
        client.delete_product(DeleteProductRequest { id, ..Default::default() }).await?;
        client.undelete_product(UndeleteProductRequest { id, ..Default::default() }).await?;
        done += 1;
    }
    Ok(done)
}

/// How often each product that stays was listed, and the most of it.
fn times(products: &[Product]) -> (BTreeMap<&str, usize>, usize) {
    let mut times = BTreeMap::new();
    for sku in skus(products).into_iter().filter(|sku| sku.starts_with('S')) {
        *times.entry(sku).or_insert(0) += 1;
    }
    let most = times.values().copied().max().unwrap_or(0);
    (times, most)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_is_listed_once_while_others_come_and_go() -> anyhow::Result<()> {
    everywhere(async |shop| {
        for number in 0..120 {
            shop.add(if number % 2 == 0 { "Drop cloth" } else { "Brush" }, &format!("S-{number:03}")).await?;
        }
        let mut others = Vec::new();
        for name in ["Drip", "Drop", "Drop cloth", "Dry"] {
            others.push(shop.add(name, &format!("T-{}", others.len())).await?.id);
        }
        let stop = CancellationToken::new();
        let writer = disturb(shop.products.clone(), others, stop.clone());
        let reader = async {
            for (order_by, show_deleted) in [("name", false), ("id desc", true), ("sku", false), ("update_time", true)]
            {
                for page_size in [1, 7, 59, 60, 61, 1000] {
                    let request = ListProductsRequest {
                        page_size,
                        order_by: order_by.to_owned(),
                        ..request("name = \"dr*\" AND category:Tools", show_deleted)
                    };
                    let (there, last) = forwards(shop, request.clone()).await?;
                    let pages = there.concat();
                    let (seen, most) = times(&pages);
                    assert!(seen.len() == 60 && most == 1, "{request:?}: {seen:?}");

                    let mut back = backwards(shop, ListProductsRequest { page_token: last, ..request.clone() }).await?;
                    back.push(there.last().cloned().unwrap_or_default());
                    // The way back ends with the first page, which is filled up from what was shown.
                    let most = times(&back[1..].concat()).1;
                    let pages = back.concat();
                    let (seen, _) = times(&pages);
                    assert!(seen.len() == 60 && most <= 1, "{request:?}: {seen:?}");
                }
            }
            stop.cancel();
            anyhow::Ok(())
        };
        let (disturbed, ()) = tokio::try_join!(writer, reader)?;
        assert!(disturbed > 0);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_and_filters_of_another_kind_are_refused() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(30).await?;
        let small = |filter: &str, show_deleted| ListProductsRequest { page_size: 3, ..request(filter, show_deleted) };
        let token = list(shop, &small("name = \"product*\" AND version = 1", false)).await?.next_page_token;
        let mut tampered = token.clone().into_bytes();
        tampered[5] ^= 1;
        let tampered = String::from_utf8(tampered)?;
        let invalid = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()]);

        let same = small("version=1 AND name=\"PRODUCT*\" AND version = 1", false);
        let goes_on = list(shop, &ListProductsRequest { page_token: token.clone(), ..same }).await?;
        assert_eq!(goes_on.products.len(), 3, "the same filter in other words");
        for (filter, show_deleted, page_token) in [
            ("name = \"product*\" AND version = 2", false, &token),
            ("name = \"product\\*\" AND version = 1", false, &token),
            ("name = \"product*\"", false, &token),
            ("", false, &token),
            ("name = \"product*\" AND version = 1", true, &token),
            ("name = \"product*\" AND version = 1", false, &tampered),
        ] {
            let foreign = ListProductsRequest { page_token: page_token.clone(), ..small(filter, show_deleted) };
            assert_eq!(why(&list(shop, &foreign).await.expect_err(filter)), invalid, "{filter}");
        }

        let field = (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["filter".to_owned()]);
        for filter in
            ["name", "price = 1", "id = 1 OR id = 2", "(id = 1)", "name = \"a\0\"", "deleted = true", &"x".repeat(2000)]
        {
            let refused = list(shop, &request(filter, false)).await.expect_err(filter);
            assert_eq!(why(&refused), field, "{filter}");
        }
        let refused = list(shop, &request("id = 1 OR id = 2", false)).await.expect_err("it has an OR");
        assert!(refused.message().contains("at character 8: expected AND"), "{}", refused.message());
        let several = ListProductsRequest { order_by: "price".to_owned(), page_size: -1, ..request("x", false) };
        assert_eq!(why(&list(shop, &several).await.expect_err("all is wrong")).2, ["filter", "order_by", "page_size"]);
        Ok(())
    })
    .await
}
