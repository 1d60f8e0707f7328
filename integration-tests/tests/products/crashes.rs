//! Writers that repeat what was not acknowledged, while the product service is killed again and again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use futures_util::future::try_join_all;
use harness::system::{Options, Role, System};
use harness::{catalogue, eventually};
use proto::products::Product;
use proto::products::product_service_client::ProductServiceClient;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::products::shop::{draft, renamed};
use crate::products::watchers::{behind, sequences, take};

type Client = ProductServiceClient<mesh::Channel>;

const WRITERS: usize = 6;
const KILLS: u32 = 3;
/// Writes that are acknowledged between two kills.
const WRITES: u64 = 40;

/// What a write was answered; an error when nobody knows whether it was done.
fn settled(answer: Result<Option<Product>, Status>) -> anyhow::Result<Result<Product, Status>> {
    // What became of a connection that breaks is told by any of these.
    const UNKNOWN: [Code; 4] = [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::Unknown];
    match answer {
        Ok(product) => Ok(Ok(product.context("no product")?)),
        Err(status) if UNKNOWN.contains(&status.code()) => Err(status.into()),
        Err(refused) => Ok(Err(refused)),
    }
}

/// Adds products and renames each, until it is stopped: all as they were acknowledged.
async fn write(
    mut client: Client,
    writer: usize,
    acknowledged: &AtomicU64,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<Product>> {
    let mut products = Vec::new();
    while !stop.is_cancelled() {
        let request = draft("Claw hammer", &format!("W{writer}-{}", products.len()));
        let added = eventually("the product is added", async || {
            let answer = client.create_product(request.clone()).await;
            settled(answer.map(|answer| answer.into_inner().product))
        })
        .await?;
        acknowledged.fetch_add(1, Ordering::Relaxed);

        // Its etag is stale when this was done before and is not known as the same.
        let change = renamed(&added, "Framing hammer");
        let changed = eventually("the product is renamed", async || {
            let answer = client.update_product(change.clone()).await;
            settled(answer.map(|answer| answer.into_inner().product))
        })
        .await?;
        acknowledged.fetch_add(1, Ordering::Relaxed);
        products.push(changed);
    }
    Ok(products)
}

/// Kills the product service in the midst of writes, and starts it again.
async fn kill(system: &mut System, acknowledged: &AtomicU64) -> anyhow::Result<()> {
    let more = async || {
        let before = acknowledged.load(Ordering::Relaxed);
        eventually("writes are acknowledged", async || {
            let now = acknowledged.load(Ordering::Relaxed);
            anyhow::ensure!(now >= before + WRITES, "{} are", now - before);
            Ok(())
        })
        .await;
    };
    for _ in 0..KILLS {
        more().await;
        system.kill(Role::Products(0)).await?;
        system.launch(Role::Products(0)).await?;
        system.ready().await;
    }
    more().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_service_that_is_killed_among_writes_has_each_acknowledged_one_once() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let mut system = System::prepare(options)?;
        for role in [Role::Registry, Role::Products(0)] {
            system.launch(role).await?;
        }
        system.ready().await;
        let (acknowledged, stop) = (AtomicU64::new(0), CancellationToken::new());
        let clients: Vec<Client> = (0..WRITERS).map(|_| system.products()).collect();
        let writers = clients.into_iter().enumerate();
        let writers = try_join_all(writers.map(|(writer, client)| write(client, writer, &acknowledged, &stop)));
        let killer = async {
            let killed = kill(&mut system, &acknowledged).await;
            stop.cancel();
            killed
        };

        let (written, ()) = tokio::try_join!(writers, killer)?;

        let written: BTreeMap<String, Product> =
            written.into_iter().flatten().map(|product| (product.sku.clone(), product)).collect();
        assert!(written.values().all(|product| product.version == 2 && product.name == "Framing hammer"));
        assert_eq!(catalogue::read(&system).await?, written, "each SKU is there once, as it was acknowledged");
        let writes = 2 * written.len();
        assert_eq!(acknowledged.into_inner(), u64::try_from(writes)?);

        let mut watch = system.products().watch_products(behind(0)).await?.into_inner();
        let told = take(&mut watch, writes).await?;
        assert!(sequences(&told).into_iter().eq((1_i64..).take(writes)), "no kill leaves a gap");
        let beyond = i64::try_from(writes)? + 1;
        let refused = system.products().watch_products(behind(beyond)).await.expect_err("nothing was done twice");
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
    Ok(())
}
