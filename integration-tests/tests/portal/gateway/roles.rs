//! Who may call what over HTTP: tokens, sessions and roles, and whose change it then is.

use http::Method;
use serde_json::json;

use super::super::door::people::{House, command};
use super::{ask, read};

const NEW: &str = r#"{"name":"Saw","category":"Tools","sku":"S-1"}"#;

/// A new token of somebody.
fn token(house: &House, name: &str, scope: &str) -> anyhow::Result<String> {
    let said = command(&house.system, &["token", "add", name, "--scope", scope, "--days", "9"], None)?;
    let token = said.split_whitespace().find(|word| word.starts_with("rundoo_"));
    Ok(format!("Bearer {}", token.unwrap_or_else(|| panic!("no token in {said}"))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_refused_with_a_reason_and_nothing_is_done() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor"), ("vera", "viewer")]).await?;
    let system = &house.system;
    let (reads, writes) = (token(&house, "ed", "products:read")?, token(&house, "ed", "products:write")?);
    let (low, logs) = (token(&house, "vera", "products:write")?, token(&house, "ed", "logs:read")?);
    let (admin, weak) = (token(&house, "root", "admin")?, token(&house, "ed", "admin")?);
    let cases: [(Method, &str, &str, u16, &str); 16] = [
        (Method::GET, "/v1/products", "", 401, "LOGIN_NEEDED"),
        (Method::GET, "/v1/products", "Bearer rundoo_none", 401, "UNKNOWN_TOKEN"),
        (Method::GET, "/v1/products", "Basic eDp5", 401, ""),
        (Method::GET, "/v1/products", &reads, 200, ""),
        (Method::GET, "/v1/products", &logs, 403, "SCOPE_TOO_SMALL"),
        (Method::POST, "/v1/products", &reads, 403, "SCOPE_TOO_SMALL"),
        (Method::POST, "/v1/products", &low, 403, "ROLE_TOO_LOW"),
        (Method::POST, "/v1/products", "", 401, "LOGIN_NEEDED"),
        (Method::GET, "/v1/logs:statistics", &logs, 200, ""),
        (Method::GET, "/v1/logs:statistics", &reads, 403, ""),
        (Method::GET, "/v1/registry/instances", &writes, 403, ""),
        (Method::GET, "/v1/registry/instances", &weak, 403, "ROLE_TOO_LOW"),
        (Method::GET, "/v1/mesh/graph", &weak, 403, "ROLE_TOO_LOW"),
        (Method::GET, "/v1/archives", &weak, 403, "ROLE_TOO_LOW"),
        (Method::GET, "/v1/registry/instances", &admin, 200, ""),
        (Method::GET, "/v1/nowhere", "", 401, "LOGIN_NEEDED"),
    ];
    for (verb, path, bearer, status, reason) in cases {
        let headers: &[(&str, &str)] = if bearer.is_empty() { &[] } else { &[("authorization", bearer)] };
        let body = if verb == Method::POST { NEW } else { "" };
        let page = ask(system, &verb, path, headers, body).await?;
        assert_eq!(page.status.as_u16(), status, "{verb} {path} {bearer}: {}", page.text);
        if status != 200 {
            let problem = read(&page)?;
            assert!(reason.is_empty() || problem["reason"] == json!(reason), "{verb} {path} {bearer}: {problem}");
            assert_eq!(page.headers.contains_key("www-authenticate"), status == 401, "{verb} {path} {bearer}");
        }
    }
    let none = ask(system, &Method::GET, "/v1/products", &[("authorization", &reads)], "").await?;
    assert!(read(&none)?.get("products").is_none(), "{}", none.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_of_the_person_whose_token_made_it() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor")]).await?;
    let bearer = token(&house, "ed", "products:write")?;
    let headers = [("authorization", bearer.as_str()), ("x-rundoo-actor", "root"), ("x-rundoo-caller", "registry/1")];

    let made = ask(&house.system, &Method::POST, "/v1/products", &headers, NEW).await?;
    assert_eq!(made.status, 200, "{}", made.text);
    let versions = ask(&house.system, &Method::GET, "/v1/products/1/versions", &headers, "").await?;
    assert_eq!(read(&versions)?["versions"][0]["actor"], json!("ed"), "{}", versions.text);
    house.record("productsvc", "ed").await;

    // A browser of another site has the cookie of its visitor, and no say.
    let root = house.log_in("root").await?;
    let foreign = [("cookie", root.cookie.as_str()), ("sec-fetch-site", "cross-site")];
    let refused = ask(&house.system, &Method::POST, "/v1/products", &foreign, NEW).await?;
    assert_eq!(refused.status, 403, "{}", refused.text);
    let list = ask(&house.system, &Method::GET, "/", &[("accept", "application/json")], "").await?;
    assert_eq!((list.status.as_u16(), &read(&list)?["reason"]), (401, &json!("LOGIN_NEEDED")), "{}", list.text);
    Ok(())
}
