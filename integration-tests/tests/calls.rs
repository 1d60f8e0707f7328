//! What a call between two services gets for free.

use std::time::Duration;

use harness::system::{Role, System};
use mesh::Refusal;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{GetProductRequest, ListProductsRequest};
use tonic::{Code, Request};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_caller_gets_its_request_id_back_also_with_a_refusal() -> anyhow::Result<()> {
    let system = System::start().await?;
    let channel = harness::health::connect(system.address(Role::Products(0))?).await?;
    let mut request = Request::new(GetProductRequest { id: 77, ..Default::default() });
    request.metadata_mut().insert("x-request-id", "my-own-id".parse()?);

    let refused = ProductServiceClient::new(channel).get_product(request).await.expect_err("there is no product");

    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(refused.metadata().get("x-request-id").map(|id| id.as_bytes()), Some(&b"my-own-id"[..]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_to_a_service_that_hangs_ends_at_its_deadline() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.products().list_products(ListProductsRequest::default()).await?;
    system.process(Role::Products(0))?.freeze().await?;

    let mut request = Request::new(ListProductsRequest::default());
    request.set_timeout(Duration::from_millis(200));
    let late = tokio::time::timeout(Duration::from_secs(10), system.products().list_products(request))
        .await?
        .expect_err("it hangs");

    system.process(Role::Products(0))?.signal(rustix::process::Signal::CONT)?;
    assert_eq!(late.code(), Code::DeadlineExceeded);
    assert_eq!(Refusal::reason(&late).as_deref(), Some("DEADLINE_EXCEEDED"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_instance_a_call_fails_in_words_instead_of_hanging() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.products().list_products(ListProductsRequest::default()).await?;
    system.stop(Role::Products(0)).await?;

    let refused = harness::eventually("it is noticed", async || {
        match system.products().list_products(ListProductsRequest::default()).await {
            Ok(_) => anyhow::bail!("it answers"),
            Err(refused) => Ok(refused),
        }
    })
    .await;

    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(Refusal::reason(&refused).as_deref(), Some("NO_INSTANCE"));
    assert!(
        refused.message().contains("no instance of productsvc is connected: the registry listed none"),
        "{}",
        refused.message()
    );
    Ok(())
}
