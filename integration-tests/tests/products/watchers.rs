//! Watching the catalogue: every change once and in its order, at whichever instance.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use harness::health;
use harness::system::{Options, Role, System};
use prost_types::FieldMask;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{
    ChangeKind, CreateProductRequest, Product, UpdateProductRequest, WatchProductsRequest, WatchProductsResponse,
};
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::products::changes::{back, undelete};
use crate::products::shop::{Shop, draft, everywhere, fresh, renamed, why};
use crate::products::versions::{earlier, restore};

type Client = ProductServiceClient<Channel>;
type Watch = Streaming<WatchProductsResponse>;

/// A change that has not come by then does not come.
const PATIENCE: Duration = Duration::from_secs(30);

const WRITERS: u64 = 8;
/// By each writer.
const WRITES: usize = 40;

pub(super) fn behind(sequence: i64) -> WatchProductsRequest {
    WatchProductsRequest { after_sequence: Some(sequence) }
}

async fn next(watch: &mut Watch) -> anyhow::Result<WatchProductsResponse> {
    let message = tokio::time::timeout(PATIENCE, watch.message()).await.context("nothing came")??;
    message.context("the stream ended")
}

/// So many changes, without messages that tell of none.
pub(super) async fn take(watch: &mut Watch, count: usize) -> anyhow::Result<Vec<WatchProductsResponse>> {
    let mut changes = Vec::new();
    while changes.len() < count {
        let message = next(watch).await?;
        if message.kind() != ChangeKind::Unspecified {
            changes.push(message);
        }
    }
    Ok(changes)
}

/// All changes until the stream ends, and how it ended.
async fn rest(mut watch: Watch) -> anyhow::Result<(Vec<WatchProductsResponse>, Option<Status>)> {
    let mut changes = Vec::new();
    loop {
        match tokio::time::timeout(PATIENCE, watch.message()).await.context("it goes on")? {
            Ok(Some(message)) if message.kind() == ChangeKind::Unspecified => {}
            Ok(Some(message)) => changes.push(message),
            Ok(None) => return Ok((changes, None)),
            Err(status) => return Ok((changes, Some(status))),
        }
    }
}

/// The last sequence that was given.
pub(super) async fn present(shop: &mut Shop) -> anyhow::Result<i64> {
    let mut watch = shop.products.watch_products(WatchProductsRequest::default()).await?.into_inner();
    Ok(next(&mut watch).await?.sequence)
}

pub(super) fn sequences(changes: &[WatchProductsResponse]) -> Vec<i64> {
    changes.iter().map(|change| change.sequence).collect()
}

fn place(change: &WatchProductsResponse) -> (i64, i64, i64) {
    (change.sequence, change.product_id, change.product.as_ref().map_or(0, |product| product.version))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_come_in_their_order_with_the_product_as_each_left_it() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let before = shop.add("Saw", "SAW-1").await?;
        let mut watch = shop.products.watch_products(WatchProductsRequest::default()).await?.into_inner();
        let first = next(&mut watch).await?;
        assert_eq!(first, WatchProductsResponse { sequence: 1, ..Default::default() }, "where the stream is");

        let added = shop.add("Claw hammer", "HAM-1").await?;
        let changed = shop.update(renamed(&added, "Framing hammer")).await?;
        // None of these changes anything.
        shop.update(renamed(&changed, "Framing hammer")).await?;
        shop.create(CreateProductRequest { validate_only: true, ..draft("Saw", "SAW-2") }).await?;
        shop.create(draft("Saw", "SAW-1")).await.expect_err("the SKU is taken");
        let deleted = shop.delete(added.id, "").await?;
        let undeleted = undelete(shop, back(added.id)).await?;
        let restored = restore(shop, earlier(added.id, 1)).await?;
        let other = shop.delete(before.id, "").await?;

        let changes = take(&mut watch, 6).await?;
        assert_eq!(sequences(&changes), [2, 3, 4, 5, 6, 7]);
        let expected = [
            (ChangeKind::Created, added),
            (ChangeKind::Updated, changed),
            (ChangeKind::Deleted, deleted),
            (ChangeKind::Undeleted, undeleted),
            (ChangeKind::Restored, restored),
            (ChangeKind::Deleted, other),
        ];
        for (change, (kind, product)) in changes.into_iter().zip(expected) {
            assert_eq!((change.kind(), change.product_id), (kind, product.id));
            assert!(change.time.is_some());
            assert_eq!(change.product, Some(product), "not as it is, but as it was then");
        }
        assert_eq!(present(shop).await?, 7);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_goes_on_behind_a_sequence_misses_nothing_and_gets_nothing_twice() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(1100).await?;
        let mut watch = shop.products.watch_products(behind(0)).await?.into_inner();
        let mut told = take(&mut watch, 300).await?;
        drop(watch);

        let mut watch = shop.products.watch_products(behind(300)).await?.into_inner();
        let first = next(&mut watch).await?;
        assert_eq!((first.sequence, first.kind(), first.product), (300, ChangeKind::Unspecified, None));
        told.extend(take(&mut watch, 800).await?);
        let added = shop.add("Claw hammer", "HAM-1").await?;
        told.extend(take(&mut watch, 1).await?);

        assert!(sequences(&told).into_iter().eq(1_i64..=1101));
        assert!(told[..1100].iter().all(|change| change.kind() == ChangeKind::Imported));
        let skus = told.iter().filter_map(|change| change.product.as_ref()).map(|product| product.sku.clone());
        let expected = (1..=1100).map(|line| format!("SKU-{line:04}")).chain(["HAM-1".to_owned()]);
        assert!(skus.eq(expected), "each has its product");
        assert_eq!(told[1100].product.as_ref(), Some(&added));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequence_that_was_never_given_is_refused() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(3).await?;
        for sequence in [4, i64::MAX, -1, i64::MIN] {
            let refused = shop.products.watch_products(behind(sequence)).await.expect_err("nobody was told it");

            let fields = vec!["after_sequence".to_owned()];
            assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), fields), "{sequence}");
        }
        let mut watch = shop.products.watch_products(behind(3)).await?.into_inner();
        assert_eq!(next(&mut watch).await?.sequence, 3, "the last one was given");
        Ok(())
    })
    .await
}

/// A registry and two product services, each with a client of its own.
async fn two(options: &Options) -> anyhow::Result<(System, Vec<Client>)> {
    let mut system = System::prepare(Options { products: 2, ..options.clone() })?;
    system.launch(Role::Registry).await?;
    system.launch_together(&[Role::Products(0), Role::Products(1)]).await?;
    system.ready().await;
    let mut clients = Vec::new();
    for number in 0..2 {
        clients.push(Client::new(health::connect(system.address(Role::Products(number))?).await?));
    }
    Ok((system, clients))
}

/// Adds products and changes them, through any of the instances, and answers what was acknowledged, in its order.
async fn write(mut clients: Vec<Client>, writer: u64) -> anyhow::Result<Vec<Product>> {
    let mut random = fastrand::Rng::with_seed(writer);
    let mut acknowledged: Vec<Product> = Vec::new();
    for number in 0..WRITES {
        let (instance, changes) = (random.usize(0..clients.len()), random.bool());
        let known = random.choice(&acknowledged).filter(|_| changes).map(|product| product.id);
        let (client, name) = (&mut clients[instance], format!("Mallet {number}"));
        let product = match known {
            None => client.create_product(draft(&name, &format!("W{writer}-{number}"))).await?.into_inner().product,
            Some(id) => {
                let update_mask = Some(FieldMask { paths: vec!["name".to_owned()] });
                let request_id = fresh();
                let change = UpdateProductRequest { id, name, update_mask, request_id, ..Default::default() };
                client.update_product(change).await?.into_inner().product
            }
        };
        acknowledged.push(product.context("no product")?);
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_two_replicas_are_told_the_same_of_writers_at_both() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let (_system, mut clients) = two(&options).await?;
        let mut watches = Vec::new();
        for client in &mut clients {
            let mut watch = client.watch_products(WatchProductsRequest::default()).await?.into_inner();
            assert_eq!(next(&mut watch).await?.sequence, 0);
            watches.push(watch);
        }

        let total = usize::try_from(WRITERS)? * WRITES;
        let writers = try_join_all((0..WRITERS).map(|writer| mesh::spawn("writer", write(clients.clone(), writer))));
        let watchers = try_join_all(watches.iter_mut().map(|watch| take(watch, total)));
        let (written, told) = tokio::join!(writers, watchers);
        let written = written?.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
        let told = told?;

        let places: Vec<Vec<_>> = told.iter().map(|changes| changes.iter().map(place).collect()).collect();
        assert_eq!(places[0], places[1], "there is one order");
        assert!(sequences(&told[0]).into_iter().eq((1_i64..).take(total)), "without gaps");
        let acknowledged: BTreeMap<_, _> =
            written.iter().flatten().map(|product| ((product.id, product.version), product)).collect();
        for changes in &told {
            let products = changes.iter().filter_map(|change| change.product.as_ref());
            let products: BTreeMap<_, _> = products.map(|product| ((product.id, product.version), product)).collect();
            assert_eq!(products.len(), total);
            assert_eq!(products, acknowledged, "each write is told as it was acknowledged");
        }
        let orders: BTreeMap<_, _> =
            places[0].iter().map(|(sequence, id, version)| ((*id, *version), *sequence)).collect();
        for own in &written {
            assert!(own.iter().map(|product| orders[&(product.id, product.version)]).is_sorted());
        }
        for client in &mut clients {
            let mut watch = client.watch_products(behind(0)).await?.into_inner();
            assert_eq!(take(&mut watch, total).await?, told[0], "who comes later is told the same");
        }
    }
    Ok(())
}

/// Ends the instance that is watched while others write, and goes on at the other one: how the stream ended.
async fn change_over(
    options: &Options,
    end: impl AsyncFnOnce(&mut System) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Status>> {
    let (mut system, mut clients) = two(options).await?;
    let mut watch = clients[0].watch_products(behind(0)).await?.into_inner();
    let others = vec![clients[1].clone()];
    let writers: Vec<_> = (0..4).map(|writer| mesh::spawn("writer", write(others.clone(), writer))).collect();

    let mut told = take(&mut watch, 30).await?;
    let watcher = mesh::spawn("watcher", rest(watch));
    end(&mut system).await?;
    let (more, ended) = watcher.await??;
    told.extend(more);
    let last = told.last().context("it was told something")?.sequence;
    let mut watch = clients[1].watch_products(behind(last)).await?.into_inner();
    let missing = (4 * WRITES).saturating_sub(told.len());
    told.extend(take(&mut watch, missing).await?);

    for writer in writers {
        writer.await??;
    }
    let added = clients[1].create_product(draft("Claw hammer", "HAM-1")).await?.into_inner().product;
    let after = take(&mut watch, 1).await?.remove(0);
    assert_eq!(after.product, added);
    told.push(after);
    assert!(sequences(&told).into_iter().eq((1_i64..).take(4 * WRITES + 1)), "without gaps: {:?}", sequences(&told));
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_of_an_instance_that_ends_goes_on_at_the_other_without_a_gap() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let stopped = change_over(&options, async |system| system.stop(Role::Products(0)).await.map(drop)).await?;
        assert!(stopped.as_ref().is_none_or(|status| status.code() == Code::Unavailable), "{stopped:?}");
    }
    for options in Options::default().on_each_database()? {
        println!("killed, on {options:?}");
        change_over(&options, async |system| system.kill(Role::Products(0)).await).await?;
    }
    Ok(())
}
