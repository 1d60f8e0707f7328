//! The history of a product: what each version changed, and going back to one.

use askama::Template;
use axum::{
    Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use futures_util::future::try_join;
use http::StatusCode;
use proto::products::{ChangeKind, CompareProductVersionsRequest, ListProductVersionsRequest, ProductVersion};
use serde::Deserialize;

use crate::{
    backends::{
        Backends,
        versions::{COMPARE, VERSIONS},
    },
    difference::Difference,
    error::{Backend, Failure},
    form::{Posted, Problem, fresh},
    frame::{Frame, Nav},
    list::{self, Wanted},
    pages::{self, Site},
    product::{Pager, Product},
    query::{link, records_link},
    refusal::Refused,
    time::Moment,
    visit::Visit,
};

/// Versions on one page.
const VERSIONS_PER_PAGE: i32 = 25;

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
}

#[derive(Template)]
#[template(path = "history.html")]
struct History {
    frame: Frame,
    product: Product,
    rows: Vec<Row>,
    pager: Pager,
}

/// One version as a row shows it.
struct Row {
    version: i64,
    since: Option<Moment>,
    kind: &'static str,
    actor: String,
    /// Its request, and where that is in the log.
    request: Option<(String, String)>,
    differences: Vec<Difference>,
    /// Where it can be gone back to; the present version has none.
    restore: Option<String>,
}

#[derive(Template)]
#[template(path = "restore.html")]
struct Restore {
    frame: Frame,
    product: Product,
    version: i64,
    since: Option<Moment>,
    differences: Vec<Difference>,
    request_id: String,
    problem: Option<Problem>,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    wanted: Wanted,
    Path(id): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let Query(Asked { page }) = asked?;
    let is_first = page.is_empty();
    let request = ListProductVersionsRequest { id, page_size: VERSIONS_PER_PAGE, page_token: page };
    let command = backends.command(Backend::Catalogue, VERSIONS, &request);
    let (product, versions) = try_join(backends.get(id), backends.versions(request)).await?;
    let own = format!("{}/history", product.link());
    let own = |token: &str| link(&own, &[("page", token)]);
    if let Some(list) = wanted.answer(list::VERSIONS, &versions, list::next(&versions.next_page_token, own)) {
        return Ok(list);
    }
    // The last row differs from a version of the next page.
    let before = match versions.versions.last().and_then(|last| last.product.as_ref()) {
        Some(last) if last.version > 1 => backends.version(id, last.version - 1).await.unwrap_or_default(),
        _ => None,
    };
    let title = format!("History of product {id}{}", if is_first { "" } else { ", continued" });
    let history = History {
        frame: Frame::behind(&visit, Nav::Home, title).with_command(command),
        rows: rows(&versions.versions, before.as_ref(), &product),
        pager: Pager::new("", &versions.next_page_token, own),
        product,
    };
    Ok(pages::page(StatusCode::OK, &history))
}

pub(crate) async fn ask(
    State(backends): State<Backends>,
    visit: Visit,
    Path((id, version)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let (id, version) = (pages::product_id(&id)?, pages::product_id(&version).map_err(|_| Failure::NoSuchVersion)?);
    question(&backends, &visit, (id, version), None).await
}

pub(crate) async fn restore(
    State(site): State<Site>,
    visit: Visit,
    Path((id, version)): Path<(String, String)>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let (id, version) = (pages::product_id(&id)?, pages::product_id(&version).map_err(|_| Failure::NoSuchVersion)?);
    let posted = Posted::read(form)?;
    let problem = match site.backends.restore(id, version, &posted).await {
        Ok(product) => {
            let to = link(&product.link(), &[("notice", "restored")]);
            return Ok(pages::see_changed(&to, &site.changes, &product).await);
        }
        Err(Refused::Stale | Refused::Reused) => {
            Problem::stale("These are the differences from what is stored now. Go back if you still mean to.")
        }
        Err(Refused::SkuTaken(holder)) => Problem::taken(holder),
        Err(Refused::Deleted) => return Ok(pages::see_other(&format!("/products/{id}"))),
        Err(refused) => return Err(refused.into_failure()),
    };
    question(&site.backends, &visit, (id, version), Some(problem)).await
}

/// Asks whether to go back to a version, showing what that changes.
async fn question(
    backends: &Backends,
    visit: &Visit,
    (id, version): (i64, i64),
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let product = backends.get(id).await?;
    let request = CompareProductVersionsRequest { id, from_version: product.version, to_version: version };
    let command = backends.command(Backend::Catalogue, COMPARE, &request);
    let compared = backends.compare(request).await?;
    let prefix = if problem.is_some() { "Error: " } else { "" };
    let restore = Restore {
        frame: Frame::behind(visit, Nav::Home, format!("{prefix}Version {version} of product {id}"))
            .with_command(command),
        since: compared.to.and_then(|to| to.product).and_then(|product| Moment::read(product.update_time)),
        differences: compared.differences.into_iter().filter_map(Difference::read).collect(),
        product,
        version,
        request_id: fresh(),
        problem,
    };
    let status = restore.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &restore))
}

/// The versions with what each changed; `before` is the one before the last of them.
fn rows(versions: &[ProductVersion], before: Option<&ProductVersion>, product: &Product) -> Vec<Row> {
    let former = versions.iter().skip(1).map(Some).chain([before]);
    versions.iter().zip(former).map(|(version, former)| Row::new(version, former, product)).collect()
}

impl Row {
    fn new(version: &ProductVersion, former: Option<&ProductVersion>, product: &Product) -> Row {
        let record = version.product.clone().unwrap_or_default();
        let former = former.and_then(|former| former.product.as_ref());
        let is_present = record.version == product.version;
        Row {
            version: record.version,
            since: Moment::read(record.update_time),
            kind: kind(version.kind()),
            actor: version.actor.clone(),
            request: (!version.request_id.is_empty())
                .then(|| (version.request_id.clone(), records_link(&version.request_id))),
            differences: former.map(|former| Difference::between(former, &record)).unwrap_or_default(),
            restore: (!is_present && product.deleted.is_none())
                .then(|| format!("{}/history/{}", product.link(), record.version)),
        }
    }
}

fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Unspecified => "Older than the history",
        ChangeKind::Created => "Added",
        ChangeKind::Updated => "Changed",
        ChangeKind::Deleted => "Deleted",
        ChangeKind::Undeleted => "Brought back",
        ChangeKind::Restored => "Gone back",
        ChangeKind::Imported => "Imported",
        ChangeKind::Purged => "Removed for good",
        ChangeKind::Undone => "Import undone",
    }
}

#[cfg(test)]
mod tests {
    use proto::products::Product as Record;

    use super::*;

    fn version(number: i64, name: &str, kind: ChangeKind) -> ProductVersion {
        let product = Record { id: 1, version: number, name: name.into(), sku: "S".into(), ..Record::default() };
        ProductVersion { product: Some(product), kind: kind.into(), ..ProductVersion::default() }
    }

    #[test]
    fn each_version_tells_what_it_changed() {
        let versions = [version(3, "Claw hammer", ChangeKind::Updated), version(2, "Hammer", ChangeKind::Updated)];
        let present = Product::from(versions[0].product.clone().unwrap());

        let rows = rows(&versions, Some(&version(1, "Hamer", ChangeKind::Created)), &present);

        let told: Vec<_> =
            rows.iter().map(|row| (row.differences[0].from.as_str(), row.differences[0].to.as_str())).collect();
        assert_eq!(told, [("Hammer", "Claw hammer"), ("Hamer", "Hammer")]);
        assert_eq!(rows[0].restore, None, "it is so already");
        assert_eq!(rows[1].restore.as_deref(), Some("/products/1/history/2"));
    }

    #[test]
    fn the_first_version_changed_nothing() {
        let versions = [version(1, "Hammer", ChangeKind::Created)];
        let present = Product::from(versions[0].product.clone().unwrap());
        let rows = rows(&versions, None, &present);
        assert!(rows[0].differences.is_empty());
        assert_eq!(rows[0].kind, "Added");
    }
}
