//! Adding a product.

use askama::Template;
use axum::{
    Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use proto::products::CreateProductRequest;
use serde::Deserialize;

use crate::{
    backends::products::CREATE,
    error::{Backend, Failure},
    form::{Posted, ProductForm},
    frame::{Frame, Nav, Notice},
    pages::{self, Site},
    query::link,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    category: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "add.html")]
struct Add {
    frame: Frame,
    form: ProductForm,
    /// Categories that the field offers.
    offered: Vec<String>,
}

pub(crate) async fn show(
    State(site): State<Site>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(asked) = asked?;
    Ok(page(&site, &visit, ProductForm::within(asked.category), asked.notice).await)
}

pub(crate) async fn save(
    State(site): State<Site>,
    visit: Visit,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let posted = Posted::read(form)?;
    match site.backends.create(&posted).await {
        Ok(product) => {
            let to = match posted.then.as_str() {
                "another" => link("/products/new", &[("category", &product.category), ("notice", "added")]),
                _ => link(&product.link(), &[("notice", "added")]),
            };
            Ok(pages::see_changed(&to, &site.changes, &product).await)
        }
        Err(refused) => Ok(page(&site, &visit, ProductForm::refused(posted, refused)?, None).await),
    }
}

/// The page with a form, which may hold what was typed before.
pub(crate) async fn page(site: &Site, visit: &Visit, form: ProductForm, notice: Option<Notice>) -> Response {
    let title = if form.problem.is_some() { "Error: Add product" } else { "Add product" };
    let frame = Frame::new(visit, Nav::Add, title).with_notice(notice);
    let frame = frame.with_command(site.backends.command(Backend::Catalogue, CREATE, &example(&form)));
    let offered = pages::offered(site).await;
    pages::page(form.status(), &Add { frame, form, offered })
}

/// What the form says, to be checked only; of an empty form something that passes.
fn example(form: &ProductForm) -> CreateProductRequest {
    let [name, category, sku] = form.inputs.each_ref().map(|input| input.value.clone());
    let or = |text: String, example: &str| if text.trim().is_empty() { example.to_owned() } else { text };
    CreateProductRequest {
        name: or(name, "Claw hammer 16 oz"),
        category: or(category, "Tools/Hand"),
        sku: or(sku, "EXAMPLE-1"),
        validate_only: true,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refused;

    #[test]
    fn what_was_typed_comes_back_as_text_with_the_reason_beside_it() {
        let posted =
            Posted { name: "\"><script>alert(1)</script>".into(), sku: "'; DROP TABLE".into(), ..Posted::default() };
        let fields = vec![("name".to_owned(), "holds <control> characters".to_owned())];
        let form = ProductForm::refused(posted, Refused::Fields(fields)).unwrap();
        let frame = Frame::new(&Visit::test("test"), Nav::Add, "Add product");

        let html = Add { frame, form, offered: vec!["<b>".into()] }.render().unwrap();

        assert!(!html.contains("<script") && !html.contains("<control>"));
        assert!(html.contains("value=\"&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;\""));
        assert!(html.contains("value=\"&#39;; DROP TABLE\""));
        assert!(html.contains("aria-describedby=\"name-hint name-error\" aria-invalid=\"true\""));
        assert!(html.contains("<a href=\"#name\">Name holds &#60;control&#62; characters.</a>"));
        assert!(html.contains("role=\"alert\" tabindex=\"-1\" autofocus"));
    }

    #[test]
    fn a_taken_sku_links_to_its_holder() {
        let form = ProductForm::refused(Posted::default(), Refused::SkuTaken(Some(12))).unwrap();
        let frame = Frame::new(&Visit::test("test"), Nav::Add, "Add product");

        let html = Add { frame, form, offered: vec!["<b>".into()] }.render().unwrap();

        assert!(html.contains("Another product has this SKU. <a href=\"/products/12\">See product 12</a>"));
    }
}
