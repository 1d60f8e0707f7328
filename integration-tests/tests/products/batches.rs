//! Batches: many writes or none, in their order, and once.

use prost_types::FieldMask;
use proto::products::{
    BatchCreateProductsRequest, BatchDeleteProductsRequest, BatchGetProductsRequest, BatchUpdateProductsRequest,
    CreateProductRequest, DeleteProductRequest, ListProductVersionsRequest, Product, UpdateProductRequest,
};
use tonic::{Code, Status};

use crate::products::shop::{Shop, draft, everywhere, fresh, why};
use crate::products::watchers::present;

/// A product to add, without a request id of its own.
fn one(name: &str, sku: &str) -> CreateProductRequest {
    CreateProductRequest { request_id: String::new(), ..draft(name, sku) }
}

/// The change that gives a product another SKU, whichever its version is.
fn moved(id: i64, sku: &str) -> UpdateProductRequest {
    let update_mask = Some(FieldMask { paths: vec!["sku".to_owned()] });
    UpdateProductRequest { id, sku: sku.to_owned(), update_mask, ..Default::default() }
}

fn gone(id: i64) -> DeleteProductRequest {
    DeleteProductRequest { id, ..Default::default() }
}

fn creation(requests: Vec<CreateProductRequest>) -> BatchCreateProductsRequest {
    BatchCreateProductsRequest { requests, request_id: fresh(), validate_only: false }
}

async fn create(shop: &mut Shop, batch: BatchCreateProductsRequest) -> Result<Vec<Product>, Status> {
    Ok(shop.products.batch_create_products(batch).await?.into_inner().products)
}

async fn update(shop: &mut Shop, requests: Vec<UpdateProductRequest>) -> Result<Vec<Product>, Status> {
    let batch = BatchUpdateProductsRequest { requests, request_id: fresh(), validate_only: false };
    Ok(shop.products.batch_update_products(batch).await?.into_inner().products)
}

async fn delete(shop: &mut Shop, requests: Vec<DeleteProductRequest>) -> Result<Vec<Product>, Status> {
    let batch = BatchDeleteProductsRequest { requests, request_id: fresh(), validate_only: false };
    Ok(shop.products.batch_delete_products(batch).await?.into_inner().products)
}

async fn get(shop: &mut Shop, ids: Vec<i64>) -> Result<Vec<Product>, Status> {
    Ok(shop.products.batch_get_products(BatchGetProductsRequest { ids }).await?.into_inner().products)
}

/// Whether a refusal says that it is about this request of the batch: by a field, by the index, or in words.
fn is_about(status: &Status, index: usize) -> bool {
    let place = format!("requests[{index}]");
    let by_field = why(status).2.iter().any(|field| field.starts_with(&place));
    let by_index = mesh::Refusal::metadata_of(status, "index") == Some(index.to_string());
    by_field || by_index || status.message().contains(&place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_products_are_added_changed_and_deleted_in_the_order_of_the_requests() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let names: Vec<String> = (0..1000).map(|number| format!("SKU-{number:04}")).collect();
        let added = create(shop, creation(names.iter().map(|sku| one("Nail", sku)).collect())).await?;
        assert!(added.iter().map(|product| &product.sku).eq(&names));
        assert!(added.iter().all(|product| product.version == 1 && product.name == "Nail"));
        assert!(added.is_sorted_by_key(|product| product.id));

        let mut ids: Vec<i64> = added.iter().map(|product| product.id).collect();
        assert_eq!(get(shop, ids.clone()).await?, added);
        ids.reverse();
        let changes = ids.iter().map(|id| moved(*id, &format!("NEW-{id}"))).collect();
        let changed = update(shop, changes).await?;
        assert!(changed.iter().map(|product| product.id).eq(ids.iter().copied()));
        assert!(changed.iter().all(|product| product.version == 2 && product.sku == format!("NEW-{}", product.id)));
        assert_eq!(get(shop, ids.clone()).await?, changed);

        let deleted = delete(shop, ids.iter().map(|id| gone(*id)).collect()).await?;
        assert!(deleted.iter().map(|product| product.id).eq(ids.iter().copied()));
        assert!(deleted.iter().all(|product| product.version == 3 && product.delete_time.is_some()));
        assert_eq!(get(shop, ids).await?, deleted, "deleted ones are answered too");
        assert!(shop.list(0, "").await?.products.is_empty());
        assert_eq!(present(shop).await?, 3000);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_refusal_in_a_batch_stores_nothing_of_it_and_names_the_request() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let hammer = shop.add("Claw hammer", "HAM-1").await?;
        let saw = shop.add("Saw", "SAW-1").await?;

        let taken = create(shop, creation(vec![one("Nail", "N-1"), one("Mallet", "ham-1")])).await;
        let taken = taken.expect_err("the SKU is taken");
        let fields = vec!["requests[1].sku".to_owned()];
        assert_eq!(why(&taken), (Code::AlreadyExists, "SKU_TAKEN".to_owned(), fields));
        assert_eq!(mesh::Refusal::metadata_of(&taken, "product_id"), Some(hammer.id.to_string()));
        let twice = create(shop, creation(vec![one("Nail", "N-1"), one("Nail", "N-2"), one("Nail", "n-1")])).await;
        let twice = twice.expect_err("a SKU is there once");
        assert_eq!((twice.code(), why(&twice).1), (Code::InvalidArgument, "DUPLICATE_SKU".to_owned()));
        assert!(is_about(&twice, 2), "{twice}");
        let invalid = creation(vec![one("Nail", "N-1"), one("", "N-2"), one("Nail", "N\n3")]);
        let invalid = create(shop, invalid).await.expect_err("two are malformed");
        let fields = vec!["requests[1].name".to_owned(), "requests[2].sku".to_owned()];
        assert_eq!(why(&invalid), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), fields));

        let stale = UpdateProductRequest { etag: "\"7\"".to_owned(), ..moved(saw.id, "SAW-2") };
        let updates = [
            (moved(i64::MAX, "SAW-2"), Code::NotFound, "PRODUCT_NOT_FOUND"),
            (stale, Code::Aborted, "STALE_VERSION"),
            (moved(saw.id, "ham-2"), Code::AlreadyExists, "SKU_TAKEN"),
        ];
        for (second, code, reason) in updates {
            let refused = update(shop, vec![moved(hammer.id, "HAM-2"), second]).await.expect_err(reason);
            assert_eq!((refused.code(), why(&refused).1), (code, reason.to_owned()));
            assert!(is_about(&refused, 1), "{refused}");
        }
        for second in [gone(i64::MAX), gone(hammer.id)] {
            let refused = delete(shop, vec![gone(hammer.id), second]).await.expect_err("there is none, or no more");
            assert_eq!((refused.code(), why(&refused).1), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned()));
            assert!(is_about(&refused, 1), "{refused}");
        }

        assert_eq!(shop.list(0, "").await?.products, [saw, hammer], "nothing was stored");
        assert_eq!(present(shop).await?, 2, "nor told");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_of_one_to_a_thousand_requests_which_leave_to_it_what_holds_for_all() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let invalid = |field: &str| (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec![field.to_owned()]);
        for count in [0, 1001] {
            let created = create(shop, creation((0..count).map(|n| one("Nail", &format!("N-{n}"))).collect())).await;
            assert_eq!(why(&created.expect_err("too few or many")), invalid("requests"));
            let updated = update(shop, (1..=count).map(|id| moved(id, &format!("N-{id}"))).collect()).await;
            assert_eq!(why(&updated.expect_err("too few or many")), invalid("requests"));
            let deleted = delete(shop, (1..=count).map(gone).collect()).await;
            assert_eq!(why(&deleted.expect_err("too few or many")), invalid("requests"));
            let found = get(shop, (1..=count).collect()).await;
            assert_eq!(why(&found.expect_err("too few or many")), invalid("ids"));
        }

        let there = shop.add("Claw hammer", "HAM-1").await?;
        let own = [
            CreateProductRequest { request_id: fresh(), ..one("Saw", "SAW-1") },
            CreateProductRequest { validate_only: true, ..one("Saw", "SAW-1") },
        ];
        for own in own {
            let refused = create(shop, creation(vec![one("Nail", "N-1"), own])).await.expect_err("it is the batch's");
            assert!(refused.code() == Code::InvalidArgument && is_about(&refused, 1), "{refused}");
        }
        let own = UpdateProductRequest { request_id: fresh(), ..moved(there.id, "HAM-2") };
        let refused = update(shop, vec![own]).await.expect_err("it is the batch's");
        assert!(refused.code() == Code::InvalidArgument && is_about(&refused, 0), "{refused}");
        let own = DeleteProductRequest { allow_missing: true, ..gone(there.id) };
        let refused = delete(shop, vec![own]).await.expect_err("all or none");
        assert!(refused.code() == Code::InvalidArgument && is_about(&refused, 0), "{refused}");
        assert_eq!(shop.list(0, "").await?.products, [there], "nothing was stored");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_stored_once_for_its_request_id_and_not_at_all_when_it_is_only_validated() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let batch = creation(vec![one("Nail", "N-1"), one("Saw", "SAW-1")]);
        let tried = create(shop, BatchCreateProductsRequest { validate_only: true, ..batch.clone() }).await?;
        assert!(tried.iter().map(|product| product.sku.as_str()).eq(["N-1", "SAW-1"]));
        assert!(shop.list(0, "").await?.products.is_empty() && present(shop).await? == 0);

        let added = create(shop, batch.clone()).await?;
        let ids: Vec<i64> = added.iter().map(|product| product.id).collect();
        update(shop, vec![moved(ids[0], "N-2")]).await?;
        assert_eq!(create(shop, batch.clone()).await?, added, "it is answered as the first time");
        assert_eq!(shop.list(0, "").await?.products.len(), 2);

        let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned(), vec!["request_id".to_owned()]);
        let other = BatchCreateProductsRequest { requests: vec![one("Nail", "N-1")], ..batch.clone() };
        assert_eq!(why(&create(shop, other).await.expect_err("another batch")), reused);
        let requests = ids.iter().map(|id| gone(*id)).collect();
        let other = BatchDeleteProductsRequest { requests, request_id: batch.request_id, validate_only: false };
        let refused = shop.products.batch_delete_products(other.clone()).await.expect_err("another method");
        assert_eq!(why(&refused), reused);

        let tried = BatchDeleteProductsRequest { request_id: fresh(), validate_only: true, ..other };
        let tried = shop.products.batch_delete_products(tried).await?.into_inner().products;
        assert!(tried.len() == 2 && tried.iter().all(|product| product.delete_time.is_some()));
        let change = BatchUpdateProductsRequest {
            requests: vec![moved(ids[1], "SAW-2")],
            request_id: fresh(),
            validate_only: true,
        };
        let tried = shop.products.batch_update_products(change).await?.into_inner().products;
        assert!(tried.iter().map(|product| (product.sku.as_str(), product.version)).eq([("SAW-2", 2)]));
        assert_eq!(get(shop, vec![ids[1]]).await?, added[1..]);
        assert_eq!(present(shop).await?, 3);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_products_swap_their_skus_in_one_batch() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let hammer = shop.add("Claw hammer", "HAM-1").await?;
        let saw = shop.add("Saw", "SAW-1").await?;

        let steps = vec![moved(hammer.id, "TEMPORARY"), moved(saw.id, "HAM-1"), moved(hammer.id, "SAW-1")];
        let answers = update(shop, steps).await?;

        let told = answers.iter().map(|product| (product.id, product.sku.as_str(), product.version));
        assert!(told.eq([(hammer.id, "TEMPORARY", 2), (saw.id, "HAM-1", 2), (hammer.id, "SAW-1", 3)]), "{answers:?}");
        assert_eq!(get(shop, vec![saw.id, hammer.id]).await?, answers[1..]);
        let request = ListProductVersionsRequest { id: hammer.id, ..Default::default() };
        let versions = shop.products.list_product_versions(request).await?.into_inner().versions;
        let skus = versions.iter().filter_map(|version| version.product.as_ref()).map(|product| product.sku.as_str());
        assert!(skus.eq(["SAW-1", "TEMPORARY", "HAM-1"]), "each step is a version");
        assert_eq!(present(shop).await?, 5);

        let etag = answers[2].etag.clone();
        let once = UpdateProductRequest { etag: etag.clone(), ..moved(hammer.id, "HAM-2") };
        let again = UpdateProductRequest { etag, ..moved(hammer.id, "HAM-3") };
        let refused = update(shop, vec![once, again]).await.expect_err("the first step makes another version");
        assert!(why(&refused).1 == "STALE_VERSION" && is_about(&refused, 1), "{refused}");
        assert_eq!(shop.get(hammer.id).await?, answers[2]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_products_are_answered_in_the_order_of_their_ids_or_none_is() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let hammer = shop.add("Claw hammer", "HAM-1").await?;
        let saw = shop.add("Saw", "SAW-1").await?;
        let nail = shop.add("Nail", "N-1").await?;
        let saw = shop.delete(saw.id, "").await?;
        let ids = vec![nail.id, hammer.id, saw.id];

        assert_eq!(get(shop, ids.clone()).await?, [nail, hammer, saw]);
        let never = get(shop, [ids.clone(), vec![i64::MAX]].concat()).await.expect_err("the last never was");
        assert_eq!(why(&never), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        let refused = get(shop, vec![ids[0], 0]).await.expect_err("it is no id");
        assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["ids[1]".to_owned()]));
        Ok(())
    })
    .await
}
