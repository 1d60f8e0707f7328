//! Why the catalogue did not apply a form, as far as a form can answer to it.

use mesh::Refusal;
use tonic::{Code, Status};

use crate::error::{Backend, Failure, sentence};

/// What became of a form instead of success.
#[derive(Debug, Clone)]
pub(crate) enum Refused {
    /// Fields that are empty, too long or malformed: (field, why).
    Fields(Vec<(String, String)>),
    /// Another product has the SKU; its id, when the catalogue said it.
    SkuTaken(Option<i64>),
    /// Someone else changed the product first.
    Stale,
    /// Someone deleted the product first.
    Deleted,
    /// The product is not deleted, so that it cannot come back.
    NotDeleted,
    /// The form was applied before, with other values in it.
    Reused,
    /// Nothing that the form itself could mend.
    Failed(Failure),
}

impl Refused {
    /// For what has no form: a refusal that only a defect can cause is a failure too.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Refused::Failed(failure) => failure,
            Refused::Fields(fields) => {
                let words: Vec<String> =
                    fields.into_iter().map(|(field, why)| sentence(&format!("{field} {why}"))).collect();
                Failure::BadRequest(words.join(" "))
            }
            refused => Failure::Internal(format!("the product catalogue refused unexpectedly: {refused:?}")),
        }
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Refused {
        let reason = Refusal::reason(&status).unwrap_or_default();
        match (status.code(), reason.as_str()) {
            (Code::AlreadyExists, "PRODUCT_NOT_DELETED") => Refused::NotDeleted,
            (Code::AlreadyExists, _) => {
                let holder = Refusal::metadata_of(&status, "product_id");
                Refused::SkuTaken(holder.and_then(|id| id.parse().ok()))
            }
            (Code::Aborted, _) => Refused::Stale,
            (Code::FailedPrecondition, "PRODUCT_DELETED") => Refused::Deleted,
            (Code::InvalidArgument, "REQUEST_ID_REUSED") => Refused::Reused,
            // It names a field too, but none that a form shows.
            (Code::InvalidArgument, "INVALID_PAGE_TOKEN") => Refused::Failed(Failure::of(Backend::Catalogue, &status)),
            (Code::InvalidArgument, _) => {
                let fields = Refusal::fields(&status);
                if fields.is_empty() {
                    Refused::Failed(Failure::of(Backend::Catalogue, &status))
                } else {
                    Refused::Fields(fields)
                }
            }
            _ => Refused::Failed(Failure::of(Backend::Catalogue, &status)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code, reason: &str) -> Refusal {
        Refusal::new(code, "products.rundoo", reason, "for programs")
    }

    #[test]
    fn a_taken_sku_names_the_product_that_has_it() {
        let status = refused(Code::AlreadyExists, "ERROR_REASON_SKU_TAKEN").metadata("product_id", "12");
        assert!(matches!(Refused::from(status.into_status()), Refused::SkuTaken(Some(12))));

        let status = refused(Code::AlreadyExists, "ERROR_REASON_SKU_TAKEN").metadata("product_id", "<b>");
        assert!(matches!(Refused::from(status.into_status()), Refused::SkuTaken(None)));
    }

    #[test]
    fn refused_fields_come_with_their_reasons() {
        let status = refused(Code::InvalidArgument, "ERROR_REASON_INVALID_FIELD").field("name", "must not be empty");
        let Refused::Fields(fields) = Refused::from(status.into_status()) else { panic!("not refused for its fields") };
        assert_eq!(fields, [("name".to_owned(), "must not be empty".to_owned())]);
    }

    #[test]
    fn a_bad_page_token_is_a_bad_link_and_not_a_bad_field() {
        let status =
            refused(Code::InvalidArgument, "INVALID_PAGE_TOKEN").field("page_token", "is not one").into_status();
        assert!(matches!(Refused::from(status), Refused::Failed(Failure::StaleLink)));
    }

    #[test]
    fn what_a_form_cannot_mend_is_a_failure() {
        assert!(matches!(Refused::from(Status::unavailable("gone")), Refused::Failed(Failure::Unanswered { .. })));
        assert!(matches!(Refused::from(Status::internal("bug")), Refused::Failed(Failure::Internal(_))));
    }
}
