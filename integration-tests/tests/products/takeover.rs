//! Jobs whose worker is killed in their midst: another one finishes them, once.

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{catalogue, eventually, health};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{GetImportJobRequest, ImportJob, ImportRow, ImportState, WatchProductsRequest};
use tonic::transport::Channel;

use crate::products::jobs::{commit_of, counted, dry_run, messages, row, undo_of};

type Client = ProductServiceClient<Channel>;

/// Rows of a commit that takes long enough to be killed in its midst.
const MANY: i64 = 12_000;

/// A registry and two product services, each with a client of its own.
async fn two(options: &Options) -> anyhow::Result<(System, Vec<Client>)> {
    let mut system = System::prepare(Options { products: 2, ..options.clone() })?;
    system.launch(Role::Registry).await?;
    system.launch_together(&[Role::Products(0), Role::Products(1)]).await?;
    system.ready().await;
    let mut clients = Vec::new();
    for number in 0..2 {
        clients.push(client(&system, number).await?);
    }
    Ok((system, clients))
}

async fn client(system: &System, number: usize) -> anyhow::Result<Client> {
    Ok(Client::new(health::connect(system.address(Role::Products(number))?).await?))
}

async fn job(client: &mut Client, id: i64) -> anyhow::Result<ImportJob> {
    let request = GetImportJobRequest { id, ..Default::default() };
    client.get_import_job(request).await?.into_inner().job.context("no job")
}

/// Waits until a job is in its midst.
async fn begun(client: &Client, id: i64) {
    eventually("it is in its midst", async || {
        let job = job(&mut client.clone(), id).await?;
        let did = if job.state() == ImportState::Undoing { job.undone } else { job.created };
        anyhow::ensure!(did > 0, "it has not begun: {job:?}");
        Ok(())
    })
    .await;
}

async fn finished(client: &Client, id: i64, state: ImportState) -> ImportJob {
    eventually("someone finishes it", async || {
        let job = job(&mut client.clone(), id).await?;
        anyhow::ensure!(job.state() == state, "{job:?}");
        Ok(job)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_worker_is_killed_is_finished_once_by_another_or_after_a_restart() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let (mut system, mut clients) = two(&options).await?;
        let rows: Vec<ImportRow> = (2..MANY + 2).map(|line| row(line, "Nail", &format!("N-{line}"))).collect();
        let tried = clients[0].import_products(tokio_stream::iter(messages(dry_run(), &rows))).await?;
        let id = tried.into_inner().job.context("no job")?.id;

        clients[0].commit_import(commit_of(id)).await?;
        begun(&clients[1], id).await;
        system.kill(Role::Products(0)).await?;
        let half = job(&mut clients[1], id).await?;
        assert!(half.state() == ImportState::Running && half.created < MANY, "it was killed in its midst: {half:?}");
        let done = finished(&clients[1], id, ImportState::Done).await;

        assert_eq!(counted(&done), (ImportState::Done, [MANY, MANY, 0, 0, 0]));
        let all = catalogue::read(&system).await?;
        assert!(all.len() as i64 == MANY && all.values().all(|product| product.version == 1), "each row is in once");
        let sequence = |request| WatchProductsRequest { after_sequence: Some(request) };
        clients[1].watch_products(sequence(MANY)).await.context("each is one change")?;
        clients[1].watch_products(sequence(MANY + 1)).await.expect_err("and nothing else is");

        // The one that is left is killed while it undoes, and starts again.
        clients[1].undo_import(undo_of(id)).await?;
        begun(&clients[1], id).await;
        system.kill(Role::Products(1)).await?;
        system.launch(Role::Products(1)).await?;
        let mut again = client(&system, 1).await?;
        let half = job(&mut again, id).await?;
        assert!(half.state() == ImportState::Undoing && half.undone < MANY, "it was killed in its midst: {half:?}");
        let undone = finished(&again, id, ImportState::Undone).await;

        assert_eq!((undone.undone, undone.conflicts), (MANY, 0));
        again.watch_products(sequence(2 * MANY)).await.context("each is one change more")?;
        again.watch_products(sequence(2 * MANY + 1)).await.expect_err("and nothing else is");
        system.ready().await;
        assert!(catalogue::read(&system).await?.is_empty());
    }
    Ok(())
}
