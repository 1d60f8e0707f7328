//! Versions in a partition for each month, which only PostgreSQL can.

use harness::system::{Options, Role};
use proto::products::{ArchiveStep, GetProductVersionRequest};

use crate::products::archives::depot::{Depot, FOLDER, each};

const PARTITIONS: &str = "SELECT COUNT(*) FROM pg_inherits WHERE inhparent = 'product_versions'::regclass";

async fn partition(depot: &Depot) -> anyhow::Result<(Option<i32>, String)> {
    let (status, output) = depot.system.program(Role::Products(0)).argument("partition").start()?.finish().await?;
    Ok((status.code(), output))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archived_month_of_a_partitioned_table_is_dropped() -> anyhow::Result<()> {
    let options: Vec<Options> = each(&FOLDER)?.into_iter().filter(|options| options.database_url.is_some()).collect();
    for options in options {
        let mut depot = Depot::open(options).await?;
        let mut products = depot.fill(500, 3).await?;
        depot.pass(40)?;
        depot.rename(&mut products[..100], "Later").await?;
        depot.pass(70)?;
        let some: Vec<_> = products.iter().step_by(31).cloned().collect();
        let before = depot.histories(&some).await?;

        for _ in 0..2 {
            let (code, output) = partition(&depot).await?;
            assert_eq!(code, Some(0), "{output}");
        }
        assert_eq!(depot.superseded()?, 1600);
        assert_eq!(depot.histories(&some).await?, before);
        let in_default = depot.number("SELECT COUNT(*) FROM product_versions_default")?;
        assert_eq!(in_default, 0, "each has the partition of its month");
        depot.rename(&mut products[..10], "Lately").await?;
        let before = depot.histories(&some).await?;
        let partitions = depot.number(PARTITIONS)?;

        let told = depot.archived().await?;

        let months = told.iter().filter(|message| message.step() == ArchiveStep::Found).count();
        assert_eq!(months, 2);
        assert_eq!(depot.number(PARTITIONS)?, partitions - 2, "both are dropped");
        assert_eq!(depot.superseded()?, 10, "those of this month stay");
        assert_eq!(depot.histories(&some).await?, before);
        assert_eq!(depot.archives().await?.iter().map(|archive| archive.rows).sum::<i64>(), 1600);

        // Late ones of a month whose partition is gone lie in the default one.
        depot.pass(110)?;
        let before = depot.histories(&some).await?;
        assert_eq!(depot.number("SELECT COUNT(*) FROM product_versions_default")?, 10);
        depot.archived().await?;
        assert_eq!((depot.superseded()?, depot.histories(&some).await?), (0, before));
        let request = GetProductVersionRequest { id: products[0].id, version: 1 };
        assert!(depot.products.get_product_version(request).await?.into_inner().version.is_some());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_the_months_to_come_are_made_in_time() -> anyhow::Result<()> {
    for options in each(&FOLDER)? {
        let is_postgres = options.database_url.is_some();
        let mut depot = Depot::open(options).await?;
        let (code, output) = partition(&depot).await?;
        if !is_postgres {
            assert!(code == Some(1) && output.contains("only PostgreSQL has partitions"), "{output}");
            continue;
        }
        assert_eq!(code, Some(0), "{output}");
        // This month, three to come, and the default one.
        assert_eq!(depot.number(PARTITIONS)?, 5);
        depot.sql(
            "DO $$ DECLARE one regclass; BEGIN
                FOR one IN SELECT inhrelid::regclass FROM pg_inherits
                    WHERE inhparent = 'product_versions'::regclass
                        AND inhrelid <> 'product_versions_default'::regclass
                LOOP EXECUTE format('DROP TABLE %s', one); END LOOP; END $$",
        )?;
        assert_eq!(depot.number(PARTITIONS)?, 1);

        // It looks after them when it starts, and then hourly.
        depot.system.stop(Role::Products(0)).await?;
        depot.system.launch(Role::Products(0)).await?;
        depot.system.ready().await;
        harness::eventually("they are made again", async || {
            let partitions = depot.number(PARTITIONS)?;
            anyhow::ensure!(partitions == 5, "{partitions} are");
            Ok(())
        })
        .await;
        let mut products = depot.fill(1, 0).await?;
        depot.rename(&mut products, "New").await?;
        assert_eq!(depot.number("SELECT COUNT(*) FROM product_versions_default")?, 0);
        assert_eq!(depot.superseded()?, 1);
    }
    Ok(())
}
