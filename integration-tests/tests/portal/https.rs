//! Pages by HTTPS: with a certificate of one's own, off loopback without `--insecure`.

use std::sync::Arc;

use anyhow::Context as _;
use harness::certificates::Certificates;
use harness::system::{Options, Role, System, free_port};
use harness::{Process, eventually};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::door::people::{PASSWORD, command};

/// A page by HTTPS, as its bytes.
async fn get(certificates: &Certificates, port: u16, path: &str) -> anyhow::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificates.ca())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut stream = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost")?, stream).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// A portal off loopback with the certificate that this name has.
async fn portal(system: &System, certificates: &Certificates, port: u16) -> anyhow::Result<Process> {
    let own = certificates.of("portal");
    let mut portal = system
        .program(Role::Portal)
        .set("PORTAL_HTTP_LISTEN", format!("0.0.0.0:{port}"))
        .set("PORTAL_HTTP_TLS_CERT", own.cert.display())
        .set("PORTAL_HTTP_TLS_KEY", own.key.display())
        .start()?;
    portal.address().await?;
    Ok(portal)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_loopback_pages_need_a_certificate_or_the_word_insecure() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    let listen = format!("0.0.0.0:{}", free_port()?);

    let bare = system.program(Role::Portal).set("PORTAL_HTTP_LISTEN", &listen);
    let error = bare.start()?.address().await.expect_err("it is not encrypted");
    assert!(error.to_string().contains("give TLS certificate files, or --insecure"), "{error}");
    let half = system.program(Role::Portal).set("PORTAL_HTTP_TLS_CERT", "x.pem");
    let error = half.start()?.address().await.expect_err("the key is missing");
    assert!(error.to_string().contains("of no use without --http-tls-key"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_served_by_https_and_a_new_certificate_is_taken_up() -> anyhow::Result<()> {
    let system = System::start().await?;
    let certificates = Certificates::complete(&system.folder().join("own"))?;
    let port = free_port()?;
    command(&system, &["user", "add", "root", "--role", "administrator"], Some(PASSWORD))?;
    let portal = portal(&system, &certificates, port).await?;

    eventually("pages are there", async || {
        let page = get(&certificates, port, "/login").await?;
        anyhow::ensure!(page.starts_with("HTTP/1.1 200"), "{page}");
        anyhow::ensure!(page.contains("strict-transport-security: "), "{page}");
        Ok(())
    })
    .await;
    // Who speaks plain text there is not understood, and who says nothing is cut.
    assert!(harness::http::get(([127, 0, 0, 1], port).into(), "/").await.is_err());
    let mut silent = TcpStream::connect(("127.0.0.1", port)).await?;
    let mut nothing = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(60), silent.read_to_end(&mut nothing)).await;
    ended.context("it is kept")?.unwrap_or_default();
    let services = system.get("/services").await?;
    assert!(services.text.contains("/services/portal"), "{}", services.text);
    let listed = system.instances().await?;
    let https = format!(":{port}/");
    let own = listed.iter().find_map(|instance| instance.links.get("https").filter(|link| link.ends_with(&https)));
    assert!(own.is_some_and(|link| link.starts_with("https://")), "{listed:?}");

    // Another authority signs from now on.
    let elsewhere = Certificates::complete(&system.folder().join("elsewhere"))?;
    let (from, to) = (elsewhere.of("portal"), certificates.of("portal"));
    std::fs::copy(from.key, to.key)?;
    std::fs::copy(from.cert, to.cert)?;
    eventually("the new one is shown", async || {
        anyhow::ensure!(get(&elsewhere, port, "/healthz").await?.starts_with("HTTP/1.1 200"));
        Ok(())
    })
    .await;
    drop(portal);
    Ok(())
}
