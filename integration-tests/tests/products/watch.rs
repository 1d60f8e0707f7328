//! Watching: every change, in the order of commits, whoever wrote it and wherever it is watched.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use harness::health;
use harness::system::{Options, Role, System};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{ChangeKind, Product, WatchProductsRequest, WatchProductsResponse};
use tonic::transport::Channel;
use tonic::{Code, Streaming};

use crate::products::shop::{draft, everywhere, renamed, why};

type Client = ProductServiceClient<Channel>;

/// Far longer than anything takes; only a hang is longer.
const HANG: Duration = Duration::from_secs(30);

/// The next message with a change.
async fn next(changes: &mut Streaming<WatchProductsResponse>) -> anyhow::Result<WatchProductsResponse> {
    loop {
        let message = tokio::time::timeout(HANG, changes.message()).await??.context("the stream ended")?;
        if message.kind() != ChangeKind::Unspecified {
            return Ok(message);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_is_told_where_it_is_and_then_each_change() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let first = shop.add("Claw hammer", "HAM-1").await?;
        let mut watching = shop.products.watch_products(WatchProductsRequest::default()).await?.into_inner();
        let here = watching.message().await?.context("a first message")?;
        assert_eq!((here.sequence, here.kind()), (1, ChangeKind::Unspecified));

        let second = shop.update(renamed(&first, "Framing hammer")).await?;
        let third = shop.delete(first.id, "").await?;
        for (sequence, kind, product) in [(2, ChangeKind::Updated, &second), (3, ChangeKind::Deleted, &third)] {
            let change = next(&mut watching).await?;
            assert_eq!((change.sequence, change.kind(), change.product.as_ref()), (sequence, kind, Some(product)));
        }

        let all = WatchProductsRequest { after_sequence: Some(0) };
        let mut all = shop.products.watch_products(all).await?.into_inner();
        let change = next(&mut all).await?;
        assert_eq!((change.sequence, change.product.as_ref()), (1, Some(&first)), "as it was then");
        for sequence in [-1, 4] {
            let request = WatchProductsRequest { after_sequence: Some(sequence) };
            let refused = shop.products.watch_products(request).await.expect_err("it was never given");
            assert_eq!(why(&refused).0, Code::InvalidArgument);
        }
        Ok(())
    })
    .await
}

/// What a watcher saw: sequence, product and version.
type Seen = Vec<(i64, i64, i64)>;

async fn follow(mut client: Client, until: i64) -> anyhow::Result<Seen> {
    let request = WatchProductsRequest { after_sequence: Some(0) };
    let mut changes = client.watch_products(request).await?.into_inner();
    let mut seen = Seen::new();
    while seen.last().is_none_or(|(sequence, ..)| *sequence < until) {
        let change = next(&mut changes).await?;
        let product = change.product.context("it is there")?;
        seen.push((change.sequence, product.id, product.version));
    }
    Ok(seen)
}

async fn write(mut clients: Vec<Client>, writer: usize) -> anyhow::Result<Vec<(i64, i64)>> {
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let one = &mut clients[(writer + number) % 2];
        let created = one.create_product(draft("Nail", &format!("W{writer}-{number}"))).await?.into_inner();
        let created: Product = created.product.context("no product")?;
        let other = &mut clients[(writer + number + 1) % 2];
        let changed = other.update_product(renamed(&created, "Screw")).await?.into_inner();
        let changed: Product = changed.product.context("no product")?;
        acknowledged.extend([(created.id, created.version), (changed.id, changed.version)]);
    }
    Ok(acknowledged)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_several_replicas_see_one_order_and_skip_nothing() -> anyhow::Result<()> {
    const WRITERS: usize = 8;
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let mut system = System::prepare(Options { products: 2, ..options })?;
        system.launch(Role::Registry).await?;
        system.launch_together(&[Role::Products(0), Role::Products(1)]).await?;
        system.ready().await;
        let mut clients = Vec::new();
        for number in 0..2 {
            clients.push(Client::new(health::connect(system.address(Role::Products(number))?).await?));
        }

        let changes = (WRITERS * 40) as i64;
        let watchers: Vec<_> =
            clients.iter().map(|client| mesh::spawn("watcher", follow(client.clone(), changes))).collect();
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| mesh::spawn("writer", write(clients.clone(), writer))).collect();
        let mut acknowledged = BTreeSet::new();
        for writer in writers {
            acknowledged.extend(writer.await??);
        }
        let mut seen = Vec::new();
        for watcher in watchers {
            seen.push(watcher.await??);
        }

        assert_eq!(seen[0], seen[1], "there is one order");
        let sequences: Vec<i64> = seen[0].iter().map(|(sequence, ..)| *sequence).collect();
        assert_eq!(sequences, (1..=changes).collect::<Vec<_>>());
        let told: BTreeSet<_> = seen[0].iter().map(|(_, id, version)| (*id, *version)).collect();
        assert_eq!(told, acknowledged);

        // Who goes on elsewhere, behind what it has, is told the rest.
        system.stop(Role::Products(0)).await?;
        let request = WatchProductsRequest { after_sequence: Some(changes - 1) };
        let mut rest = clients[1].watch_products(request).await?.into_inner();
        assert_eq!(next(&mut rest).await?.sequence, changes);
    }
    Ok(())
}
