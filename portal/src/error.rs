//! Why a page cannot be shown, in terms of what happened to the visitor.
//!
//! A handler returns a [`Failure`]; the outermost layer (`visit.rs`) makes a page
//! of it, being the one who knows the request id. The words stand here.

use std::fmt;

use axum::{
    extract::rejection::{FormRejection, QueryRejection},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use mesh::Refusal;
use tonic::{Code, Status};

use crate::door::Denial;

/// Who is asked behind a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    /// productsvc.
    Catalogue,
    /// The registry.
    Registry,
    /// logsvc.
    Logs,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Backend::Catalogue => "product catalogue",
            Backend::Registry => "registry",
            Backend::Logs => "log service",
        })
    }
}

/// Why a backend gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Silence {
    /// Nobody is there.
    Away,
    /// It took too long.
    Slow,
    /// It has more to do than it can.
    Busy,
    /// It cannot reach its database.
    NoDatabase,
    /// It has no room to write to.
    DiskFull,
    /// It cannot reach the data lake, where old versions are.
    NoLake,
}

impl Silence {
    /// What it means for who waited.
    fn text(self, backend: Backend) -> String {
        match self {
            Silence::Away => {
                format!("The {backend} may be starting again; that takes a few seconds. Nothing is lost.")
            }
            Silence::Slow => {
                format!("The {backend} is there, but took too long to answer. Nothing is lost.")
            }
            Silence::Busy => {
                format!("The {backend} has more to do than it can at this moment. Nothing is lost.")
            }
            Silence::NoDatabase => {
                format!("The {backend} runs, but cannot reach its database. Nothing is lost.")
            }
            Silence::DiskFull => {
                format!("The {backend} can save nothing until someone makes room. What was saved before is safe.")
            }
            Silence::NoLake => {
                "Versions of earlier months are kept in a data lake, which this product service cannot read right now. \
                 Nothing is lost, and all else works."
                    .into()
            }
        }
    }
}

/// Why a page cannot be shown.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    #[error("the {backend} gave no answer: {cause}")]
    Unanswered { backend: Backend, silence: Silence, cause: String },
    #[error("no such page")]
    NoSuchPage,
    #[error("no such product")]
    NoSuchProduct,
    #[error("no such version")]
    NoSuchVersion,
    #[error("no such category")]
    NoSuchCategory,
    #[error("no such instance")]
    NoSuchInstance,
    #[error("no such service")]
    NoSuchService,
    #[error("no such import")]
    NoSuchImport,
    #[error("the method is not allowed here")]
    MethodNotAllowed,
    #[error("a request that makes no sense: {0}")]
    BadRequest(String),
    #[error("a page token that is not valid")]
    StaleLink,
    #[error("a body that is not a form")]
    NotAForm,
    #[error("a body that is not a form with a file")]
    NoParcel,
    #[error("a body that is compressed")]
    Encoded,
    #[error("a body over the limit")]
    TooLarge,
    #[error("a body that took too long")]
    TooSlow,
    #[error("a form of another site")]
    Foreign,
    #[error("a name that is not this machine's")]
    ForeignName,
    #[error("{0}")]
    Denied(Denial),
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// Reads what a backend answered instead of what was asked for.
    pub(crate) fn of(backend: Backend, status: &Status) -> Failure {
        let reason = Refusal::reason(status).unwrap_or_default();
        let silence = match (status.code(), reason.as_str()) {
            (_, "DATABASE_AWAY") => Silence::NoDatabase,
            (_, "DISK_FULL") => Silence::DiskFull,
            (_, "LAKE_AWAY" | "LAKE_DAMAGED" | "NO_LAKE") => Silence::NoLake,
            (_, "DATABASE_BUSY") | (Code::ResourceExhausted, _) => Silence::Busy,
            (Code::DeadlineExceeded, _) => Silence::Slow,
            // No service of ours answers UNKNOWN or CANCELLED; a broken connection does.
            (Code::Unavailable | Code::Unknown | Code::Cancelled, _) => Silence::Away,
            (Code::InvalidArgument, "INVALID_PAGE_TOKEN") => return Failure::StaleLink,
            // All that an address may say of an instance is its name.
            (Code::InvalidArgument, _) if backend == Backend::Registry => return Failure::NoSuchInstance,
            (Code::InvalidArgument, _) => return Failure::BadRequest(sentence(status.message())),
            (Code::NotFound, "VERSION_NOT_FOUND") => return Failure::NoSuchVersion,
            (Code::NotFound, "CATEGORY_NOT_FOUND") => return Failure::NoSuchCategory,
            (Code::NotFound, _) if backend == Backend::Catalogue => return Failure::NoSuchProduct,
            (code, _) => {
                let message = status.message();
                return Failure::Internal(format!("the {backend} answered {code:?}: {message}"));
            }
        };
        Failure::Unanswered { backend, silence, cause: status.message().to_owned() }
    }

    /// An address whose query is none that a page has sent.
    pub(crate) fn malformed_query() -> Failure {
        Failure::BadRequest("A part of the address after the question mark is malformed or stands there twice.".into())
    }

    /// The status of the page that tells of it.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Failure::Unanswered { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::NoSuchPage
            | Failure::NoSuchProduct
            | Failure::NoSuchVersion
            | Failure::NoSuchCategory
            | Failure::NoSuchInstance
            | Failure::NoSuchService
            | Failure::NoSuchImport => StatusCode::NOT_FOUND,
            Failure::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Failure::BadRequest(_) | Failure::StaleLink => StatusCode::BAD_REQUEST,
            Failure::NotAForm | Failure::NoParcel | Failure::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Failure::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Failure::Foreign | Failure::ForeignName => StatusCode::FORBIDDEN,
            Failure::Denied(denial) => denial.status(),
            Failure::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What happened, as a headline.
    pub(crate) fn headline(&self) -> String {
        match self {
            Failure::Unanswered { silence: Silence::DiskFull, backend, .. } => format!("The {backend}'s disk is full"),
            Failure::Unanswered { silence: Silence::NoLake, .. } => "The archive of old versions is not there".into(),
            Failure::Unanswered { backend, .. } => format!("The {backend} is not answering right now"),
            Failure::NoSuchPage => "There is no such page".into(),
            Failure::NoSuchProduct => "There is no such product".into(),
            Failure::NoSuchVersion => "There is no such version".into(),
            Failure::NoSuchCategory => "There is no such category".into(),
            Failure::NoSuchInstance => "There is no such instance".into(),
            Failure::NoSuchService => "There is no such service".into(),
            Failure::NoSuchImport => "There is no such import".into(),
            Failure::MethodNotAllowed => "This page cannot do that".into(),
            Failure::BadRequest(_) => "The portal does not understand this request".into(),
            Failure::StaleLink => "This link into the list is not valid any more".into(),
            Failure::NotAForm | Failure::NoParcel | Failure::Encoded => "The portal takes forms only".into(),
            Failure::TooLarge => "That is more than a form may hold".into(),
            Failure::TooSlow => "The form took too long to arrive".into(),
            Failure::Foreign => "This form was sent by another site".into(),
            Failure::ForeignName => "This is not the portal's name".into(),
            Failure::Denied(denial) => denial.headline().into(),
            Failure::Internal(_) => "Something went wrong on our side".into(),
        }
    }

    /// What it means and what to do about it.
    pub(crate) fn text(&self) -> String {
        match self {
            Failure::Unanswered { silence, backend, .. } => silence.text(*backend),
            Failure::NoSuchPage => "The address may be mistyped, or the page has moved.".into(),
            Failure::NoSuchProduct => "It never was, or the address is mistyped. Search for it by name or SKU.".into(),
            Failure::NoSuchVersion => {
                "The product exists, but never was at this version. Its history has all of them.".into()
            }
            Failure::NoSuchCategory => {
                "No product is in it or below it: a category is there while a product is. It may have been renamed."
                    .into()
            }
            Failure::NoSuchInstance => {
                "The registry does not remember it: it forgets old history, and all of it when it starts again.".into()
            }
            Failure::NoSuchService => {
                "The registry remembers no instance of that name. Services shows those that it knows.".into()
            }
            Failure::MethodNotAllowed => {
                "It was asked in a way that it does not answer to. Start again from Home.".into()
            }
            Failure::BadRequest(why) => why.clone(),
            Failure::StaleLink => {
                "Lists change, and some begin anew when a service does. Go back to the first page.".into()
            }
            Failure::NoSuchImport => "It never was, or the address is mistyped. The list of imports has all.".into(),
            Failure::NoParcel | Failure::NotAForm | Failure::Encoded => self.how_to_send().to_owned(),
            Failure::TooLarge => {
                "A form of the portal holds 64 KiB at most. Go back and shorten what you typed.".into()
            }
            Failure::TooSlow => {
                "The connection was too slow to send it in time. Nothing was changed; please try again.".into()
            }
            Failure::Foreign => {
                "For your safety, nothing was changed. If you meant to do this, do it from the portal itself.".into()
            }
            Failure::ForeignName => {
                "The portal serves this machine only. Call it by its own address, as localhost or 127.0.0.1.".into()
            }
            Failure::Denied(denial) => denial.text(),
            Failure::Internal(_) => "It is in the log, under the request id below. Trying again may help.".into(),
        }
    }

    /// How a body is to be sent that was not understood.
    fn how_to_send(&self) -> &'static str {
        match self {
            Failure::NoParcel => "Send the file as multipart/form-data, as the form under Import does.",
            Failure::Encoded => "Send it as it is, without Content-Encoding: nothing is unpacked here.",
            _ => "Send it as application/x-www-form-urlencoded.",
        }
    }

    /// Whether it is a refusal that comes in floods, and is not told one by one.
    pub(crate) fn is_flood(&self) -> bool {
        matches!(self, Failure::Denied(Denial::TooMany { .. } | Denial::Busy | Denial::UnknownToken))
    }

    /// Whether it is a refusal that is made before the door is asked.
    pub(crate) fn is_outside(&self) -> bool {
        matches!(self, Failure::Foreign | Failure::ForeignName | Failure::Encoded)
    }

    /// Whether asking again soon may go better.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Failure::Unanswered { .. })
    }
}

/// Travels as an empty answer to `visit.rs`, which makes the page.
impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        if let Failure::Denied(denial) = &self {
            denial.tell(response.headers_mut());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<QueryRejection> for Failure {
    fn from(_: QueryRejection) -> Failure {
        Failure::malformed_query()
    }
}

impl From<FormRejection> for Failure {
    fn from(rejection: FormRejection) -> Failure {
        match rejection {
            FormRejection::InvalidFormContentType(_) => Failure::NotAForm,
            _ => Failure::BadRequest("A field of the form is malformed or stands there twice.".into()),
        }
    }
}

/// Makes a sentence of a message for programs: `name is empty` becomes `Name is empty.`
pub(crate) fn sentence(message: &str) -> String {
    let message = message.trim();
    let mut letters = message.chars();
    let Some(first) = letters.next() else {
        return "The request was refused.".into();
    };
    let stop = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{stop}", first.to_uppercase(), letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_of_any_kind_is_a_503_that_passes() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Unknown, Code::Cancelled]
        {
            let failure = Failure::of(Backend::Catalogue, &Status::new(code, "tcp connect error"));
            assert_eq!(failure.status(), StatusCode::SERVICE_UNAVAILABLE, "{code:?}");
            assert!(failure.passes());
            assert!(!failure.headline().contains("tcp"), "{}", failure.headline());
        }
    }

    #[test]
    fn a_lost_database_is_told_apart_from_a_lost_service() {
        let status = Refusal::new(Code::Unavailable, "products.rundoo", "DATABASE_AWAY", "no").into_status();
        let failure = Failure::of(Backend::Catalogue, &status);
        assert!(failure.text().contains("cannot reach its database"));
    }

    #[test]
    fn a_full_disk_is_a_503_that_says_so() {
        let status = Refusal::new(Code::ResourceExhausted, "products.rundoo", "DISK_FULL", "no").into_status();
        let failure = Failure::of(Backend::Catalogue, &status);
        assert_eq!(failure.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(failure.headline(), "The product catalogue's disk is full");
    }

    #[test]
    fn a_defect_behind_is_a_500_without_its_cause() {
        let failure = Failure::of(Backend::Catalogue, &Status::internal("secret"));
        assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!failure.text().contains("secret"));
    }

    #[test]
    fn a_name_that_the_registry_refuses_is_no_instance() {
        let failure = Failure::of(Backend::Registry, &Status::invalid_argument("service must be a-z"));
        assert_eq!(failure.status(), StatusCode::NOT_FOUND);
        assert_eq!(failure.headline(), "There is no such instance");
    }

    #[test]
    fn messages_for_programs_become_sentences() {
        assert_eq!(sentence("page size is negative"), "Page size is negative.");
        assert_eq!(sentence("Done."), "Done.");
        assert_eq!(sentence("über 200"), "Über 200.");
        assert_eq!(sentence(" "), "The request was refused.");
    }
}
