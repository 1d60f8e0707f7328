//! The history of a product: what it was at each time, what made it so, and what it can become again.

use anyhow::Context as _;
use prost_types::Timestamp;
use proto::products::{
    ChangeKind, CompareProductVersionsRequest, CompareProductVersionsResponse, GetProductRequest,
    GetProductVersionRequest, ListProductVersionsRequest, ListProductVersionsResponse, Product, ProductVersion,
    RestoreProductVersionRequest, UpdateProductRequest,
};
use tonic::{Code, Status};

use crate::products::changes::{back, undelete};
use crate::products::shop::{Shop, everywhere, fresh, renamed, why};

async fn page(shop: &mut Shop, id: i64, size: i32, token: &str) -> Result<ListProductVersionsResponse, Status> {
    let request = ListProductVersionsRequest { id, page_size: size, page_token: token.to_owned() };
    Ok(shop.products.list_product_versions(request).await?.into_inner())
}

/// All versions of a product, the newest first, read in pages of a size.
pub(super) async fn versions(shop: &mut Shop, id: i64, size: i32) -> anyhow::Result<Vec<ProductVersion>> {
    let (mut versions, mut token) = (Vec::new(), String::new());
    loop {
        let page = page(shop, id, size, &token).await?;
        anyhow::ensure!(i32::try_from(page.versions.len())? <= size, "{} in a page", page.versions.len());
        versions.extend(page.versions);
        if page.next_page_token.is_empty() {
            return Ok(versions);
        }
        token = page.next_page_token;
    }
}

pub(super) fn states(versions: Vec<ProductVersion>) -> Vec<Product> {
    versions.into_iter().filter_map(|version| version.product).collect()
}

async fn version(shop: &mut Shop, id: i64, version: i64) -> Result<Option<ProductVersion>, Status> {
    Ok(shop.products.get_product_version(GetProductVersionRequest { id, version }).await?.into_inner().version)
}

async fn compare(shop: &mut Shop, id: i64, from: i64, to: i64) -> Result<CompareProductVersionsResponse, Status> {
    let request = CompareProductVersionsRequest { id, from_version: from, to_version: to };
    Ok(shop.products.compare_product_versions(request).await?.into_inner())
}

/// The request that makes a product what it said in an earlier version.
pub(super) fn earlier(id: i64, version: i64) -> RestoreProductVersionRequest {
    RestoreProductVersionRequest { id, version, request_id: fresh(), ..Default::default() }
}

pub(super) async fn restore(shop: &mut Shop, request: RestoreProductVersionRequest) -> Result<Product, Status> {
    let answer = shop.products.restore_product_version(request).await?.into_inner();
    answer.product.ok_or_else(|| Status::internal("an answer without a product"))
}

async fn as_of(shop: &mut Shop, request: GetProductRequest, moment: Timestamp) -> Result<Product, Status> {
    let answer = shop.products.get_product(GetProductRequest { as_of: Some(moment), ..request }).await?;
    answer.into_inner().product.ok_or_else(|| Status::internal("an answer without a product"))
}

/// The microsecond before.
fn just_before(moment: Option<Timestamp>) -> Timestamp {
    match moment.expect("there is one") {
        Timestamp { seconds, nanos: 0 } => Timestamp { seconds: seconds - 1, nanos: 999_999_000 },
        Timestamp { seconds, nanos } => Timestamp { seconds, nanos: nanos - 1000 },
    }
}

/// Calls as a request that the log knows by this id.
async fn known_as<T>(id: &str, work: impl Future<Output = T>) -> anyhow::Result<T> {
    let mut headers = http::HeaderMap::new();
    headers.insert("x-request-id", id.parse()?);
    Ok(mesh::Call::begin(&headers).scope(work).await)
}

/// A field and what it says in the one version and in the other.
type Told = (&'static str, &'static str, &'static str);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_listed_newest_first_each_with_what_made_it_and_who() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = known_as("call-1", shop.add("Claw hammer", "HAM-1")).await??;
        let changed = known_as("call-2", shop.update(renamed(&added, "Framing hammer"))).await??;
        let deleted = known_as("call-3", shop.delete(added.id, "")).await??;
        let undeleted = known_as("call-4", undelete(shop, back(added.id))).await??;
        let restored = known_as("call-5", restore(shop, earlier(added.id, 1))).await??;
        shop.update(renamed(&restored, "Claw hammer")).await?;

        for size in [1, 2, 5, 1000] {
            let listed = versions(shop, added.id, size).await?;

            let made: Vec<_> = listed.iter().map(|version| (version.kind(), version.request_id.as_str())).collect();
            let expected = [
                (ChangeKind::Restored, "call-5"),
                (ChangeKind::Undeleted, "call-4"),
                (ChangeKind::Deleted, "call-3"),
                (ChangeKind::Updated, "call-2"),
                (ChangeKind::Created, "call-1"),
            ];
            assert_eq!(made, expected, "what changed nothing made none");
            assert!(listed.iter().all(|version| version.actor.starts_with("client/")), "{listed:?}");
            assert_eq!(listed[0].end_time, None);
            for pair in listed.windows(2) {
                let next = pair[0].product.as_ref().context("it has a product")?;
                assert_eq!(pair[1].end_time, next.update_time);
            }
            let each = [&restored, &undeleted, &deleted, &changed, &added].map(Clone::clone);
            assert_eq!(states(listed), each);
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_of_versions_belongs_to_its_product() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let mut product = shop.add("Claw hammer", "HAM-1").await?;
        for number in 2..=55 {
            product = shop.update(renamed(&product, &format!("Hammer {number}"))).await?;
        }
        let other = shop.add("Saw", "SAW-1").await?;
        let first = page(shop, product.id, 0, "").await?;
        assert_eq!(first.versions.len(), 50);
        let second = page(shop, product.id, 0, &first.next_page_token).await?;
        assert_eq!((second.versions.len(), second.next_page_token.as_str()), (5, ""));

        let invalid = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()]);
        let refused = page(shop, other.id, 0, &first.next_page_token).await.expect_err("it is of another product");
        assert_eq!(why(&refused), invalid);
        let products = shop.list(1, "").await?.next_page_token;
        for token in [products.as_str(), "x", "AAAA", &first.next_page_token[1..]] {
            assert_eq!(why(&page(shop, product.id, 0, token).await.expect_err(token)), invalid, "{token}");
        }
        let refused = page(shop, 0, -1, "").await.expect_err("it is no id");
        assert_eq!(why(&refused).2, ["id", "page_size"]);
        let never = page(shop, i64::MAX, 0, "").await.expect_err("it never was");
        assert_eq!(why(&never), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_version_is_answered_and_two_are_compared_by_the_fields_that_differ() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        let id = added.id;
        let changed = shop.update(renamed(&added, "Framing hammer")).await?;
        shop.update(UpdateProductRequest { sku: "HAM-2".to_owned(), ..renamed(&changed, "Claw hammer") }).await?;
        shop.delete(id, "").await?;
        let listed = versions(shop, id, 50).await?;
        for (number, listed) in (1..=4).rev().zip(&listed) {
            assert_eq!(version(shop, id, number).await?.as_ref(), Some(listed));
        }

        let cases: [(i64, i64, &[Told]); 4] = [
            (1, 2, &[("name", "Claw hammer", "Framing hammer")]),
            (3, 1, &[("sku", "HAM-2", "HAM-1")]),
            (2, 3, &[("name", "Framing hammer", "Claw hammer"), ("sku", "HAM-1", "HAM-2")]),
            (2, 2, &[]),
        ];
        for (from, to, expected) in cases {
            let told = compare(shop, id, from, to).await?;
            let differences = told.differences.iter().map(|it| (it.field.as_str(), it.from.as_str(), it.to.as_str()));
            assert_eq!(differences.collect::<Vec<_>>(), expected, "{from} to {to}");
            assert_eq!(told.from, version(shop, id, from).await?);
            assert_eq!(told.to, version(shop, id, to).await?);
        }
        let deleted = compare(shop, id, 3, 4).await?.differences;
        assert!(deleted.len() == 1 && deleted[0].field == "delete_time", "{deleted:?}");
        assert!(deleted[0].from.is_empty() && !deleted[0].to.is_empty(), "{deleted:?}");

        let missing = (Code::NotFound, "VERSION_NOT_FOUND".to_owned(), Vec::new());
        assert_eq!(why(&version(shop, id, 5).await.expect_err("there are four")), missing);
        assert_eq!(why(&compare(shop, id, 1, 5).await.expect_err("there are four")), missing);
        assert_eq!(why(&compare(shop, id, i64::MAX, 1).await.expect_err("there are four")), missing);
        assert_eq!(why(&version(shop, i64::MAX, 1).await.expect_err("it never was")).1, "PRODUCT_NOT_FOUND");
        assert_eq!(why(&version(shop, 0, 0).await.expect_err("all is missing")).2, ["id", "version"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_version_is_a_new_one_with_what_the_old_one_said() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        let id = added.id;
        let moved = UpdateProductRequest { sku: "HAM-2".to_owned(), ..renamed(&added, "Framing hammer") };
        let changed = shop.update(moved).await?;

        let tried = RestoreProductVersionRequest { validate_only: true, ..earlier(id, 1) };
        assert_eq!(restore(shop, tried).await?.version, 3);
        assert_eq!(shop.get(id).await?, changed, "it was only tried");
        let stale = RestoreProductVersionRequest { etag: added.etag.clone(), ..earlier(id, 1) };
        assert_eq!(why(&restore(shop, stale).await.expect_err("someone was faster")).1, "STALE_VERSION");
        let refused = restore(shop, earlier(id, 3)).await.expect_err("there are two");
        assert_eq!(why(&refused), (Code::NotFound, "VERSION_NOT_FOUND".to_owned(), Vec::new()));
        let holder = shop.add("Saw", "ham-1").await?;
        let taken = restore(shop, earlier(id, 1)).await.expect_err("the SKU is taken");
        assert_eq!(mesh::Refusal::metadata_of(&taken, "product_id"), Some(holder.id.to_string()));
        shop.delete(holder.id, "").await?;

        let request = RestoreProductVersionRequest { etag: changed.etag.clone(), ..earlier(id, 1) };
        let restored = restore(shop, request.clone()).await?;
        let Product { name, sku, create_time, .. } = added;
        assert_eq!((&restored.name, &restored.sku, restored.version), (&name, &sku, 3));
        assert_eq!(restored.create_time, create_time);
        assert_eq!(shop.get(id).await?, restored);
        assert_eq!(version(shop, id, 3).await?.map(|version| version.kind()), Some(ChangeKind::Restored));
        assert_eq!(restore(shop, request).await?, restored, "the same request is answered as the first time");
        assert_eq!(restore(shop, earlier(id, 3)).await?, restored, "it says that already");

        shop.delete(id, "").await?;
        let deleted = restore(shop, earlier(id, 2)).await.expect_err("it is deleted");
        assert_eq!(why(&deleted), (Code::FailedPrecondition, "PRODUCT_DELETED".to_owned(), Vec::new()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_answered_as_it_was_at_a_moment() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("Claw hammer", "HAM-1").await?;
        let changed = shop.update(renamed(&added, "Framing hammer")).await?;
        let future = Timestamp { seconds: 4_000_000_000, nanos: 0 };
        let by_id = || GetProductRequest { id: added.id, ..Default::default() };
        let by_sku = || GetProductRequest { sku: "ham-1".to_owned(), ..Default::default() };

        for request in [by_id(), by_sku()] {
            let moments = [
                (added.update_time, &added),
                (Some(just_before(changed.update_time)), &added),
                (changed.update_time, &changed),
                (Some(future), &changed),
            ];
            for (moment, expected) in moments {
                assert_eq!(as_of(shop, request.clone(), moment.expect("there is one")).await?, *expected);
            }
            let before = as_of(shop, request, just_before(added.create_time)).await.expect_err("it was not yet");
            assert_eq!(why(&before), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        }
        let never = Timestamp { seconds: i64::MAX, nanos: 0 };
        assert_eq!(why(&as_of(shop, by_id(), never).await.expect_err("it is no moment")).2, ["as_of"]);

        let deleted = shop.delete(added.id, "").await?;
        assert_eq!(as_of(shop, by_id(), just_before(deleted.delete_time)).await?, changed);
        assert_eq!(as_of(shop, by_id(), future).await?, deleted);
        assert_eq!(as_of(shop, by_sku(), future).await.expect_err("nobody has it").code(), Code::NotFound);
        Ok(())
    })
    .await
}
