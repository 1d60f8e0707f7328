//! Who is refused: in words, with a record, and nothing done.

use harness::certificates::{Certificates, OPERATOR, Protection};
use harness::eventually;
use harness::health;
use harness::system::{Options, Role, System};
use jiff::{SignedDuration, Timestamp};
use mesh::Mesh;
use proto::logs::log_service_client::LogServiceClient;
use proto::logs::ship_request::Part;
use proto::logs::{Level, LogRecord, RecordBatch, ShipHeader, ShipRequest};
use proto::products::ListProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DeregisterRequest, HeartbeatRequest, Lease, RegisterRequest};
use registry::authority::{Issued, Validity};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::Request;

use super::{client, failure, hammer, is_denied, nothing_was_done, protected, warned};

/// Dials as a stranger does, who asks no mesh: with any certificate, or none. Answers why it was refused.
async fn knock(address: SocketAddr, ca: &Certificates, shown: Option<Issued>) -> anyhow::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca.ca())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match shown {
        Some(Issued { cert, key }) => config
            .with_client_auth_cert(vec![CertificateDer::from_pem_file(cert)?], PrivateKeyDer::from_pem_file(key)?)?,
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    // By a name of this machine, as grpcurl verifies it.
    let name = ServerName::try_from("localhost")?;
    let stream = TcpStream::connect(address).await?;
    let refused = async {
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        // A client of TLS 1.3 believes that it is in until the server says otherwise.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
        stream.read_u8().await
    };
    match refused.await {
        Ok(byte) => anyhow::bail!("it was let in, and read {byte}"),
        Err(error) => Ok(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_certificate_or_a_wrong_one_does_not_get_in() -> anyhow::Result<()> {
    let mut system = protected(Protection::Tls).await?;
    let address = system.address(Role::Products(0))?;
    let certificates = system.certificates()?.clone();
    let elsewhere = Certificates::complete(&system.folder().join("elsewhere"))?;
    let past = Timestamp::now() - SignedDuration::from_hours(48);
    let expired = Validity { from: past, until: past + SignedDuration::from_hours(24) };
    let late = certificates.issue("operator/late", expired)?;
    let early = Timestamp::now() + SignedDuration::from_hours(24);
    let early = Validity { from: early, until: early + SignedDuration::from_hours(24) };
    let early = certificates.issue("operator/early", early)?;

    for (shown, words) in [
        (None, "it has no certificate"),
        (Some(elsewhere.of(OPERATOR)), "its certificate is of an unknown authority"),
        (Some(late), "its certificate expired on"),
        (Some(early), "its certificate is not valid before"),
    ] {
        let said = knock(address, &certificates, shown).await?;
        assert!(said.contains("alert"), "{words}: {said}");
        warned(&mut system, Role::Products(0), words).await?;
    }

    // By a name of this machine and with a certificate of its own, whoever knows nothing of us gets in: so does grpcurl.
    let in_order = knock(address, &certificates, Some(certificates.of(OPERATOR))).await;
    assert!(in_order.is_err_and(|words| words.to_string().contains("it was let in")));

    // Plain text, by our own client and by HTTP.
    assert!(health::connect(address).await.is_err() || health::check(address).await.is_err());
    let mut browser = TcpStream::connect(address).await?;
    browser.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    warned(&mut system, Role::Products(0), "plain text on a TLS port").await?;
    nothing_was_done(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_told_why_it_does_not_get_in() -> anyhow::Result<()> {
    let system = protected(Protection::Tls).await?;
    let elsewhere = Certificates::complete(&system.folder().join("elsewhere"))?;

    let foreign = client(&system, elsewhere.files(OPERATOR))?;
    eventually("the words are there", async || {
        let status = failure(&foreign).await;
        anyhow::ensure!(status.message().contains("of an unknown authority"), "{status}");
        Ok(())
    })
    .await;
    let plain = Mesh::client(&[system.address(Role::Registry)?.to_string()]);
    eventually("a plain client is told", async || {
        let status = failure(&plain).await;
        anyhow::ensure!(status.message().contains("--tls-cert"), "{status}");
        Ok(())
    })
    .await;
    nothing_was_done(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_with_the_certificate_of_another_service_is_not_believed() -> anyhow::Result<()> {
    let system = System::prepare(Options { protection: Protection::Tls, ..Options::default() })?;
    let certificates = system.certificates()?;
    // A log service where the registry should be.
    let address = system.program(Role::Registry);
    let mut impostor = certificates.give(system.program(Role::Logs), "logsvc").start()?;
    let mesh = mesh::RegistryAddress {
        addresses: vec![impostor.address().await?.to_string()],
        tls: certificates.files("portal"),
    };
    let mesh = Mesh::client_of(&mesh)?;
    drop(address);

    let mut registry = RegistryServiceClient::new(mesh.registry());
    eventually("the words are there", async || {
        let status = registry.discover(proto::registry::DiscoverRequest::default()).await.expect_err("it is not it");
        let words = "the certificate is for logsvc, and registry was expected";
        anyhow::ensure!(status.message().contains(words), "{status}");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_calls_itself_what_its_certificate_does_not_say_is_refused() -> anyhow::Result<()> {
    let mut system = protected(Protection::Tls).await?;
    let mesh = client(&system, system.certificates()?.files("logsvc"))?;
    let connection = health::connect_by(&mesh, system.address(Role::Products(0))?).await?;
    let mut products = ProductServiceClient::new(connection);

    let mut request = Request::new(hammer());
    request.metadata_mut().insert("x-rundoo-caller", "portal/1234".parse()?);
    let status = products.create_product(request).await.expect_err("it is refused");
    assert!(is_denied(&status, "CALLER_MISMATCH"), "{status:?}");
    assert!(status.message().contains("portal/1234") && status.message().contains("logsvc"), "{status}");
    warned(&mut system, Role::Products(0), "says that it is portal/1234, and its certificate is for logsvc").await?;

    // Its own name is as good as none.
    let mut request = Request::new(ListProductsRequest::default());
    request.metadata_mut().insert("x-rundoo-caller", "logsvc/1234".parse()?);
    products.list_products(request).await?;
    products.list_products(ListProductsRequest::default()).await?;
    nothing_was_done(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_speaks_for_itself_alone() -> anyhow::Result<()> {
    let mut system = protected(Protection::Tls).await?;
    let certificates = system.certificates()?.clone();
    let register = RegisterRequest {
        service: "portal".into(),
        instance_id: "forged".into(),
        boot_nonce: 1,
        address: "127.0.0.1:9".into(),
        ..Default::default()
    };
    let lease = Lease { service: "portal".into(), instance_id: "forged".into(), incarnation: 1, ..Default::default() };
    let goodbye = DeregisterRequest {
        service: "portal".into(),
        instance_id: "forged".into(),
        incarnation: 1,
        ..Default::default()
    };
    let shipped = || {
        let header = ShipHeader {
            producer: "forger".into(),
            incarnation: 1,
            first_sequence: 1,
            service: "portal".into(),
            instance_id: "forged".into(),
            ..Default::default()
        };
        let record = LogRecord {
            sequence: 1,
            level: Level::Info.into(),
            target: "portal::audit".into(),
            message: "ann removed account root".into(),
            ..Default::default()
        };
        let parts = [Part::Header(header), Part::Batch(RecordBatch { records: vec![record] })];
        tokio_stream::iter(parts.map(|part| ShipRequest { part: Some(part) }))
    };

    let forger = client(&system, certificates.files("productsvc"))?;
    let mut registry = RegistryServiceClient::new(forger.registry());
    let status = registry.register(register.clone()).await.expect_err("it is the portal's");
    assert!(is_denied(&status, "OTHER_SERVICE"), "{status:?}");
    assert!(status.message().ends_with("may not speak for portal: its certificate is not that of portal"), "{status}");
    let beat = HeartbeatRequest { leases: vec![lease], ..Default::default() };
    let mut answers = registry.heartbeat(tokio_stream::iter([beat])).await?.into_inner();
    let status = answers.message().await.expect_err("it is the portal's");
    assert!(is_denied(&status, "OTHER_SERVICE"), "{status:?}");
    let status = registry.deregister(goodbye).await.expect_err("it is the portal's");
    assert!(is_denied(&status, "OTHER_SERVICE"), "{status:?}");
    let mut logs = LogServiceClient::new(forger.channel("logsvc", proto::logs::DESCRIPTORS));
    let status = logs.ship(shipped()).await.expect_err("it is the portal's");
    assert!(is_denied(&status, "OTHER_SERVICE"), "{status:?}");
    warned(&mut system, Role::Registry, "may not speak for portal").await?;
    warned(&mut system, Role::Logs, "may not log as portal").await?;
    let instances = system.instances().await?;
    assert!(instances.iter().all(|instance| instance.instance_id != "forged"), "{instances:?}");

    // A person may do it for a service that has no certificate.
    let operator = client(&system, certificates.files(OPERATOR))?;
    RegistryServiceClient::new(operator.registry()).register(register).await?;
    let mut logs = LogServiceClient::new(operator.channel("logsvc", proto::logs::DESCRIPTORS));
    assert_eq!(logs.ship(shipped()).await?.into_inner().stored, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_rule_allows_is_refused_and_a_changed_policy_counts_at_once() -> anyhow::Result<()> {
    let mut system = protected(Protection::Policy).await?;
    let certificates = system.certificates()?.clone();
    let mesh = client(&system, certificates.files("logsvc"))?;
    let connection = health::connect_by(&mesh, system.address(Role::Products(0))?).await?;
    let mut products = ProductServiceClient::new(connection.clone());

    let status = products.create_product(hammer()).await.expect_err("no rule allows it");
    assert!(is_denied(&status, "POLICY"), "{status:?}");
    assert_eq!(
        status.message(),
        "logsvc may not call rundoo.products.v1.ProductService/CreateProduct: no rule of the policy allows it"
    );
    warned(&mut system, Role::Products(0), "refused a call: logsvc may not call").await?;
    health::check_on(connection).await?;
    nothing_was_done(&system).await?;

    let sample = std::fs::read_to_string(certificates.policy())?;
    std::fs::write(certificates.policy(), "logsvc may do anything\n")?;
    warned(&mut system, Role::Products(0), "could not take up the changed policy and goes on with the old").await?;
    assert!(products.create_product(hammer()).await.is_err());
    std::fs::write(certificates.policy(), format!("{sample}\nlogsvc may call rundoo.products.v1.ProductService/*\n"))?;
    eventually("the new rule counts", async || {
        products.list_products(ListProductsRequest::default()).await?;
        Ok(())
    })
    .await;
    products.create_product(hammer()).await?;
    Ok(())
}
