//! Changing a product.

use askama::Template;
use axum::{
    Form,
    extract::{Path, State, rejection::FormRejection},
    response::Response,
};
use http::StatusCode;

use crate::{
    backends::Backends,
    error::Failure,
    form::{Posted, Problem, ProductForm},
    frame::{Frame, Nav},
    pages::{self, add, show as product_page},
    product::Product,
    refusal::Refused,
    visit::Visit,
};

#[derive(Template)]
#[template(path = "edit.html")]
struct Edit {
    frame: Frame,
    form: ProductForm,
    id: i64,
    /// What someone else stored meanwhile, field by field.
    present: Option<Present>,
}

struct Present {
    product: Product,
    fields: [PresentField; 3],
}

struct PresentField {
    label: &'static str,
    value: String,
    differs: bool,
}

pub(crate) async fn show(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let product = backends.get(id).await?;
    if product.deleted.is_some() {
        return Ok(product_page::page(&visit, product, None));
    }
    Ok(page(&visit, id, ProductForm::of(&product), None))
}

pub(crate) async fn save(
    State(backends): State<Backends>,
    visit: Visit,
    Path(id): Path<String>,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let id = pages::product_id(&id)?;
    let posted = Posted::read(form)?;
    match backends.update(id, &posted).await {
        Ok(product) => Ok(pages::see_other(&format!("{}?notice=changed", product.link()))),
        Err(Refused::Stale) => conflict(&backends, &visit, id, posted).await,
        Err(Refused::Deleted) => Ok(deleted(&visit, posted)),
        Err(refused) => Ok(page(&visit, id, ProductForm::refused(posted, refused)?, None)),
    }
}

/// Someone else was faster: what was typed stays, what is stored stands beside it.
async fn conflict(backends: &Backends, visit: &Visit, id: i64, posted: Posted) -> Result<Response, Failure> {
    let product = match backends.get(id).await {
        Ok(product) if product.deleted.is_some() => return Ok(deleted(visit, posted)),
        Ok(product) => product,
        // The old etag stays, so sending again meets the same conflict, and then the answer.
        Err(failure) => {
            let form = ProductForm::refused(posted, Refused::Failed(failure))?;
            return Ok(page(visit, id, form, None));
        }
    };
    let mut form = ProductForm::typed(posted).with(Problem::stale(
        "What you typed is kept, and what is stored now stands beside it. \
         Saving again replaces the stored values with yours.",
    ));
    form.etag.clone_from(&product.etag);
    let present = Present::beside(&form, product);
    Ok(page(visit, id, form, Some(present)))
}

/// Someone else deleted it: what was typed can still become a new product.
fn deleted(visit: &Visit, posted: Posted) -> Response {
    let problem = Problem {
        status: StatusCode::CONFLICT,
        title: "Someone else deleted this product in the meantime".into(),
        text: "What you typed is kept. Saving it now adds it as a new product.".into(),
    };
    add::page(visit, ProductForm::typed(posted).with(problem), None)
}

fn page(visit: &Visit, id: i64, form: ProductForm, present: Option<Present>) -> Response {
    let prefix = if form.problem.is_some() { "Error: " } else { "" };
    let frame = Frame::new(visit, Nav::Elsewhere, format!("{prefix}Edit product {id}"));
    pages::page(form.status(), &Edit { frame, form, id, present })
}

impl Present {
    fn beside(form: &ProductForm, product: Product) -> Present {
        let field = |at: usize, value: &str| PresentField {
            label: form.inputs[at].label,
            value: value.to_owned(),
            differs: form.inputs[at].value.trim() != value,
        };
        let fields = [field(0, &product.name), field(1, &product.category), field(2, &product.sku)];
        Present { product, fields }
    }
}
