//! The form of a product: what was typed, what is wrong with it, how to send it again.
//!
//! What is valid is decided by the product service alone; the form puts its
//! reasons beside the fields.

use axum::{Form, extract::rejection::FormRejection};
use http::StatusCode;
use serde::Deserialize;
use tracing::warn;
use uuid::Uuid;

use crate::{
    error::{Failure, sentence},
    product::Product,
    refusal::Refused,
};

/// What a browser sent; a field that is missing is empty.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Posted {
    pub(crate) name: String,
    pub(crate) category: String,
    pub(crate) sku: String,
    pub(crate) etag: String,
    pub(crate) request_id: String,
    /// What to do next: `another` adds one more.
    pub(crate) then: String,
}

impl Posted {
    /// Takes a form in; one that has no usable request id gets its own.
    pub(crate) fn read(form: Result<Form<Posted>, FormRejection>) -> Result<Posted, Failure> {
        let Form(mut posted) = form?;
        if Uuid::parse_str(&posted.request_id).is_err() {
            posted.request_id = fresh();
        }
        Ok(posted)
    }
}

/// A request id for a form that is sent for the first time.
pub(crate) fn fresh() -> String {
    Uuid::new_v4().to_string()
}

/// One field of the form.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) hint: &'static str,
    pub(crate) value: String,
    /// Why it was refused, as a sentence.
    pub(crate) error: Option<String>,
    /// The product that has this SKU already.
    pub(crate) holder: Option<i64>,
}

impl Input {
    fn new(id: &'static str, label: &'static str, hint: &'static str) -> Input {
        Input { id, label, hint, value: String::new(), error: None, holder: None }
    }
}

/// Why the form is shown again.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: String,
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: impl Into<String>, text: impl Into<String>) -> Problem {
        Problem { status, title: title.into(), text: text.into() }
    }

    /// A service is away. Sending the same form again is safe, for its request id is the same.
    pub(crate) fn unanswered(failure: &Failure) -> Problem {
        // The form is the answer, so that `visit.rs` sees a 503 and not why.
        warn!("could not apply a form: {failure}");
        let text = format!(
            "{} Everything you entered is still here: send it again in a moment. \
             However often you send it, it is applied once.",
            failure.text()
        );
        Problem::new(failure.status(), failure.headline(), text)
    }

    /// A deleted product cannot come back while another one has its SKU.
    pub(crate) fn taken(holder: Option<i64>) -> Problem {
        let whose = holder.map_or_else(|| "Another product".to_owned(), |id| format!("Product {id}"));
        let text = format!("{whose} has its SKU by now. Change that one's SKU first, or leave this one deleted.");
        Problem::new(StatusCode::CONFLICT, "It cannot come back as it was", text)
    }

    /// Someone else was faster.
    pub(crate) fn stale(text: &str) -> Problem {
        Problem::new(StatusCode::CONFLICT, "Someone else changed this product in the meantime", text)
    }
}

/// The form as it is shown.
#[derive(Debug)]
pub(crate) struct ProductForm {
    pub(crate) inputs: [Input; 3],
    pub(crate) etag: String,
    pub(crate) request_id: String,
    pub(crate) problem: Option<Problem>,
}

impl ProductForm {
    /// An empty one.
    pub(crate) fn blank() -> ProductForm {
        ProductForm {
            inputs: [
                Input::new("name", "Name", "What it is called, with its size. Up to 200 characters."),
                Input::new(
                    "category",
                    "Category",
                    "Where it belongs, with / between levels, as in Paint/Interior. Up to 120 characters.",
                ),
                Input::new(
                    "sku",
                    "SKU",
                    "The code that only this product has; upper and lower case are the same. Up to 64 characters.",
                ),
            ],
            etag: String::new(),
            request_id: fresh(),
            problem: None,
        }
    }

    /// An empty one, but for its category.
    pub(crate) fn within(category: String) -> ProductForm {
        ProductForm::blank().filled([String::new(), category, String::new()])
    }

    /// One that changes a product.
    pub(crate) fn of(product: &Product) -> ProductForm {
        let values = [&product.name, &product.category, &product.sku].map(Clone::clone);
        ProductForm { etag: product.etag.clone(), ..ProductForm::blank().filled(values) }
    }

    /// What was typed, ready to be sent as something new.
    pub(crate) fn typed(posted: Posted) -> ProductForm {
        let form = ProductForm { etag: posted.etag, ..ProductForm::blank() };
        form.filled([posted.name, posted.category, posted.sku])
    }

    /// What was typed, with what is wrong. What no form can mend comes back as the failure.
    pub(crate) fn refused(posted: Posted, refused: Refused) -> Result<ProductForm, Failure> {
        let request_id = posted.request_id.clone();
        let form = ProductForm::typed(posted);
        match refused {
            Refused::Fields(fields) => Ok(form.blamed(fields)),
            Refused::SkuTaken(holder) => Ok(form.taken(holder)),
            Refused::Reused => Ok(form.with(Problem::new(
                StatusCode::CONFLICT,
                "This form was sent before, with other values",
                "What was sent first has been applied. To apply what stands here as well, send it once more.",
            ))),
            Refused::Failed(failure) if failure.passes() => {
                let form = form.with(Problem::unanswered(&failure));
                Ok(ProductForm { request_id, ..form })
            }
            Refused::Failed(failure) => Err(failure),
            Refused::Stale | Refused::Deleted | Refused::NotDeleted => {
                Err(Failure::Internal("the product catalogue called a new product stale".into()))
            }
        }
    }

    /// The same with the reason why it is shown again.
    pub(crate) fn with(self, problem: Problem) -> ProductForm {
        ProductForm { problem: Some(problem), ..self }
    }

    /// Whether the reason is with a field.
    pub(crate) fn has_errors(&self) -> bool {
        self.inputs.iter().any(|input| input.error.is_some())
    }

    /// The status of a page that shows it.
    pub(crate) fn status(&self) -> StatusCode {
        self.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status)
    }

    fn filled(mut self, values: [String; 3]) -> ProductForm {
        for (input, value) in self.inputs.iter_mut().zip(values) {
            input.value = value;
        }
        self
    }

    fn blamed(mut self, fields: Vec<(String, String)>) -> ProductForm {
        let mut elsewhere = Vec::new();
        for (field, reason) in fields {
            match self.inputs.iter_mut().find(|input| input.id == field) {
                Some(input) => input.error = Some(complaint(input.label, input.id, &reason)),
                None => elsewhere.push(sentence(&format!("{field}: {reason}"))),
            }
        }
        self.with(there_is_a_problem(elsewhere.join(" ")))
    }

    fn taken(mut self, holder: Option<i64>) -> ProductForm {
        let [_, _, sku] = &mut self.inputs;
        sku.error = Some("Another product has this SKU.".into());
        sku.holder = holder;
        self.with(there_is_a_problem(String::new()))
    }
}

fn there_is_a_problem(text: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", text)
}

/// Makes "Name must not be empty." of ("must not be empty") and of ("name must not be empty").
fn complaint(label: &str, field: &str, reason: &str) -> String {
    let reason = reason.trim();
    let bare = reason.strip_prefix(field).or_else(|| reason.strip_prefix(label)).unwrap_or(reason);
    sentence(&format!("{label} {}", bare.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Backend;

    fn posted() -> Posted {
        Posted {
            name: "Hammer".into(),
            sku: "H-1".into(),
            etag: "v1".into(),
            request_id: "00000000-0000-4000-8000-000000000001".into(),
            ..Posted::default()
        }
    }

    #[test]
    fn a_refused_field_keeps_what_was_typed_and_says_why() {
        let fields = vec![("category".to_owned(), "must not be empty".to_owned())];
        let form = ProductForm::refused(posted(), Refused::Fields(fields)).unwrap();

        assert_eq!(form.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(form.inputs[0].value, "Hammer");
        assert_eq!(form.inputs[0].error, None);
        assert_eq!(form.inputs[1].error.as_deref(), Some("Category must not be empty."));
        assert_eq!(form.etag, "v1");
        assert_ne!(form.request_id, posted().request_id);
    }

    #[test]
    fn a_service_that_is_away_keeps_the_request_id_so_that_again_is_safe() {
        let away = Failure::of(Backend::Catalogue, &tonic::Status::unavailable("no instance"));
        let form = ProductForm::refused(posted(), Refused::Failed(away)).unwrap();

        assert_eq!(form.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(form.request_id, posted().request_id);
        assert_eq!(form.inputs[2].value, "H-1");
    }

    #[test]
    fn a_form_that_was_applied_with_other_values_may_be_sent_as_a_new_one() {
        let form = ProductForm::refused(posted(), Refused::Reused).unwrap();

        assert_eq!(form.status(), StatusCode::CONFLICT);
        assert_ne!(form.request_id, posted().request_id);
    }

    #[test]
    fn a_field_the_form_does_not_show_is_named_at_the_top() {
        let fields = vec![("etag".to_owned(), "must not be empty".to_owned())];
        let form = ProductForm::refused(posted(), Refused::Fields(fields)).unwrap();

        assert_eq!(form.problem.unwrap().text, "Etag: must not be empty.");
    }

    #[test]
    fn a_taken_sku_points_at_its_holder() {
        let form = ProductForm::refused(posted(), Refused::SkuTaken(Some(12))).unwrap();

        assert_eq!(form.inputs[2].holder, Some(12));
        assert!(form.inputs[2].error.is_some());
    }

    #[test]
    fn complaints_name_the_field_once() {
        assert_eq!(complaint("Name", "name", "must not be empty"), "Name must not be empty.");
        assert_eq!(complaint("Name", "name", "name must not be empty"), "Name must not be empty.");
        assert_eq!(complaint("SKU", "sku", "is longer than 64 characters"), "SKU is longer than 64 characters.");
    }
}
