//! Changes that say which fields they mean, that are only tried, and that are taken back.

use prost_types::{FieldMask, Timestamp};
use proto::products::{
    CreateProductRequest, DeleteProductRequest, GetProductRequest, Product, UndeleteProductRequest,
    UpdateProductRequest,
};
use tonic::{Code, Status};

use crate::products::shop::{Shop, draft, everywhere, fresh, renamed, skus, why};

/// What the catalogue gives by itself.
const OUTPUT_ONLY: [&str; 7] = ["id", "version", "etag", "create_time", "update_time", "delete_time", "purge_time"];

/// Thirty days, in seconds.
const KEPT: i64 = 30 * 24 * 60 * 60;

/// A change into a mallet of those fields that are named.
fn masked(product: &Product, paths: &[&str]) -> UpdateProductRequest {
    UpdateProductRequest {
        id: product.id,
        name: "Mallet".to_owned(),
        category: "Tools/Mallets".to_owned(),
        sku: "MAL-1".to_owned(),
        update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
        request_id: fresh(),
        ..Default::default()
    }
}

fn said(product: &Product) -> [&str; 3] {
    [&product.name, &product.category, &product.sku]
}

async fn remove(shop: &mut Shop, request: DeleteProductRequest) -> Result<Option<Product>, Status> {
    Ok(shop.products.delete_product(request).await?.into_inner().product)
}

/// The request that brings a product back, whichever its version is.
pub(super) fn back(id: i64) -> UndeleteProductRequest {
    UndeleteProductRequest { id, request_id: fresh(), ..Default::default() }
}

pub(super) async fn undelete(shop: &mut Shop, request: UndeleteProductRequest) -> Result<Product, Status> {
    let answer = shop.products.undelete_product(request).await?.into_inner();
    answer.product.ok_or_else(|| Status::internal("an answer without a product"))
}

async fn find(shop: &mut Shop, request: GetProductRequest) -> Result<Product, Status> {
    let answer = shop.products.get_product(request).await?.into_inner();
    answer.product.ok_or_else(|| Status::internal("an answer without a product"))
}

fn by_sku(sku: &str) -> GetProductRequest {
    GetProductRequest { sku: sku.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mask_changes_the_fields_that_it_names_and_no_other() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let cases: [(&[&str], [&str; 3]); 6] = [
            (&["name"], ["Mallet", "Tools/Hand", "HAM-1"]),
            (&["category"], ["Claw hammer", "Tools/Mallets", "HAM-1"]),
            (&["sku"], ["Claw hammer", "Tools/Hand", "MAL-1"]),
            (&["sku", "name"], ["Mallet", "Tools/Hand", "MAL-1"]),
            (&["*"], ["Mallet", "Tools/Mallets", "MAL-1"]),
            (&[], ["Mallet", "Tools/Mallets", "MAL-1"]),
        ];
        for (paths, expected) in cases {
            let added = shop.add("Claw hammer", "HAM-1").await?;

            let changed = shop.update(masked(&added, paths)).await?;

            assert_eq!((said(&changed), changed.version), (expected, 2), "{paths:?}");
            assert_eq!(shop.get(added.id).await?, changed);
            shop.delete(added.id, "").await?;
        }

        let added = shop.add("Claw hammer", "HAM-1").await?;
        let rest =
            UpdateProductRequest { name: String::new(), sku: "a\nb".to_owned(), ..masked(&added, &["category"]) };
        assert_eq!(said(&shop.update(rest).await?), ["Claw hammer", "Tools/Mallets", "HAM-1"], "the rest is not read");
        for paths in [&["name"], &["*"]] {
            let empty = UpdateProductRequest { name: String::new(), ..masked(&added, paths) };
            let refused = shop.update(empty).await.expect_err("a name is not empty");
            assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["name".to_owned()]));
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_that_the_catalogue_gives_are_in_a_mask_for_nothing() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        assert_eq!(shop.update(masked(&added, &OUTPUT_ONLY)).await?, added, "nothing is left to change");
        for path in OUTPUT_ONLY {
            assert_eq!(shop.update(masked(&added, &[path])).await?, added, "{path}");
        }

        let changed = shop.update(masked(&added, &[&OUTPUT_ONLY[..], &["name"]].concat())).await?;

        assert_eq!((said(&changed), changed.version), (["Mallet", "Tools/Hand", "HAM-1"], 2));
        assert_eq!((changed.id, changed.create_time), (added.id, added.create_time));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mask_with_a_field_that_no_product_has_is_refused() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        let masks: [&[&str]; 7] =
            [&["price"], &["Name"], &["name.first"], &["name,sku"], &[""], &["name", "price"], &["*", "price"]];
        for paths in masks {
            let refused = shop.update(masked(&added, paths)).await.expect_err("there is no such field");

            let fields = vec!["update_mask".to_owned()];
            assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), fields), "{paths:?}");
        }
        assert_eq!(shop.get(added.id).await?, added, "nothing was changed");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_without_an_etag_goes_through_and_one_that_changes_nothing_keeps_the_version() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let first = shop.add("Claw hammer", "HAM-1").await?;
        shop.update(renamed(&first, "Framing hammer")).await?;

        let last = UpdateProductRequest { etag: String::new(), ..renamed(&first, "Sledgehammer") };
        let last = shop.update(last).await?;

        assert_eq!((last.name.as_str(), last.version), ("Sledgehammer", 3));
        for same in ["Sledgehammer", " Sledgehammer\u{a0}"] {
            assert_eq!(shop.update(renamed(&last, same)).await?, last, "{same:?}");
            let without = UpdateProductRequest { etag: String::new(), ..renamed(&last, same) };
            assert_eq!(shop.update(without).await?, last, "{same:?}");
        }
        assert_eq!(shop.get(first.id).await?, last);
        let other = UpdateProductRequest { sku: "ham-1".to_owned(), ..renamed(&last, "Sledgehammer") };
        assert_eq!(shop.update(other).await?.version, 4, "other letters are a change");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_only_validated_is_answered_or_refused_and_never_stored() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let request = draft("Claw hammer", "HAM-1");
        let tried = shop.create(CreateProductRequest { validate_only: true, ..request.clone() }).await?;
        assert_eq!((said(&tried), tried.version), (["Claw hammer", "Tools/Hand", "HAM-1"], 1));
        assert!(shop.list(0, "").await?.products.is_empty());
        assert_eq!(find(shop, by_sku("HAM-1")).await.expect_err("it is not stored").code(), Code::NotFound);

        let added = shop.create(request).await?;
        assert_eq!(added.version, 1, "its request id was left free");
        let taken = CreateProductRequest { validate_only: true, ..draft("Saw", "ham-1") };
        assert_eq!(why(&shop.create(taken).await.expect_err("the SKU is taken")).1, "SKU_TAKEN");

        let change = UpdateProductRequest { validate_only: true, ..renamed(&added, "Framing hammer") };
        let changed = shop.update(change).await?;
        assert_eq!((changed.name.as_str(), changed.version), ("Framing hammer", 2));
        assert_eq!(shop.get(added.id).await?, added);

        let request = DeleteProductRequest { id: added.id, request_id: fresh(), ..Default::default() };
        let tried = remove(shop, DeleteProductRequest { validate_only: true, ..request.clone() }).await?;
        assert!(tried.is_some_and(|product| product.delete_time.is_some() && product.version == 2));
        assert_eq!(shop.get(added.id).await?, added);

        let deleted = remove(shop, request).await?.expect("it was there");
        let tried = undelete(shop, UndeleteProductRequest { validate_only: true, ..back(added.id) }).await?;
        assert!(tried.delete_time.is_none() && tried.version == 3, "{tried:?}");
        assert_eq!(shop.get(added.id).await?, deleted);
        assert!(shop.list(0, "").await?.products.is_empty());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_product_can_be_had_back_for_thirty_days() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        assert_eq!(added.purge_time, None);

        let deleted = shop.delete(added.id, &added.etag).await?;
        let Timestamp { seconds, nanos } = deleted.delete_time.expect("it is deleted");
        assert_eq!(deleted.purge_time, Some(Timestamp { seconds: seconds + KEPT, nanos }));

        let request = UndeleteProductRequest { etag: deleted.etag, ..back(added.id) };
        let again = undelete(shop, request.clone()).await?;

        assert_eq!((said(&again), again.version), (said(&added), 3));
        assert_eq!((again.delete_time, again.purge_time, again.create_time), (None, None, added.create_time));
        assert_eq!(shop.get(added.id).await?, again);
        assert_eq!(skus(&shop.list(0, "").await?.products), ["HAM-1"]);
        assert_eq!(undelete(shop, request).await?, again, "the same request is answered as the first time");
        assert_eq!(shop.update(renamed(&again, "Framing hammer")).await?.version, 4);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undelete_refuses_what_is_there_what_never_was_and_a_sku_that_is_taken_by_now() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let first = shop.add("Claw hammer", "HAM-1").await?;
        let live = undelete(shop, back(first.id)).await.expect_err("it is not deleted");
        assert_eq!(why(&live), (Code::AlreadyExists, "PRODUCT_NOT_DELETED".to_owned(), Vec::new()));
        let never = undelete(shop, back(i64::MAX)).await.expect_err("it never was");
        assert_eq!(why(&never), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        assert_eq!(why(&undelete(shop, back(0)).await.expect_err("it is no id")).2, ["id"]);

        let deleted = shop.delete(first.id, "").await?;
        let stale = UndeleteProductRequest { etag: first.etag, ..back(first.id) };
        let stale = undelete(shop, stale).await.expect_err("it has another version by now");
        assert_eq!(why(&stale).1, "STALE_VERSION");
        assert_eq!(mesh::Refusal::metadata_of(&stale, "version").as_deref(), Some("2"));

        let holder = shop.add("Mallet", "ham-1").await?;
        let taken = undelete(shop, back(first.id)).await.expect_err("the SKU is taken");
        assert_eq!((taken.code(), why(&taken).1), (Code::AlreadyExists, "SKU_TAKEN".to_owned()));
        assert_eq!(mesh::Refusal::metadata_of(&taken, "product_id"), Some(holder.id.to_string()));
        assert_eq!(shop.get(first.id).await?, deleted, "nothing was changed");

        shop.delete(holder.id, "").await?;
        assert_eq!(undelete(shop, back(first.id)).await?.version, 3);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleting_what_is_missing_is_no_refusal_for_whoever_allows_it() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let request = |id| DeleteProductRequest { id, allow_missing: true, request_id: fresh(), ..Default::default() };
        assert_eq!(remove(shop, request(i64::MAX)).await?, None, "it never was");
        assert_eq!(why(&remove(shop, request(0)).await.expect_err("it is no id")).2, ["id"]);

        let added = shop.add("Claw hammer", "HAM-1").await?;
        let deleted = remove(shop, request(added.id)).await?.expect("it was there");
        assert!(deleted.delete_time.is_some() && deleted.version == 2);

        assert_eq!(remove(shop, request(added.id)).await?.as_ref(), Some(&deleted), "it stays as it was deleted");
        assert_eq!(shop.get(added.id).await?, deleted);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_found_by_its_sku_in_any_case_until_it_is_deleted() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "Straße-1").await?;
        for sku in ["Straße-1", "straße-1", "STRASSE-1", " Straße-1 ", "ＳＴＲＡＳＳＥ－１"] {
            assert_eq!(find(shop, by_sku(sku)).await?, added, "{sku}");
        }
        let none = find(shop, by_sku("Straße")).await.expect_err("there is none");
        assert_eq!(why(&none), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        for both_or_none in [GetProductRequest { id: added.id, ..by_sku("Straße-1") }, GetProductRequest::default()] {
            let refused = find(shop, both_or_none).await.expect_err("one of the two names it");
            assert_eq!((refused.code(), why(&refused).1), (Code::InvalidArgument, "INVALID_FIELD".to_owned()));
        }

        shop.delete(added.id, "").await?;
        let deleted = find(shop, by_sku("Straße-1")).await.expect_err("it is deleted");
        assert_eq!(deleted.code(), Code::NotFound);
        let other = shop.add("Mallet", "STRASSE-1").await?;
        assert_eq!(find(shop, by_sku("straße-1")).await?, other, "whoever has it now");
        Ok(())
    })
    .await
}
