//! Files that are replaced while everything runs.

use std::time::Duration;

use anyhow::Context as _;
use harness::certificates::{Certificates, OPERATOR, Protection};
use harness::eventually;
use harness::load::Traffic;
use harness::system::Role;
use proto::products::ListProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use proto::registry::WatchRequest;
use proto::registry::registry_service_client::RegistryServiceClient;
use registry::authority::Validity;

use super::{client, protected, warned};
use harness::health;

/// What a process says when it has read new files.
const TAKEN: &str = "took up the changed certificates";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_are_replaced_under_load_and_no_call_fails() -> anyhow::Result<()> {
    let mut system = protected(Protection::Tls).await?;
    let certificates = system.certificates()?.clone();
    let products = system.products();
    let holder = client(&system, certificates.files(OPERATOR))?;
    let everything = tokio_stream::once(WatchRequest::default());
    let mut open = RegistryServiceClient::new(holder.registry()).watch(everything).await?.into_inner();
    open.message().await?.context("a picture")?;
    let traffic = Traffic::start(2, Duration::from_millis(5), move || {
        let mut products = products.clone();
        async move {
            products.list_products(ListProductsRequest { page_size: 1, ..Default::default() }).await?;
            Ok(())
        }
    });

    // Both authorities are believed first, then everybody gets a certificate of the new one.
    let elsewhere = Certificates::complete(&system.folder().join("elsewhere"))?;
    let (old, new) = (std::fs::read_to_string(certificates.ca())?, std::fs::read_to_string(elsewhere.ca())?);
    std::fs::write(certificates.ca(), format!("{old}{new}"))?;
    let roles = system.roles();
    taken_up(&mut system, &roles, 1).await?;
    for name in harness::certificates::NAMES {
        let (from, to) = (elsewhere.of(name), certificates.of(name));
        std::fs::copy(from.key, to.key)?;
        std::fs::copy(from.cert, to.cert)?;
    }
    taken_up(&mut system, &roles, 2).await?;
    // Who only believes the new authority is believed, and believes.
    let newcomer = client(&system, elsewhere.files(OPERATOR))?;
    let connect = async || {
        let connection = health::connect_by(&newcomer, system.address(Role::Products(0))?).await?;
        ProductServiceClient::new(connection).list_products(ListProductsRequest::default()).await?;
        anyhow::Ok(())
    };
    connect().await?;

    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);

    // The old one is believed no more.
    std::fs::write(certificates.ca(), new)?;
    taken_up(&mut system, &roles, 3).await?;
    // What was begun with a certificate of it does not go on for ever.
    tokio::time::timeout(Duration::from_secs(60), async { while let Ok(Some(_)) = open.message().await {} }).await?;
    system.ready().await;
    let past = Certificates::complete(&system.folder().join("past"))?;
    assert!(health::connect_by(&client(&system, past.files(OPERATOR))?, system.address(Role::Portal)?).await.is_err());
    system.check_health().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_right_is_said_and_the_old_one_stays() -> anyhow::Result<()> {
    let mut system = protected(Protection::Tls).await?;
    let certificates = system.certificates()?.clone();
    let own = certificates.of("productsvc");

    let before = std::fs::read(&own.cert)?;
    std::fs::copy(certificates.of("portal").cert, &own.cert)?;
    warned(&mut system, Role::Products(0), "could not take up the changed certificates and goes on with the old")
        .await?;
    system.check_health().await?;
    std::fs::write(&own.cert, before)?;
    certificates.issue("productsvc", Validity::days(30))?;
    taken_up(&mut system, &[Role::Products(0)], 1).await?;
    system.check_health().await
}

/// Waits until each of these has read new files so many times.
async fn taken_up(system: &mut harness::System, roles: &[Role], times: usize) -> anyhow::Result<()> {
    for role in roles {
        let process = system.process(*role)?;
        eventually("it read them", async || {
            let said = process.output();
            anyhow::ensure!(said.matches(TAKEN).count() >= times, "{role:?} did not:\n{said}");
            Ok(())
        })
        .await;
    }
    Ok(())
}
