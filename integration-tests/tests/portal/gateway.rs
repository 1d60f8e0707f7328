//! The gateway: JSON for every annotated method, as a client of it sees it.

mod contracts;
mod kinds;
mod roles;
mod streams;
mod tools;

use anyhow::Context as _;
use harness::eventually;
use harness::http::{Page, send};
use harness::specimens::Specimens;
use harness::system::{Options, Role, System};
use http::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Verb, path, headers and body of a request; status and words of its answer.
type Case<'a> = (Method, &'a str, &'a [(&'a str, &'a str)], &'a str, u16, &'a str);

const JSON: (&str, &str) = ("content-type", "application/json");

/// Asks the gateway of a system.
async fn ask(system: &System, verb: &Method, path: &str, headers: &[(&str, &str)], body: &str) -> anyhow::Result<Page> {
    let mut headers = headers.to_vec();
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == JSON.0) {
        headers.push(JSON);
    }
    send(system.portal(), verb.clone(), path, &headers, body.to_owned()).await
}

/// The JSON of an answer.
fn read(page: &Page) -> anyhow::Result<Value> {
    serde_json::from_str(&page.text).with_context(|| format!("{}: {}", page.status, page.text))
}

/// A portal with a specimen, which it was not built with, as soon as it has heard of it.
async fn with_specimen() -> anyhow::Result<Specimens> {
    let mut system = System::prepare(Options::default())?;
    system.launch_together(&[Role::Registry, Role::Portal]).await?;
    let mut specimens = Specimens::beside(system, &[&[]]).await?;
    let system = specimens.system();
    eventually("the gateway offers the specimen", async || {
        let page = ask(system, &Method::GET, "/v1/mirror", &[], "").await?;
        anyhow::ensure!(page.status == 200, "{}", page.text);
        Ok(())
    })
    .await;
    Ok(specimens)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_made_read_changed_and_deleted_as_json() -> anyhow::Result<()> {
    let system = System::start().await?;
    let id = "0190d3b0-0000-4000-8000-000000000001";
    let new = r#"{"name":"Claw hammer","category":"Tools","sku":"CH-1"}"#;

    let made = ask(&system, &Method::POST, "/v1/products", &[("idempotency-key", id)], new).await?;
    let again = ask(&system, &Method::POST, "/v1/products", &[("idempotency-key", &format!("\"{id}\""))], new).await?;
    assert_eq!((made.status.as_u16(), &made.text), (200, &again.text));
    let product = &read(&made)?["product"];
    let (path, tag) = (
        format!("/v1/products/{}", product["id"].as_str().context("an id is a text")?),
        made.headers["etag"].to_str()?.to_owned(),
    );
    assert_eq!(product["etag"], json!(tag));

    let same = ask(&system, &Method::GET, &path, &[("if-none-match", &tag)], "").await?;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));

    let body = r#"{"name":"Claw hammer 16 oz"}"#;
    let changed = ask(&system, &Method::PATCH, &path, &[("if-match", &tag)], body).await?;
    let product = &read(&changed)?["product"];
    assert_eq!((&product["name"], &product["category"]), (&json!("Claw hammer 16 oz"), &json!("Tools")));
    let late = ask(&system, &Method::PATCH, &path, &[("if-match", &tag)], r#"{"name":"Late"}"#).await?;
    let problem = read(&late)?;
    assert_eq!((late.status.as_u16(), &problem["code"]), (412, &json!("ABORTED")), "{problem}");
    assert_eq!((&problem["reason"], &problem["metadata"]["version"]), (&json!("STALE_VERSION"), &json!("2")));
    assert_eq!(late.headers["content-type"], "application/problem+json");

    let deleted = ask(&system, &Method::DELETE, &path, &[("if-match", "*")], "").await?;
    assert!(read(&deleted)?["product"]["deleteTime"].is_string(), "{}", deleted.text);
    assert_eq!(ask(&system, &Method::DELETE, &path, &[], "").await?.status, 404);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_told_as_a_problem() -> anyhow::Result<()> {
    let system = System::start().await?;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let cases: [Case<'_>; 21] = [
        (Method::GET, "/v1/products?nonsense=1&page_size=x", &[], "", 400, r#""field":"nonsense""#),
        (Method::GET, "/v1/products?page_size=1&page_size=2", &[], "", 400, "It is set twice"),
        (Method::GET, "/v1/products?page_token=x", &[], "", 400, "INVALID_PAGE_TOKEN"),
        (Method::GET, "/v1/products?filter=name%20LIKE%20x", &[], "", 400, "filter"),
        (Method::GET, "/v1/products/x", &[], "", 400, "is not a whole number of 64 bits"),
        (Method::GET, "/v1/products/99999", &[], "", 404, "PRODUCT_NOT_FOUND"),
        (Method::GET, "/v1/products/%FF", &[], "", 400, "UTF-8"),
        (Method::PUT, "/v1/products/1", &[], "{}", 405, "METHOD_NOT_ALLOWED"),
        (Method::GET, "/v1/nowhere", &[], "", 404, "NO_SUCH_METHOD"),
        (Method::GET, "/v2/products", &[], "", 404, "NO_SUCH_METHOD"),
        (Method::POST, "/v1/products", &[], r#"{"nme":"x"}"#, 400, r#""field":"nme""#),
        (Method::POST, "/v1/products", &[], r#"{"name":7}"#, 400, r#""field":"name""#),
        (Method::POST, "/v1/products", &[], r#"{"name":"x"} x"#, 400, "trailing characters"),
        (Method::POST, "/v1/products", &[], &deep, 400, "INVALID_REQUEST"),
        (Method::POST, "/v1/products", &[("content-type", "text/plain")], "{}", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (Method::POST, "/v1/products", &[], r#"{"name":"","category":"","sku":""}"#, 400, r#""field":"sku""#),
        (Method::GET, "/v1/products", &[("request-timeout", "forever")], "", 400, "request-timeout"),
        (Method::GET, "/v1/products", &[("idempotency-key", "x")], "", 400, "no use for the header"),
        (Method::DELETE, "/v1/products/1", &[("if-none-match", "*")], "", 400, "header if-none-match"),
        (Method::GET, "/v1/products?filter=%FF", &[], "", 400, r#""field":"filter""#),
        (Method::POST, "/v1/products", &[], r#"{"name":1e400}"#, 400, r#""field":"name""#),
    ];
    for (verb, path, headers, body, status, words) in cases {
        let page = ask(&system, &verb, path, headers, body).await?;
        assert_eq!(page.status.as_u16(), status, "{verb} {path}: {}", page.text);
        assert!(page.text.contains(words), "{verb} {path}: {}", page.text);
        assert_eq!(page.headers["content-type"], "application/problem+json", "{verb} {path}");
        let problem = read(&page)?;
        assert_eq!(problem["status"], json!(status), "{problem}");
        assert_eq!(problem["request_id"].as_str(), page.headers["x-request-id"].to_str().ok());
    }
    let other = ask(&system, &Method::PUT, "/v1/products/1", &[], "{}").await?;
    assert_eq!(other.headers["allow"], "GET, HEAD, PATCH, DELETE");

    // By its length alone: nobody waits for what is refused.
    let mut large = TcpStream::connect(system.portal()).await?;
    let head = "POST /v1/products HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 5000000\r\n\r\n{";
    large.write_all(head.as_bytes()).await?;
    let mut answer = vec![0; 4096];
    let length = large.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("BODY_TOO_LARGE"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_away_is_there_and_says_so() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.kill(Role::Products(0)).await?;
    let page = eventually("the gateway notices", async || {
        let page = ask(&system, &Method::GET, "/v1/products", &[], "").await?;
        anyhow::ensure!(page.status == 503, "{}", page.text);
        Ok(page)
    })
    .await;
    assert_eq!(page.headers["retry-after"], "5");
    assert_eq!(read(&page)?["code"], json!("UNAVAILABLE"));

    let ready = system.get("/readyz").await?;
    assert_eq!(
        (ready.status.as_u16(), ready.text.as_str()),
        (503, "not ready: the product catalogue is not connected\n")
    );
    Ok(())
}
