//! `productsvc check`, beside a catalogue that is written, and on one that was tampered with.

use harness::system::{Options, System};
use proto::products::product_service_client::ProductServiceClient;
use tokio_util::sync::CancellationToken;

use crate::products::keeping::{ask, keep};
use crate::products::shop::{draft, renamed, serve};

/// Adds and renames products until it is stopped, and says how many.
async fn write(mut client: ProductServiceClient<mesh::Channel>, stop: CancellationToken) -> anyhow::Result<usize> {
    for number in 0.. {
        if stop.is_cancelled() {
            return Ok(number);
        }
        let added = client.create_product(draft("Saw", &format!("S-{number}"))).await?.into_inner();
        let added = added.product.unwrap_or_default();
        client.update_product(renamed(&added, "Hand saw")).await?;
    }
    Ok(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalogue_is_sound_while_it_is_written() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = serve(options).await?;
        let stop = CancellationToken::new();
        let writing = mesh::spawn("writer", write(system.products(), stop.clone()));

        for _ in 0..3 {
            let (code, output) = keep(&system, &["check"]).await?;
            assert!(code == Some(0) && output.contains("the catalogue is sound"), "{output}");
        }

        stop.cancel();
        assert!(writing.await?? > 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_be_is_told_and_counts_are_repaired() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let Some(url) = options.database_url.clone() else { continue };
        let system = serve(options).await?;
        let added =
            system.products().create_product(draft("Saw", "S-1")).await?.into_inner().product.unwrap_or_default();
        system.products().update_product(renamed(&added, "Hand saw")).await?;
        ask(&url, "UPDATE catalogue SET live_products = 7")?;

        let (code, output) = keep(&system, &["check"]).await?;
        assert!(
            code == Some(2) && output.contains("it counts 7 products that are not deleted, there are 1"),
            "{output}"
        );
        let (code, output) = keep(&system, &["check", "--repair"]).await?;
        assert!(code == Some(0) && output.contains("the catalogue is sound"), "{output}");

        let damages = [
            ("UPDATE products SET sku_key = 'other'", "product 1: the key of its sku is \"other\" and must be \"s-1\""),
            (
                "UPDATE product_versions SET end_time = end_time - 1",
                "version 1 of product 1 did not end when version 2 began",
            ),
            ("DELETE FROM products", "version 1 of product 1: there is no such product"),
        ];
        for (sql, told) in damages {
            ask(&url, sql)?;
            let (code, output) = keep(&system, &["check", "--repair"]).await?;
            assert!(code == Some(2) && output.contains(told), "{output}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_checked_is_no_finding() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::prepare(options)?;

        let (code, output) = keep(&system, &["check"]).await?;

        assert!(code == Some(1) && output.contains("could not check the catalogue"), "{output}");
        assert!(!system.folder().join("data/products.db").exists(), "a check makes nothing");
    }
    Ok(())
}
