//! Several registry nodes: addresses that stand in for each other, and moving between them.

use anyhow::Context as _;
use harness::eventually;
use harness::system::{Options, Role, System, free_port, loopback};
use mesh::Mesh;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DiscoverRequest, MoveRequest};

async fn services(mesh: &Mesh) -> anyhow::Result<Vec<String>> {
    let listed = RegistryServiceClient::new(mesh.registry()).discover(DiscoverRequest::default()).await?.into_inner();
    Ok(listed.instances.into_iter().map(|instance| instance.service).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spare_registry_takes_over_when_the_first_one_dies() -> anyhow::Result<()> {
    let spare = loopback(free_port()?);
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Registry).await?;
    let both = format!("{},{spare}", system.address(Role::Registry)?);
    let mut products = system.program(Role::Products(0)).set("RUNDOO_REGISTRY", &both).start()?;
    products.address().await?;
    system.ready_with(2).await;
    let mut second =
        system.program(Role::Registry).set("REGISTRY_LISTEN", spare).set("RUNDOO_REGISTRY", spare).start()?;
    second.address().await?;
    let other = Mesh::client(&[spare.to_string()]);
    assert!(!services(&other).await?.contains(&"productsvc".to_owned()), "everybody is with the first");

    system.kill(Role::Registry).await?;

    eventually("it is registered with the spare", async || {
        let listed = services(&other).await?;
        anyhow::ensure!(listed.contains(&"productsvc".to_owned()), "{listed:?}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_goes_where_the_registry_sends_them() -> anyhow::Result<()> {
    let target = loopback(free_port()?);
    let system = System::start().await?;
    let mut second =
        system.program(Role::Registry).set("REGISTRY_LISTEN", target).set("RUNDOO_REGISTRY", target).start()?;
    second.address().await?;
    let within = Some(prost_types::Duration { seconds: 1, nanos: 0 });

    let told = system.registry().r#move(MoveRequest { address: target.to_string(), within }).await?.into_inner();

    assert!(told.streams >= 4, "{told:?}");
    let other = Mesh::client(&[target.to_string()]);
    eventually("they are there", async || {
        let listed = services(&other).await?;
        for service in ["productsvc", "logsvc", "portal"] {
            listed.iter().find(|listed| *listed == service).with_context(|| format!("{service}: {listed:?}"))?;
        }
        Ok(())
    })
    .await;
    eventually("pages go on", async || {
        let page = system.get("/").await?;
        anyhow::ensure!(page.status.is_success(), "{}", page.status);
        Ok(())
    })
    .await;
    Ok(())
}
