//! Starting: in any order, with the registry missing, on a taken port, off loopback.

use harness::system::{Options, Role, System, free_port, loopback};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_may_start_in_any_order() -> anyhow::Result<()> {
    let mut system = System::prepare(Options::default())?;

    for role in [Role::Portal, Role::Products(0), Role::Registry, Role::Logs] {
        system.launch(role).await?;
    }

    system.ready().await;
    system.check_health().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_named_and_what_had_started_is_undone() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    let taken = std::net::TcpListener::bind(loopback(0))?;
    let address = taken.local_addr()?;

    let mut process = system.program(Role::Products(0)).set("PRODUCTSVC_LISTEN", address).start()?;
    let error = process.address().await.expect_err("the port is taken");

    let words = error.to_string();
    assert!(words.contains(&format!("could not listen on {address}")), "{words}");
    assert!(words.contains("undoing:") && words.contains("product store"), "{words}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_off_loopback_is_refused_unless_it_is_meant() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    let exposed = format!("0.0.0.0:{}", free_port()?);
    let registry = || system.program(Role::Registry).set("REGISTRY_LISTEN", &exposed);

    let refused = registry().start()?.address().await.expect_err("not without --insecure");
    let mut insecure = registry()
        .argument("--insecure")
        .argument("--advertise")
        .argument(exposed.replace("0.0.0.0", "127.0.0.1"))
        .start()?;
    insecure.address().await?;

    assert!(refused.to_string().contains("--insecure"), "{refused}");
    assert!(
        insecure.output().contains("WARN") && insecure.output().contains("without encryption"),
        "{}",
        insecure.output()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_service_explains_its_settings() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    for role in system.roles() {
        let (status, words) = system.program(role).argument("--help").start()?.finish().await?;

        assert!(status.success() && words.contains("RUNDOO_REGISTRY"), "{words}");
        assert!(words.contains("--listen"), "{words}");
    }
    Ok(())
}
