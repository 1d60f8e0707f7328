//! Runs that are killed, interrupted, and beside each other.

use std::time::Duration;

use harness::eventually;
use harness::system::{Options, Role};
use proto::products::ArchiveStep;
use rustix::process::Signal;

use crate::products::archives::depot::{Depot, FOLDER, each};

/// Products, and how often each was changed: enough for some transactions of removals.
const PRODUCTS: usize = 1000;
const CHANGES: usize = 3;
const VERSIONS: i64 = 3000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_run_that_is_killed_anywhere_is_gone_on_with() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        let mut products = depot.fill(PRODUCTS, CHANGES).await?;
        depot.pass(70)?;
        let (mut sum, mut killed) = (VERSIONS, 0);
        for step in [ArchiveStep::Found, ArchiveStep::Writing, ArchiveStep::Verifying, ArchiveStep::Removing] {
            let some: Vec<_> = products.iter().step_by(97).cloned().collect();
            let before = depot.histories(&some).await?;
            let mut run = depot.run("").await?;
            while let Some(told) = run.message().await? {
                if told.step() == step {
                    killed += 1;
                    break;
                }
            }
            depot.system.kill(Role::Products(0)).await?;
            depot.system.launch(Role::Products(0)).await?;
            depot.system.ready().await;
            assert_eq!(depot.histories(&some).await?, before, "killed at {step:?}");

            // It waits until the killed one's lease is over.
            let (code, output) = depot.archive(&[]).await?;
            assert_eq!(code, Some(0), "{output}");
            assert_eq!(depot.superseded()?, 0);
            assert_eq!(depot.histories(&some).await?, before, "killed at {step:?}");
            let archives = depot.archives().await?;
            assert_eq!(archives.iter().map(|archive| archive.rows).sum::<i64>(), sum, "killed at {step:?}");
            let files: i64 = archives.iter().map(|archive| archive.files).sum();
            assert_eq!(depot.files().len(), usize::try_from(files)?, "nothing is left that counts for nothing");

            depot.rename(&mut products, &format!("After {step:?}")).await?;
            depot.pass(70)?;
            sum += PRODUCTS as i64;
        }
        assert_eq!(killed, 4);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_at_two_instances_archive_each_version_once() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(Options { products: 2, ..options }).await?;
        let mut products = depot.fill(PRODUCTS, CHANGES).await?;
        depot.pass(40)?;
        depot.rename(&mut products, "Again").await?;
        depot.pass(70)?;
        let some: Vec<_> = products.iter().step_by(97).cloned().collect();
        let before = depot.histories(&some).await?;

        let (one, other) = tokio::join!(depot.archive(&[]), depot.archive(&[]));

        for (code, output) in [one?, other?] {
            assert_eq!(code, Some(0), "{output}");
        }
        assert_eq!(depot.superseded()?, 0);
        let rows: i64 = depot.archives().await?.iter().map(|archive| archive.rows).sum();
        assert_eq!(rows, VERSIONS + PRODUCTS as i64);
        assert_eq!(depot.histories(&some).await?, before);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_ends_a_run_and_says_so() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let mut depot = Depot::open(options).await?;
        depot.fill(10, 1).await?;
        depot.pass(70)?;
        let month = depot.first_month().await?;
        // Someone has the month for long.
        depot.sql(&format!(
            "INSERT INTO archive_months (month, run, lease_time, last_part) VALUES ({month}, 'other', {}, 0)",
            i64::MAX
        ))?;

        let mut process = depot.system.program(Role::Products(0)).argument("archive").start()?;
        eventually("it waits", async || {
            anyhow::ensure!(process.output().contains("waiting up to"), "{}", process.output());
            Ok(())
        })
        .await;
        process.signal(Signal::INT)?;
        let status = tokio::time::timeout(Duration::from_secs(20), process.wait()).await??;

        assert_eq!(status.code(), Some(130), "{}", process.output());
        assert!(process.output().contains("interrupted"), "{}", process.output());
    }
    Ok(())
}
