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
use serde::Deserialize;

use crate::{
    backends::Backends,
    error::Failure,
    form::{Posted, ProductForm},
    frame::{Frame, Nav, Notice},
    pages,
    visit::Visit,
};

#[derive(Deserialize)]
pub(crate) struct Asked {
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "add.html")]
struct Add {
    frame: Frame,
    form: ProductForm,
}

pub(crate) async fn show(visit: Visit, asked: Result<Query<Asked>, QueryRejection>) -> Result<Response, Failure> {
    Ok(page(&visit, ProductForm::blank(), asked?.notice))
}

pub(crate) async fn save(
    State(backends): State<Backends>,
    visit: Visit,
    form: Result<Form<Posted>, FormRejection>,
) -> Result<Response, Failure> {
    let posted = Posted::read(form)?;
    match backends.create(&posted).await {
        Ok(_) if posted.then == "another" => Ok(pages::see_other("/products/new?notice=added")),
        Ok(product) => Ok(pages::see_other(&format!("{}?notice=added", product.link()))),
        Err(refused) => Ok(page(&visit, ProductForm::refused(posted, refused)?, None)),
    }
}

/// The page with a form, which may hold what was typed before.
pub(crate) fn page(visit: &Visit, form: ProductForm, notice: Option<Notice>) -> Response {
    let title = if form.problem.is_some() { "Error: Add product" } else { "Add product" };
    let frame = Frame::new(visit, Nav::Add, title).with_notice(notice);
    pages::page(form.status(), &Add { frame, form })
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

        let html = Add { frame, form }.render().unwrap();

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

        let html = Add { frame, form }.render().unwrap();

        assert!(html.contains("Another product has this SKU. <a href=\"/products/12\">See product 12</a>"));
    }
}
