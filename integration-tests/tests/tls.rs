//! Mutual TLS on every port: what it lets through, what it refuses and how, and how files are replaced.

use std::path::PathBuf;

use harness::certificates::{Certificates, Protection};
use harness::eventually;
use harness::system::{Options, Role, System};
use mesh::{Mesh, Refusal, RegistryAddress, TlsFiles};
use proto::logs::{Filter, QueryRequest};
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{CreateProductRequest, ListProductsRequest};
use proto::registry::InstanceState;
use tonic::{Code, Status};

mod refusals;
mod rotation;

pub(crate) async fn protected(protection: Protection) -> anyhow::Result<System> {
    System::with(Options { protection, ..Options::default() }).await
}

/// The mesh as who bears these files sees it.
fn client(system: &System, tls: TlsFiles) -> anyhow::Result<Mesh> {
    let addresses = vec![system.address(Role::Registry)?.to_string()];
    Mesh::client_of(&RegistryAddress { addresses, tls })
}

/// Waits until one of the lines on the terminals has these words, which a warning is to have.
async fn warned(system: &mut System, role: Role, words: &str) -> anyhow::Result<()> {
    let process = system.process(role)?;
    eventually("it is in the log", async || {
        let said = process.output();
        let line = said.lines().find(|line| line.contains(words) && line.contains("WARN"));
        anyhow::ensure!(line.is_some(), "nothing of {words:?} in:\n{said}");
        Ok(())
    })
    .await;
    Ok(())
}

fn hammer() -> CreateProductRequest {
    CreateProductRequest { name: "Hammer".into(), category: "Tools".into(), sku: "HAM-1".into(), ..Default::default() }
}

async fn products_of(mesh: &Mesh) -> ProductServiceClient<mesh::Channel> {
    ProductServiceClient::new(mesh.channel("productsvc", proto::products::DESCRIPTORS))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_stack_runs_on_mutual_tls_by_the_sample_policy() -> anyhow::Result<()> {
    let mut system = protected(Protection::Policy).await?;

    system.check_health().await?;
    system.products().create_product(hammer()).await?;
    let form = [("name", "Saw"), ("category", "Tools"), ("sku", "SAW-1")];
    assert_eq!(system.post("/products", &form).await?.status, 303);
    for (path, words) in [
        ("/", "Saw"),
        ("/search?q=hammer", "Hammer"),
        ("/categories", "Tools"),
        ("/services", "productsvc"),
        ("/logs?since=all", "serving gRPC on"),
        ("/metrics", "rundoo_"),
        ("/events", "productsvc"),
        ("/imports", "import"),
    ] {
        let page = system.get(path).await?;
        assert!(page.status == 200 && page.text.contains(words), "{path}: {} without {words:?}", page.status);
    }
    let instances = system.instances().await?;
    assert!(instances.iter().all(|instance| instance.state() == InstanceState::Ready), "{instances:?}");
    eventually("everybody's records are shipped", async || {
        for service in ["registry", "logsvc", "productsvc", "portal"] {
            let filter = Filter { services: vec![service.to_owned()], ..Default::default() };
            let request = QueryRequest { filter: Some(filter), ..Default::default() };
            let mut records = system.logs().query(request).await?.into_inner();
            anyhow::ensure!(records.message().await?.is_some(), "none of {service}");
        }
        Ok(())
    })
    .await;
    // Who is killed is missed as without TLS: the registry knocks at the door, encrypted.
    system.kill(Role::Products(0)).await?;
    system.ready_with(3).await;
    for role in [Role::Portal, Role::Registry, Role::Logs] {
        let said = system.stop(role).await?;
        assert!(!said.contains("refused a c"), "{role:?} refused somebody:\n{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tools_take_their_certificates_from_the_same_settings() -> anyhow::Result<()> {
    let system = protected(Protection::Policy).await?;
    let certificates = system.certificates()?;
    let list = system.folder().join("list.csv");
    std::fs::write(&list, "name,category,sku\nHammer,Tools,HAM-1\n")?;
    let list = list.display().to_string();

    for (role, arguments, words) in [
        (Role::Registry, vec!["ls"], "productsvc"),
        (Role::Logs, vec!["stats"], "registry"),
        (Role::Products(0), vec!["import", &list], "1"),
    ] {
        let program = arguments.iter().fold(system.program(role), |program, argument| program.argument(*argument));
        let tool = certificates.give(program, harness::certificates::OPERATOR);
        // The records of a service that has just started are on their way.
        eventually("it was told", async || {
            let (status, said) = tool.start()?.finish().await?;
            anyhow::ensure!(status.success() && said.contains(words), "{arguments:?}: {status}\n{said}");
            Ok(())
        })
        .await;
    }
    let page = system.products().list_products(ListProductsRequest { page_size: 9, ..Default::default() }).await?;
    assert_eq!(page.into_inner().products.len(), 1);
    Ok(())
}

/// Files that a person might give, and what is wrong with them.
fn mistakes(certificates: &Certificates, elsewhere: &Certificates) -> Vec<(PathBuf, PathBuf, PathBuf, &'static str)> {
    let (own, other) = (certificates.of("registry"), certificates.of("portal"));
    let foreign = elsewhere.of("registry");
    let nowhere = PathBuf::from("nowhere.pem");
    vec![
        (nowhere.clone(), own.key.clone(), certificates.ca(), "could not read nowhere.pem"),
        (own.cert.clone(), nowhere, certificates.ca(), "could not read nowhere.pem"),
        (own.key.clone(), own.key.clone(), certificates.ca(), "holds no certificate"),
        (own.cert.clone(), own.cert.clone(), certificates.ca(), "holds no private key"),
        (own.cert.clone(), other.key.clone(), certificates.ca(), "does not fit the certificate"),
        (other.cert, other.key, certificates.ca(), "the certificate is for portal, and this is registry"),
        (foreign.cert, foreign.key, certificates.ca(), "is of none of the authorities in"),
        (own.cert.clone(), own.key.clone(), own.cert, "could not start registry"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_with_the_files_is_said_in_words_at_the_start() -> anyhow::Result<()> {
    let system = System::prepare(Options { protection: Protection::Tls, ..Options::default() })?;
    let certificates = system.certificates()?;
    let elsewhere = Certificates::complete(&system.folder().join("elsewhere"))?;

    for (cert, key, ca, words) in mistakes(certificates, &elsewhere) {
        let program = system.program(Role::Registry);
        let mut registry = program
            .set("RUNDOO_TLS_CERT", cert.display())
            .set("RUNDOO_TLS_KEY", key.display())
            .set("RUNDOO_TLS_CA", ca.display())
            .start()?;
        let error = registry.address().await.expect_err("it does not start");
        assert!(error.to_string().contains(words), "{words}: {error}");
    }

    let plain = System::prepare(Options::default())?;
    let alone = plain.program(Role::Registry).set("RUNDOO_TLS_CERT", certificates.of("registry").cert.display());
    let error = alone.start()?.address().await.expect_err("the key is missing");
    assert!(error.to_string().contains("there is no --tls-key and --tls-ca"), "{error}");
    let policy = plain.program(Role::Registry).set("RUNDOO_POLICY", certificates.policy().display());
    let error = policy.start()?.address().await.expect_err("nobody is proven");
    assert!(error.to_string().contains("a policy needs certificates"), "{error}");
    let broken = system.folder().join("broken.policy");
    std::fs::write(&broken, "* may call *\nportal can call *\n")?;
    let policy = system.program(Role::Registry).set("RUNDOO_POLICY", broken.display());
    let error = policy.start()?.address().await.expect_err("the policy cannot be read");
    assert!(error.to_string().contains("line 2: it is not WHO may call WHAT"), "{error}");
    Ok(())
}

/// Why a call of this client to the product service fails.
async fn failure(mesh: &Mesh) -> Status {
    let mut products = products_of(mesh).await;
    products.create_product(hammer()).await.expect_err("it is refused")
}

/// Fails unless nothing came of a refused call.
async fn nothing_was_done(system: &System) -> anyhow::Result<()> {
    let page = system.products().list_products(ListProductsRequest { page_size: 9, ..Default::default() }).await?;
    anyhow::ensure!(page.get_ref().products.is_empty(), "{page:?}");
    Ok(())
}

fn is_denied(status: &Status, reason: &str) -> bool {
    status.code() == Code::PermissionDenied && Refusal::reason(status).as_deref() == Some(reason)
}
