//! A product service that hangs in the midst of a write, beside one that does not.

use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use harness::eventually::eventually_within;
use harness::system::{Options, Role, System};
use harness::{eventually, health, postgres};
use proto::products::product_service_client::ProductServiceClient;
use rustix::process::Signal;

use crate::products::keeping::ask;
use crate::products::shop::draft;

/// Someone who has the row that every write takes, until this is dropped.
struct Holder(Child);

impl Holder {
    fn take(url: &str) -> anyhow::Result<Self> {
        let mut holder = postgres::client(url)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        let take = b"BEGIN; UPDATE catalogue SET last_id = last_id;\n";
        holder.stdin.as_mut().context("it reads")?.write_all(take)?;
        Ok(Self(holder))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Waits until a connection of the database is so.
async fn one_is(url: &str, state: &str) {
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {state}");
    eventually(state, async || {
        anyhow::ensure!(ask(url, &sql)? != "0", "none is");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_service_that_hangs_in_a_write_does_not_hold_up_the_others() -> anyhow::Result<()> {
    // SQLite's lock is the kernel's, which waits for a stopped process as long as that is there.
    let Some(url) = postgres::database()? else { return Ok(()) };
    let options = Options { products: 2, database_url: Some(url.clone()), ..Options::default() };
    let mut system = System::prepare(options)?;
    for role in [Role::Registry, Role::Products(0)] {
        system.launch(role).await?;
    }
    let connect = async |address| anyhow::Ok(ProductServiceClient::new(health::connect(address).await?));
    let mut hanging = connect(system.address(Role::Products(0))?).await?;

    let holder = Holder::take(&url)?;
    one_is(&url, "state = 'idle in transaction' AND application_name = 'psql'").await;
    let request = draft("Claw hammer", "HAM-1");
    let write = mesh::spawn("writer", {
        let (mut client, request) = (hanging.clone(), request.clone());
        async move { client.create_product(request).await }
    });
    one_is(&url, "wait_event_type = 'Lock' AND application_name = 'productsvc'").await;
    system.process(Role::Products(0))?.freeze().await?;
    drop(holder);
    // The row is its own now, and it does not know.
    one_is(&url, "state = 'idle in transaction' AND application_name = 'productsvc'").await;

    let mut other = connect(system.launch(Role::Products(1)).await?).await?;
    // More than the time that it is given: other connections of it may wait for the row, too.
    let added = eventually_within(Duration::from_secs(60), "another one writes", async || {
        other.create_product(draft("Mallet", "MAL-1")).await?.into_inner().product.context("no product")
    })
    .await;
    system.process(Role::Products(0))?.signal(Signal::CONT)?;

    let _told = write.await?;
    let repeated = eventually("what hung is written once", async || {
        hanging.create_product(request.clone()).await?.into_inner().product.context("no product")
    })
    .await;
    assert_eq!((repeated.version, repeated.id), (1, added.id + 1), "nothing of the first attempt is left");
    assert_eq!(ask(&url, "SELECT last_id || ' ' || live_products FROM catalogue")?, format!("{} 2", repeated.id));
    Ok(())
}
