//! Changing a product; and deciding field by field, when someone else was faster.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;
use proto::products::UpdateProductRequest;
use serde::Deserialize;

use crate::{
    backends::{Backends, products::UPDATE},
    error::{Backend, Failure},
    form::{Posted, Problem, ProductForm},
    frame::{Frame, Nav},
    grpcurl::Command,
    pages::{self, Site, add, show as product_page},
    product::Product,
    query::link,
    refusal::Refused,
    time::Moment,
    visit::Visit,
};

#[derive(Template)]
#[template(path = "edit.html")]
struct Edit {
    frame: Frame,
    form: ProductForm,
    id: i64,
    offered: Vec<String>,
}

#[derive(Template)]
#[template(path = "conflict.html")]
struct Conflict {
    frame: Frame,
    form: ProductForm,
    id: i64,
    version: i64,
    updated: Option<Moment>,
    fields: [Both; 3],
}

/// A field that two people filled in.
struct Both {
    id: &'static str,
    label: &'static str,
    mine: String,
    theirs: String,
    /// What both began with, when it is still known and neither kept it.
    base: Option<String>,
    /// Whether only theirs is new, so that theirs is what both want.
    takes_theirs: bool,
}

impl Both {
    fn differ(&self) -> bool {
        self.mine.trim() != self.theirs
    }
}

/// What a browser sent, with what was decided in a conflict: `theirs` takes the other text.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Decided {
    #[serde(flatten)]
    posted: Posted,
    pick_name: String,
    pick_category: String,
    pick_sku: String,
    theirs_name: String,
    theirs_category: String,
    theirs_sku: String,
}

impl Decided {
    fn into_posted(self) -> Posted {
        let pick = |pick: &str, mine, theirs| if pick == "theirs" { theirs } else { mine };
        Posted {
            name: pick(&self.pick_name, self.posted.name, self.theirs_name),
            category: pick(&self.pick_category, self.posted.category, self.theirs_category),
            sku: pick(&self.pick_sku, self.posted.sku, self.theirs_sku),
            ..self.posted
        }
    }
}

pub(crate) async fn show(State(site): State<Site>, visit: Visit, Path(id): Path<String>) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let product = site.backends.get(id).await?;
    if product.deleted.is_some() {
        return Ok(product_page::page(&site.backends, &visit, product));
    }
    Ok(page(&site, &visit, id, ProductForm::of(&product)).await)
}

pub(crate) async fn save(
    State(site): State<Site>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Decided>, FormRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let posted = Posted::read(form.map(|Form(decided)| Form(decided.into_posted())))?;
    match site.backends.update(id, &posted).await {
        Ok(product) => {
            let to = link(&product.link(), &[("notice", "changed")]);
            Ok(pages::see_changed(&to, &site.changes, &product).await)
        }
        Err(Refused::Stale) => conflict(&site, &visit, id, posted).await,
        Err(Refused::Deleted) => Ok(deleted(&site, &visit, posted).await),
        Err(refused) => Ok(page(&site, &visit, id, ProductForm::refused(posted, refused)?).await),
    }
}

/// Someone else was faster: what was typed stays, what is stored stands beside it.
async fn conflict(site: &Site, visit: &Visit, id: i64, posted: Posted) -> Result<Response, Failure> {
    let product = match site.backends.get(id).await {
        Ok(product) if product.deleted.is_some() => return Ok(deleted(site, visit, posted).await),
        Ok(product) => product,
        // The old etag stays, so sending again meets the same conflict, and then the answer.
        Err(failure) => {
            let form = ProductForm::refused(posted, Refused::Failed(failure))?;
            return Ok(page(site, visit, id, form).await);
        }
    };
    let base = base(&site.backends, id, &posted.etag).await;
    let mut form = ProductForm::typed(posted).with(Problem::stale(
        "What you typed is kept, and what is stored now stands beside it. Choose for each field, and save.",
    ));
    form.etag.clone_from(&product.etag);
    let frame = frame(visit, id, true).with_command(command(&site.backends, id, &form));
    let conflict = Conflict {
        fields: both(&form, &product, base.as_ref()),
        frame,
        id,
        version: product.version,
        updated: product.updated,
        form,
    };
    Ok(pages::page(StatusCode::CONFLICT, &conflict))
}

/// The version that a form was made of, while it can be had.
async fn base(backends: &Backends, id: i64, etag: &str) -> Option<Product> {
    let version = etag.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().ok()?;
    let version = backends.version(id, version).await.ok()??;
    version.product.map(Product::from)
}

fn both(form: &ProductForm, present: &Product, base: Option<&Product>) -> [Both; 3] {
    let texts = |product: &Product| [product.name.clone(), product.category.clone(), product.sku.clone()];
    let (theirs, base) = (texts(present), base.map(texts));
    std::array::from_fn(|at| {
        let (input, theirs) = (&form.inputs[at], theirs[at].clone());
        let base = base.as_ref().map(|base| base[at].clone());
        let kept = base.as_deref() == Some(input.value.trim());
        Both {
            id: input.id,
            label: input.label,
            mine: input.value.clone(),
            takes_theirs: kept && base.as_ref() != Some(&theirs),
            base: base.filter(|base| *base != theirs && !kept),
            theirs,
        }
    })
}

/// Someone else deleted it: what was typed can still become a new product.
async fn deleted(site: &Site, visit: &Visit, posted: Posted) -> Response {
    let problem = Problem::new(
        StatusCode::CONFLICT,
        "Someone else deleted this product in the meantime",
        "What you typed is kept. Saving it now adds it as a new product.",
    );
    add::page(site, visit, ProductForm::typed(posted).with(problem), None).await
}

async fn page(site: &Site, visit: &Visit, id: i64, form: ProductForm) -> Response {
    let frame = frame(visit, id, form.problem.is_some()).with_command(command(&site.backends, id, &form));
    let offered = pages::offered(site).await;
    pages::page(form.status(), &Edit { frame, form, id, offered })
}

fn frame(visit: &Visit, id: i64, has_problem: bool) -> Frame {
    let prefix = if has_problem { "Error: " } else { "" };
    Frame::behind(visit, Nav::Home, format!("{prefix}Edit product {id}"))
}

/// What the form says, to be checked only.
fn command(backends: &Backends, id: i64, form: &ProductForm) -> Option<Command> {
    let [name, category, sku] = form.inputs.each_ref().map(|input| input.value.clone());
    let etag = form.etag.clone();
    let request = UpdateProductRequest { id, name, category, sku, etag, validate_only: true, ..Default::default() };
    backends.command(Backend::Catalogue, UPDATE, &request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn product([name, category, sku]: [&str; 3]) -> Product {
        let (name, category, sku) = (name.into(), category.into(), sku.into());
        proto::products::Product { id: 1, name, category, sku, ..Default::default() }.into()
    }

    fn typed([name, category, sku]: [&str; 3]) -> ProductForm {
        let (name, category, sku) = (name.into(), category.into(), sku.into());
        ProductForm::typed(Posted { name, category, sku, ..Posted::default() })
    }

    #[test]
    fn a_field_that_only_they_changed_takes_theirs() {
        let base = product(["Hammer", "Tools", "H-1"]);
        let theirs = product(["Claw hammer", "Tools/Hand", "H-1"]);

        let [name, category, sku] = both(&typed(["Framing hammer", "Tools", "H-1"]), &theirs, Some(&base));

        assert!(name.differ() && !name.takes_theirs);
        assert_eq!(name.base.as_deref(), Some("Hammer"));
        assert!(category.differ() && category.takes_theirs && category.base.is_none());
        assert!(!sku.differ());
    }

    #[test]
    fn what_both_began_with_may_be_forgotten() {
        let [name, ..] = both(&typed(["Mine", "Tools", "H-1"]), &product(["Theirs", "Tools", "H-1"]), None);
        assert!(name.differ() && !name.takes_theirs && name.base.is_none());
    }

    #[test]
    fn a_decision_is_taken_field_by_field() {
        let posted = Posted { name: "Mine".into(), category: "Mine".into(), sku: "M".into(), ..Posted::default() };
        let decided = Decided {
            posted,
            pick_category: "theirs".into(),
            theirs_name: "Theirs".into(),
            theirs_category: "Theirs".into(),
            ..Decided::default()
        };
        let posted = decided.into_posted();
        assert_eq!([posted.name, posted.category, posted.sku], ["Mine", "Theirs", "M"]);
    }
}
