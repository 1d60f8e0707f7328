//! The pages and where they are.
//!
//! One file per page: its handlers, and the struct that its template shows.

mod add;
pub(crate) mod assets;
mod bulk;
mod categories;
mod delete;
mod docs;
mod edit;
mod events;
mod exports;
pub(crate) mod failure;
mod history;
mod home;
mod imports;
mod instance;
mod logs;
mod metrics;
mod people;
mod ready;
mod rename;
mod sample;
mod search;
mod service;
mod services;
mod show;
mod tail;
mod times;
mod trash;
mod walk;

use std::time::Duration;

use askama::Template;
use axum::{
    Router,
    extract::FromRef,
    middleware::{from_fn, from_fn_with_state},
    response::{Html, IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tower_http::{CompressionLevel, compression::CompressionLayer};

use crate::{
    backends::Backends,
    changes::Changes,
    csrf, door,
    door::Door,
    error::{Backend, Failure},
    gateway::{self, Gateway},
    host,
    host::Names,
    kept::{self, Seen},
    live::Live,
    product::Product,
    traffic::Traffic,
    upload, visit,
};

/// Seconds after which a visitor, or the page by itself, may ask again.
pub(crate) const RETRY_SECONDS: u8 = 5;

/// What pages ask for.
#[derive(Debug, Clone, FromRef)]
pub(crate) struct Site {
    pub(crate) backends: Backends,
    pub(crate) changes: Changes,
    pub(crate) traffic: Traffic,
    pub(crate) gateway: Gateway,
    pub(crate) door: Door,
    /// Ends the pages that go on.
    pub(crate) stop: CancellationToken,
}

/// All pages, behind what every request gets.
pub(crate) fn site(site: Site, names: Names, traces: mesh::Pages) -> Router {
    let (logs, door) = (site.backends.channel(Backend::Logs).clone(), site.door.clone());
    Router::new()
        .merge(of_the_catalogue(&site))
        .route("/products", get(async || Redirect::to("/")).post(add::save))
        .route("/products/new", get(add::show))
        .route("/products/bulk", get(bulk::ask).post(bulk::apply))
        .route("/products/{id}/edit", get(edit::show).post(edit::save))
        .route("/products/{id}/delete", get(delete::show).post(delete::confirm))
        .route("/products/{id}/undelete", post(show::undelete))
        .route("/products/{id}/history/{version}", get(history::ask).post(history::restore))
        .route("/categories/rename", get(rename::ask).post(rename::apply))
        .route("/sample", post(sample::load))
        .route("/times", get(times::show).post(times::choose))
        .route("/export.csv", get(exports::csv))
        .route("/export.json", get(exports::json))
        .merge(of_imports())
        .merge(people::routes())
        .route("/services", get(services::show))
        .route("/services/{service}", get(service::show))
        .route("/services/{service}/{instance}", get(instance::show))
        .route("/logs", get(logs::show))
        .route("/logs/tail", get(tail::show))
        .route("/logs/requests/{id}", get(walk::request))
        .route("/logs/traces/{id}", get(walk::trace))
        .route("/events", get(events::show))
        .merge(files())
        .route("/docs", get(docs::show))
        .route("/docs/problems", get(docs::problems::show))
        .route("/docs/{service}", get(docs::contract::show))
        .route("/openapi.json", get(docs::document))
        .route("/metrics", get(metrics::show))
        .route("/healthz", get("ok"))
        .route("/readyz", get(ready::show))
        // Who reaches it may read it: a door is not what this file is.
        .route("/robots.txt", get("User-agent: *\nAllow: /\n"))
        .route("/style.css", get(assets::style))
        .route("/favicon.svg", get(assets::icon))
        .route("/favicon.ico", get(assets::icon))
        .fallback(async || Failure::NoSuchPage)
        .method_not_allowed_fallback(async || Failure::MethodNotAllowed)
        .layer(from_fn_with_state(door.clone(), door::begin))
        // The first to see an answer stands last.
        .layer(from_fn(upload::read_whole))
        // So does this, which has its own bounds.
        .layer(from_fn_with_state((site.gateway.clone(), site.stop.clone()), gateway::serve))
        // Behind this layer, since a file may be larger than any form.
        .route(
            "/imports",
            get(imports::show).post(imports::upload::receive).fallback(async || Failure::MethodNotAllowed),
        )
        .layer(from_fn_with_state(door.clone(), door::admit))
        .layer(from_fn(upload::refuse_encoded))
        .layer(from_fn(csrf::refuse_foreign))
        .layer(from_fn(move |request, next| host::refuse_foreign(names, request, next)))
        .layer(from_fn(move |request, next| {
            visit::receive((traces.clone(), logs.clone(), door.clone()), request, next)
        }))
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(is_compressed))
        .with_state(site)
}

/// Pages that show nothing but the catalogue, so that browsers may keep them until it changes.
fn of_the_catalogue(site: &Site) -> Router<Site> {
    Router::new()
        .route("/", get(home::show))
        .route("/products/{id}", get(show::show))
        .route("/products/{id}/history", get(history::show))
        .route("/search", get(search::show))
        .route("/categories", get(categories::show))
        .route("/trash", get(trash::show))
        .route_layer(from_fn_with_state(site.changes.clone(), kept::validate))
}

/// Lists as files; each page also answers programs that prefer JSON.
fn files() -> Router<Site> {
    Router::new()
        .route("/products.csv", get(home::show))
        .route("/search.csv", get(search::show))
        .route("/categories.csv", get(categories::show))
        .route("/trash.csv", get(trash::show))
        .route("/products/{id}/history.csv", get(history::show))
        .route("/imports.csv", get(imports::show))
        .route("/services.csv", get(services::show))
        .route("/events.csv", get(events::show))
        .route("/logs.csv", get(logs::show))
}

/// What there is beside the form that takes a file.
fn of_imports() -> Router<Site> {
    Router::new()
        .route("/imports/template.csv", get(imports::template))
        .route("/imports/{id}", get(imports::job::show))
        .route("/imports/{id}/commit", post(imports::steps::commit))
        .route("/imports/{id}/cancel", post(imports::steps::cancel))
        .route("/imports/{id}/undo", post(imports::steps::undo))
        .route("/imports/{id}/refused.csv", get(imports::refused::file))
}

/// Whether an answer is worth compressing: not one that would then wait in a buffer, and no picture.
fn is_compressed(_: StatusCode, _: Version, headers: &HeaderMap, extensions: &Extensions) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    extensions.get::<Live>().is_none()
        && (media_type.starts_with("text/") || media_type.starts_with("application/json"))
}

/// Renders a page.
fn page(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => {
            let mut response = (status, Html(html)).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(u16::from(RETRY_SECONDS)));
            }
            response
        }
        Err(cause) => Failure::Internal(format!("could not render a page: {cause}")).into_response(),
    }
}

/// Sends a browser on after a form was applied, so that reloading does not send it again.
fn see_other(to: &str) -> Response {
    Redirect::to(to).into_response()
}

/// The same after a change of the catalogue: the page that follows shows it.
async fn see_changed(to: &str, changes: &Changes, product: &Product) -> Response {
    let seen = changes.seen(product.id, product.version).await.map_or(Seen::Unknown, Seen::Change);
    let mut response = see_other(to);
    seen.tell(&mut response);
    response
}

/// How long a form waits for what it only offers.
const OFFER_DEADLINE: Duration = Duration::from_millis(500);

/// The categories that a field offers while somebody types; none when they cannot be had at once.
async fn offered(site: &Site) -> Vec<String> {
    if site.changes.mark().is_none() {
        return Vec::new();
    }
    match timeout(OFFER_DEADLINE, site.backends.top_categories(&site.changes)).await {
        Ok(Ok(top)) => top.iter().map(|category| category.path.clone()).collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// Reads a product's id in an address; what is no id is no product.
fn product_id(text: &str) -> Result<i64, Failure> {
    text.parse().ok().filter(|id| *id > 0).ok_or(Failure::NoSuchProduct)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    struct Answer {
        status: u16,
        headers: http::HeaderMap,
        text: String,
    }

    /// Asks the site while no other service is there.
    fn ask(request: Request<Body>) -> Answer {
        let mut answer = None;
        let nobody = mesh::RegistryAddress::plain(vec!["127.0.0.1:1".to_owned()]);
        mesh::client(&nobody, async |mesh| {
            let (changes, traffic, stop) = (Changes::unknown(), Traffic::unseen(), CancellationToken::new());
            let backends = Backends::of(&mesh);
            let (gateway, door) = (Gateway::new(&backends), Door::unlocked());
            let pages = Site { backends, changes, traffic, gateway, door, stop };
            let response = site(pages, Names::Local, mesh::Pages::default()).oneshot(request).await?;
            let (parts, body) = response.into_parts();
            let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
            answer = Some(Answer { status: parts.status.as_u16(), headers: parts.headers, text });
            Ok(std::process::ExitCode::SUCCESS)
        });
        answer.expect("the site answers")
    }

    fn get(path: &str) -> Answer {
        ask(Request::get(path).body(Body::empty()).unwrap())
    }

    fn post(path: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        ask(request.body(body.into()).unwrap())
    }

    #[test]
    fn a_page_without_its_service_says_so_and_tries_again_by_itself() {
        for (path, who) in [
            ("/", "product catalogue"),
            ("/search?q=x", "product catalogue"),
            ("/services", "registry"),
            ("/services/productsvc", "registry"),
            ("/services/productsvc/3f2a", "registry"),
            ("/events", "registry"),
        ] {
            let answer = get(path);
            assert_eq!(answer.status, 503, "{path}");
            assert_eq!(answer.headers[header::RETRY_AFTER], "5");
            assert_eq!(answer.headers[header::REFRESH], "5");
            assert!(answer.text.contains(&format!("<h1>The {who} is not answering right now</h1>")), "{}", answer.text);
        }
    }

    #[test]
    fn metrics_without_the_registry_are_refused_in_plain_text() {
        let answer = get("/metrics");

        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(answer.text, "The registry is not answering right now.\n");
    }

    #[test]
    fn a_form_without_its_service_keeps_everything_and_may_be_sent_again() {
        let id = "0190d3b0-0000-4000-8000-000000000001";
        let answer = post("/products", format!("name=Claw+hammer&category=&sku=CH-1&request_id={id}"));

        assert_eq!(answer.status, 503);
        assert_eq!(answer.headers[header::RETRY_AFTER], "5");
        assert_eq!(answer.headers.get(header::REFRESH), None);
        for kept in ["Claw hammer", "CH-1", id] {
            assert!(answer.text.contains(&format!("value=\"{kept}\"")), "{kept}");
        }

        let answer = post("/products/7/delete", format!("name=Claw+hammer&etag=v3&request_id={id}"));
        assert_eq!(answer.status, 503);
        assert!(answer.text.contains("value=\"v3\"") && answer.text.contains(id));
    }

    #[test]
    fn every_answer_forbids_scripts_and_names_its_request() {
        for (path, status) in [
            ("/healthz", 200),
            ("/products/new", 200),
            ("/search", 200),
            ("/nowhere", 404),
            ("/", 503),
            ("/metrics", 503),
        ] {
            let answer = get(path);
            assert_eq!(answer.status, status, "{path}");
            let policy = answer.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{policy}");
            assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
            let id = answer.headers["x-request-id"].to_str().unwrap();
            assert!(["/healthz", "/metrics"].contains(&path) || answer.text.contains(id), "{path}");
            assert!(!answer.text.contains("<script") && !answer.text.contains("style="), "{path}");
        }
    }

    #[test]
    fn a_request_id_is_taken_when_it_is_sane() {
        let with = |id: &str| {
            let request = Request::get("/healthz").header("x-request-id", id).body(Body::empty()).unwrap();
            ask(request).headers["x-request-id"].to_str().unwrap().to_owned()
        };
        assert_eq!(with("abc-1"), "abc-1");
        assert_ne!(with("a b"), "a b");
    }

    #[test]
    fn what_cannot_be_shown_has_a_page_that_says_why() {
        let cases = [
            (get("/products/x"), 404, "There is no such product"),
            (get("/products/-1/edit"), 404, "There is no such product"),
            (get("/services/%FF"), 404, "There is no such service"),
            (get("/services/productsvc/%FF"), 404, "There is no such instance"),
            (get("/?page=a&page=b"), 400, "does not understand"),
            (ask(Request::delete("/search").body(Body::empty()).unwrap()), 405, "cannot do that"),
            (ask(Request::post("/products").body(Body::from("{}")).unwrap()), 415, "takes forms only"),
            (post("/products", vec![b'x'; 65 * 1024]), 413, "more than a form may hold"),
        ];
        for (answer, status, words) in cases {
            assert_eq!(answer.status, status, "{words}");
            assert!(answer.text.contains(words), "{}", answer.text);
        }
        assert!(ask(Request::delete("/search").body(Body::empty()).unwrap()).headers.contains_key(header::ALLOW));
    }

    #[test]
    fn a_form_of_another_site_is_refused_before_it_is_read() {
        let request = Request::post("/products").header("sec-fetch-site", "cross-site");
        let answer = ask(request.body(Body::from(vec![b'x'; 65 * 1024])).unwrap());

        assert_eq!(answer.status, 403);
        assert!(answer.text.contains("sent by another site"));
    }

    #[test]
    fn an_empty_search_asks_for_a_text() {
        let answer = get("/search?q=+&field=sku");

        assert_eq!(answer.status, 422);
        assert!(answer.text.contains("Type what you are looking for."));
        assert!(answer.text.contains("value=\"sku\" checked"));
    }

    #[test]
    fn a_notice_is_one_of_ours() {
        assert!(get("/products/new?notice=added").text.contains("The product was added."));
        assert!(!get("/products/new?notice=Free+money").text.contains("money"));
    }
}
