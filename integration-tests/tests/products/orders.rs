//! Lists in every order: the same products in the same places on both databases.

use proto::products::ListProductsRequest;
use tonic::Code;

use crate::products::shop::{everywhere, skus, why};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_is_the_same_on_both_databases() -> anyhow::Result<()> {
    let mut told: Vec<Vec<String>> = Vec::new();
    let notes = std::sync::Mutex::new(&mut told);
    everywhere(async |shop| {
        // Accents, digits, signs and cases, which collations would order each in its own way.
        for (number, name) in
            ["zebra", "Ätze", "atze", "2x4", "½\" pipe", "#8 screw", "étui", "Zebra"].iter().enumerate()
        {
            shop.add(name, &format!("{}-{number}", ["b", "A", "_", "é"][number % 4])).await?;
        }
        let mut orders = Vec::new();
        for order_by in ["name", "name desc", "sku", "sku desc", "category", "update_time desc", "create_time", "id"] {
            let mut request = ListProductsRequest { page_size: 3, order_by: order_by.to_owned(), ..Default::default() };
            let mut listed = Vec::new();
            loop {
                let page = shop.products.list_products(request.clone()).await?.into_inner();
                assert_eq!((page.total_size, page.total_size_is_exact), (8, true));
                listed.extend(skus(&page.products).iter().map(|sku| (*sku).to_owned()));
                if page.next_page_token.is_empty() {
                    break;
                }
                request.page_token = page.next_page_token;
            }
            assert_eq!(listed.len(), 8, "{order_by}");
            orders.push(format!("{order_by}: {listed:?}"));
        }
        notes.lock().expect("no panic").push(orders);

        let token =
            |order_by: &str| ListProductsRequest { page_size: 3, order_by: order_by.to_owned(), ..Default::default() };
        let page_token = shop.products.list_products(token("name")).await?.into_inner().next_page_token;
        let foreign = ListProductsRequest { page_token, ..token("name desc") };
        let foreign = shop.products.list_products(foreign).await.expect_err("it is of another order");
        assert_eq!(
            why(&foreign),
            (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()])
        );
        let unknown = shop.products.list_products(token("price")).await.expect_err("there is no such order");
        assert_eq!(why(&unknown), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["order_by".to_owned()]));
        Ok(())
    })
    .await?;
    for orders in &told[1..] {
        assert_eq!(orders, &told[0], "the databases differ");
    }
    Ok(())
}
