//! What was: versions, undelete, restore, and products as of a moment; and writes in batches.

use prost_types::FieldMask;
use proto::products::{
    BatchCreateProductsRequest, BatchGetProductsRequest, BatchUpdateProductsRequest, ChangeKind,
    CompareProductVersionsRequest, CreateProductRequest, DeleteProductRequest, GetProductRequest,
    GetProductVersionRequest, ListProductVersionsRequest, Product, ProductVersion, RestoreProductVersionRequest,
    UndeleteProductRequest, UpdateProductRequest,
};
use tonic::{Code, Status};

use crate::products::shop::{Shop, draft, everywhere, fresh, renamed, why};

/// A change of the fields that a mask names.
fn masked(product: &Product, paths: &[&str], name: &str, sku: &str) -> UpdateProductRequest {
    let paths = paths.iter().map(|path| (*path).to_owned()).collect();
    UpdateProductRequest {
        id: product.id,
        name: name.to_owned(),
        sku: sku.to_owned(),
        update_mask: Some(FieldMask { paths }),
        ..Default::default()
    }
}

impl Shop {
    async fn undelete(&mut self, id: i64) -> Result<Product, Status> {
        let request = UndeleteProductRequest { id, request_id: fresh(), ..Default::default() };
        let answer = self.products.undelete_product(request).await?.into_inner();
        answer.product.ok_or_else(|| Status::internal("no product"))
    }

    async fn by_sku(&mut self, sku: &str) -> Result<Product, Status> {
        let request = GetProductRequest { sku: sku.to_owned(), ..Default::default() };
        let answer = self.products.get_product(request).await?.into_inner();
        answer.product.ok_or_else(|| Status::internal("no product"))
    }

    /// All versions of a product, the newest first, in pages of two.
    async fn versions(&mut self, id: i64) -> anyhow::Result<Vec<ProductVersion>> {
        let mut request = ListProductVersionsRequest { id, page_size: 2, page_token: String::new() };
        let mut versions = Vec::new();
        loop {
            let page = self.products.list_product_versions(request.clone()).await?.into_inner();
            versions.extend(page.versions);
            if page.next_page_token.is_empty() {
                return Ok(versions);
            }
            request.page_token = page.next_page_token;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mask_names_what_changes_and_what_changes_nothing_makes_no_version() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;

        let renamed = shop.update(masked(&added, &["name", "version"], "Framing hammer", "")).await?;
        assert_eq!((renamed.name.as_str(), renamed.sku.as_str(), renamed.version), ("Framing hammer", "HAM-1", 2));
        let same = shop.update(masked(&added, &["name"], "Framing hammer", "")).await?;
        assert_eq!(same, renamed);
        let unknown = shop.update(masked(&added, &["price"], "x", "")).await.expect_err("there is no such field");
        assert_eq!(why(&unknown), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["update_mask".to_owned()]));
        let empty = shop.update(masked(&added, &["sku"], "", " ")).await.expect_err("a SKU is something");
        assert_eq!(why(&empty).2, ["sku"]);

        let check = CreateProductRequest { validate_only: true, ..draft("Saw", "SAW-1") };
        assert_eq!(shop.create(check).await?.name, "Saw");
        let check = UpdateProductRequest { validate_only: true, ..masked(&added, &["name"], "Mallet", "") };
        assert_eq!(shop.update(check).await?.version, 3);
        assert_eq!(shop.list(0, "").await?.products, [renamed], "nothing was stored");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_product_comes_back_unless_another_has_its_sku() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        assert_eq!(shop.by_sku("ham-1").await?, added);
        let live = shop.undelete(added.id).await.expect_err("it is not deleted");
        assert_eq!(why(&live).1, "PRODUCT_NOT_DELETED");

        let deleted = shop.delete(added.id, "").await?;
        let times = (deleted.delete_time.expect("now"), deleted.purge_time.expect("later"));
        assert_eq!(times.1.seconds - times.0.seconds, 30 * 24 * 60 * 60);
        assert_eq!(shop.by_sku("HAM-1").await.expect_err("it is deleted").code(), Code::NotFound);
        let request = DeleteProductRequest { id: added.id, allow_missing: true, ..Default::default() };
        assert_eq!(shop.products.delete_product(request).await?.into_inner().product, Some(deleted));
        let request = DeleteProductRequest { id: i64::MAX, allow_missing: true, ..Default::default() };
        assert_eq!(shop.products.delete_product(request).await?.into_inner().product, None);

        let other = shop.add("Other", "ham-1").await?;
        let taken = shop.undelete(added.id).await.expect_err("the SKU is taken");
        assert_eq!(why(&taken), (Code::AlreadyExists, "SKU_TAKEN".to_owned(), vec!["sku".to_owned()]));
        shop.delete(other.id, "").await?;
        let back = shop.undelete(added.id).await?;
        assert_eq!((back.version, back.delete_time, back.purge_time), (3, None, None));
        assert_eq!(shop.undelete(i64::MAX).await.expect_err("it never was").code(), Code::NotFound);
        let both = GetProductRequest { id: 1, sku: "x".to_owned(), ..Default::default() };
        assert_eq!(shop.products.get_product(both).await.expect_err("one names it").code(), Code::InvalidArgument);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_is_kept_compared_and_restored() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let first = shop.add("Claw hammer", "HAM-1").await?;
        let second = shop.update(renamed(&first, "Framing hammer")).await?;
        let id = first.id;
        let restore = RestoreProductVersionRequest { id, version: 1, request_id: fresh(), ..Default::default() };
        let third = shop.products.restore_product_version(restore).await?.into_inner().product.expect("restored");
        assert_eq!((third.name.as_str(), third.version), ("Claw hammer", 3));

        let versions = shop.versions(id).await?;
        let states: Vec<_> = versions.iter().map(|version| version.product.clone().expect("a product")).collect();
        assert_eq!(states, [third.clone(), second.clone(), first.clone()]);
        let kinds: Vec<_> = versions.iter().map(ProductVersion::kind).collect();
        assert_eq!(kinds, [ChangeKind::Restored, ChangeKind::Updated, ChangeKind::Created]);
        let ends: Vec<_> = versions.iter().map(|version| version.end_time).collect();
        assert_eq!(ends, [None, third.update_time, second.update_time]);
        assert!(versions.iter().all(|version| !version.request_id.is_empty() && !version.actor.is_empty()));

        let request = CompareProductVersionsRequest { id, from_version: 1, to_version: 2 };
        let compared = shop.products.compare_product_versions(request).await?.into_inner().differences;
        assert_eq!(compared.len(), 1);
        let difference = (compared[0].field.as_str(), compared[0].from.as_str(), compared[0].to.as_str());
        assert_eq!(difference, ("name", "Claw hammer", "Framing hammer"));

        let missing = GetProductVersionRequest { id, version: 9 };
        let missing = shop.products.get_product_version(missing).await.expect_err("there is no version 9");
        assert_eq!(why(&missing).1, "VERSION_NOT_FOUND");
        let foreign = ListProductVersionsRequest { id, page_size: 1, page_token: String::new() };
        let page_token = shop.products.list_product_versions(foreign).await?.into_inner().next_page_token;
        let foreign = ListProductVersionsRequest { id: id + 1, page_size: 1, page_token };
        let foreign = shop.products.list_product_versions(foreign).await.expect_err("it is another product's");
        assert_eq!(why(&foreign).1, "INVALID_PAGE_TOKEN");

        let as_of = |as_of| GetProductRequest { id, as_of, ..Default::default() };
        let then = shop.products.get_product(as_of(second.update_time)).await?.into_inner().product;
        assert_eq!(then, Some(second));
        let before = first.create_time.map(|time| prost_types::Timestamp { seconds: time.seconds - 1, ..time });
        assert_eq!(shop.products.get_product(as_of(before)).await.expect_err("not yet").code(), Code::NotFound);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_stored_whole_or_not_at_all() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let create = |sku: &str| CreateProductRequest { request_id: String::new(), ..draft("Nail", sku) };
        let batch = |requests| BatchCreateProductsRequest { requests, request_id: fresh(), ..Default::default() };
        let wanted = batch(vec![create("A"), create("B")]);
        let made = shop.products.batch_create_products(wanted.clone()).await?.into_inner().products;
        assert_eq!(made.iter().map(|product| product.sku.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(shop.products.batch_create_products(wanted).await?.into_inner().products, made, "done once");

        let twice = shop.products.batch_create_products(batch(vec![create("C"), create("D"), create("c")])).await;
        let twice = twice.expect_err("C is there twice");
        assert_eq!(why(&twice), (Code::AlreadyExists, "SKU_TAKEN".to_owned(), vec!["requests[2].sku".to_owned()]));
        let many = (0..1001).map(|n| create(&format!("X-{n}"))).collect();
        for requests in [Vec::new(), many] {
            let refused = shop.products.batch_create_products(batch(requests)).await.expect_err("1 to 1,000");
            assert_eq!(why(&refused).2, ["requests"]);
        }
        assert_eq!(shop.list(0, "").await?.products.len(), 2, "nothing was stored");

        let give = |product: &Product, sku: &str| masked(product, &["sku"], "", sku);
        let requests = vec![give(&made[0], "T"), give(&made[1], "A"), give(&made[0], "B")];
        let swap = BatchUpdateProductsRequest { requests, ..Default::default() };
        let swapped = shop.products.batch_update_products(swap).await?.into_inner().products;
        assert_eq!((swapped[1].sku.as_str(), swapped[2].sku.as_str()), ("A", "B"));

        let ids = vec![made[1].id, made[0].id];
        let read = shop.products.batch_get_products(BatchGetProductsRequest { ids }).await?.into_inner().products;
        assert_eq!(read, [swapped[1].clone(), swapped[2].clone()]);
        let ids = vec![made[1].id, i64::MAX];
        let missing = shop.products.batch_get_products(BatchGetProductsRequest { ids }).await;
        assert_eq!(missing.expect_err("one never was").code(), Code::NotFound);
        Ok(())
    })
    .await
}
