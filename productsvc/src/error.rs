//! Why the catalogue refuses a call, and the status that says so.

use mesh::Refusal;
use proto::products::{DOMAIN, ErrorReason};
use tonic::{Code, Status};

use crate::import::State;
use crate::lake::Month;

/// A field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, by its name in the request.
    pub field: String,
    /// What is wrong, to be read after the field's name.
    pub problem: String,
}

impl Fault {
    /// Says that `field` is at fault.
    pub fn new(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self { field: field.into(), problem: problem.to_string() }
    }
}

/// What happened to the caller.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Fields are empty, too long or malformed.
    #[error("{}", sentence(.0))]
    Invalid(Vec<Fault>),
    /// The page token is foreign.
    #[error("the page token is not one of this request")]
    InvalidPageToken,
    /// The request id came with another request before.
    #[error("the request id belongs to another request")]
    RequestIdReused,
    /// There never was such a product, or it is deleted already.
    #[error("there is no product {id}")]
    ProductNotFound {
        /// The id that was asked for.
        id: i64,
    },
    /// No product that is not deleted has such a SKU.
    #[error("no product has the SKU {sku:?}")]
    SkuNotFound {
        /// The SKU that was asked for.
        sku: String,
    },
    /// The product is deleted and cannot be changed.
    #[error("product {id} is deleted")]
    ProductDeleted {
        /// Its id.
        id: i64,
    },
    /// Another product has the SKU.
    #[error("another product has this SKU")]
    SkuTaken {
        /// The other product.
        product_id: i64,
    },
    /// An earlier request of the same batch has the SKU.
    #[error("an earlier request of the batch has this SKU")]
    SkuTwice,
    /// The product is not deleted.
    #[error("product {id} is not deleted")]
    ProductNotDeleted {
        /// Its id.
        id: i64,
    },
    /// The product never had such a version, or it is gone with it.
    #[error("product {id} has no version {version}")]
    VersionNotFound {
        /// The product's id.
        id: i64,
        /// The version that was asked for.
        version: i64,
    },
    /// There is no product in the category or below it.
    #[error("there is no product in {path} or below it")]
    CategoryNotFound {
        /// Its path.
        path: String,
    },
    /// The changes from there on are not kept any more.
    #[error("changes are kept from sequence {first} on")]
    ChangesForgotten {
        /// The first that is kept.
        first: i64,
    },
    /// One request of a batch is refused, and with it all of them.
    #[error("requests[{index}]: {cause}")]
    At {
        /// Which one, from 0.
        index: usize,
        /// Why.
        cause: Box<Error>,
    },
    /// Someone else changed the product first.
    #[error("someone else changed the product first: it is at version {version} now")]
    StaleVersion {
        /// The present version.
        version: i64,
    },
    /// An import does not begin with its options, or has them twice.
    #[error("an import begins with its options, once")]
    OptionsExpected,
    /// The catalogue has held products before.
    #[error("the catalogue has held products before")]
    CatalogueNotNew,
    /// There is no such import.
    #[error("there is no import {id}")]
    ImportNotFound {
        /// The id that was asked for.
        id: i64,
    },
    /// No import began with this request.
    #[error("no import has this request id")]
    ImportOfRequestNotFound,
    /// The import is not in a state for what is asked.
    #[error("import {id} is {}", state.as_str())]
    ImportState {
        /// Its id.
        id: i64,
        /// How far it is.
        state: State,
    },
    /// The import did something so long ago that nobody knows what.
    #[error("what import {id} did is known no more: changes are kept for 30 days")]
    ImportForgotten {
        /// Its id.
        id: i64,
    },
    /// The same import is running elsewhere.
    #[error("the same import is running elsewhere")]
    ImportRunning,
    /// This instance has no lake.
    #[error("this product service has no data lake")]
    NoLake,
    /// Another run has the month.
    #[error("another run archives {month}")]
    ArchiveRunning {
        /// Which month.
        month: Month,
    },
    /// The lake cannot be reached, or lacks what was written.
    #[error("the data lake cannot be reached")]
    LakeAway {
        /// Why, which is for the log.
        cause: String,
    },
    /// What is in the lake is not what was written.
    #[error("the data lake is damaged: {what}")]
    LakeDamaged {
        /// What is wrong.
        what: String,
    },
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    DatabaseBusy,
    /// The database cannot be reached.
    #[error("the database cannot be reached")]
    DatabaseAway,
    /// Nothing can be written until there is room.
    #[error("the disk of the database is full")]
    DiskFull,
    /// The process stops; the call can go on elsewhere.
    #[error("the product service is stopping")]
    Stopping,
    /// Something is wrong here, which is none of the caller's business.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// One field is at fault.
    pub fn invalid(field: &str, problem: impl std::fmt::Display) -> Self {
        Self::Invalid(vec![Fault::new(field, problem)])
    }
}

impl Error {
    /// What is wrong with the only request there is.
    pub fn alone(self) -> Self {
        match self {
            Self::At { cause, .. } => *cause,
            other => other,
        }
    }
}

impl From<Vec<Fault>> for Error {
    fn from(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults)
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let (error, index) = match error {
            Error::At { index, cause } => (*cause, Some(index)),
            error => (error, None),
        };
        let place = index.map(|index| format!("requests[{index}].")).unwrap_or_default();
        let refuse = |code, reason: ErrorReason| Refusal::new(code, DOMAIN, reason.as_str_name(), message.clone());
        let refusal = match &error {
            Error::Invalid(faults) => {
                faults.iter().fold(refuse(Code::InvalidArgument, ErrorReason::InvalidField), |refusal, fault| {
                    refusal.field(format!("{place}{}", fault.field), &fault.problem)
                })
            }
            Error::InvalidPageToken => refuse(Code::InvalidArgument, ErrorReason::InvalidPageToken)
                .field("page_token", "is not a page token of this request"),
            Error::RequestIdReused => refuse(Code::InvalidArgument, ErrorReason::RequestIdReused)
                .field("request_id", "belongs to another request"),
            Error::ProductNotFound { .. } | Error::SkuNotFound { .. } => {
                refuse(Code::NotFound, ErrorReason::ProductNotFound)
            }
            Error::ProductDeleted { .. } => refuse(Code::FailedPrecondition, ErrorReason::ProductDeleted),
            Error::SkuTaken { product_id } => refuse(Code::AlreadyExists, ErrorReason::SkuTaken)
                .field(format!("{place}sku"), "another product has this SKU")
                .metadata("product_id", product_id.to_string()),
            Error::SkuTwice => refuse(Code::InvalidArgument, ErrorReason::DuplicateSku)
                .field(format!("{place}sku"), "stands in an earlier request"),
            Error::ProductNotDeleted { .. } => refuse(Code::AlreadyExists, ErrorReason::ProductNotDeleted),
            Error::CategoryNotFound { .. } => refuse(Code::NotFound, ErrorReason::CategoryNotFound),
            Error::VersionNotFound { .. } => refuse(Code::NotFound, ErrorReason::VersionNotFound),
            Error::ChangesForgotten { first } => {
                refuse(Code::OutOfRange, ErrorReason::ChangesForgotten).metadata("first_sequence", first.to_string())
            }
            // Batches are not in each other.
            Error::At { cause, .. } => return Status::from((**cause).clone()),
            Error::StaleVersion { version } => {
                refuse(Code::Aborted, ErrorReason::StaleVersion).metadata("version", version.to_string())
            }
            Error::OptionsExpected => refuse(Code::InvalidArgument, ErrorReason::OptionsExpected),
            Error::CatalogueNotNew => refuse(Code::FailedPrecondition, ErrorReason::CatalogueNotNew),
            Error::ImportNotFound { .. }
            | Error::ImportOfRequestNotFound
            | Error::ImportState { .. }
            | Error::ImportForgotten { .. }
            | Error::ImportRunning => of_import(&error),
            Error::NoLake | Error::ArchiveRunning { .. } | Error::LakeAway { .. } | Error::LakeDamaged { .. } => {
                of_lake(&error)
            }
            Error::DatabaseBusy => refuse(Code::DeadlineExceeded, ErrorReason::DatabaseBusy),
            Error::DatabaseAway => refuse(Code::Unavailable, ErrorReason::DatabaseAway),
            Error::DiskFull => {
                tracing::error!("could not write: {error}");
                refuse(Code::ResourceExhausted, ErrorReason::DiskFull)
            }
            Error::Stopping => refuse(Code::Unavailable, ErrorReason::Stopping),
            Error::Internal(cause) => return Refusal::internal(DOMAIN, cause),
        };
        match index {
            Some(index) => refusal.metadata("index", index.to_string()).into_status(),
            None => refusal.into_status(),
        }
    }
}

/// What an import has to do with.
fn of_import(error: &Error) -> Refusal {
    let refuse = |code, reason: ErrorReason| Refusal::new(code, DOMAIN, reason.as_str_name(), error.to_string());
    match error {
        Error::ImportState { state, .. } => {
            refuse(Code::FailedPrecondition, ErrorReason::ImportState).metadata("state", state.as_str())
        }
        Error::ImportForgotten { .. } => refuse(Code::FailedPrecondition, ErrorReason::ChangesForgotten),
        Error::ImportRunning => refuse(Code::Aborted, ErrorReason::ImportRunning),
        _ => refuse(Code::NotFound, ErrorReason::ImportNotFound),
    }
}

/// What the data lake has to do with.
fn of_lake(error: &Error) -> Refusal {
    let refuse = |code, reason: ErrorReason| Refusal::new(code, DOMAIN, reason.as_str_name(), error.to_string());
    match error {
        Error::LakeAway { cause } => {
            tracing::warn!("could not reach the data lake: {cause}");
            refuse(Code::Unavailable, ErrorReason::LakeAway)
        }
        Error::LakeDamaged { .. } => {
            tracing::error!("{error}");
            refuse(Code::DataLoss, ErrorReason::LakeDamaged)
        }
        Error::ArchiveRunning { month } => {
            refuse(Code::Aborted, ErrorReason::ArchiveRunning).metadata("month", month.to_string())
        }
        _ => refuse(Code::FailedPrecondition, ErrorReason::NoLake),
    }
}

/// Whether a status was refused for this reason, for who is the other side.
pub fn has_reason(status: &Status, expected: ErrorReason) -> bool {
    let reason = Refusal::reason(status);
    reason.is_some() && reason.as_deref() == expected.as_str_name().strip_prefix("ERROR_REASON_")
}

/// The faults as a person would say them.
fn sentence(faults: &[Fault]) -> String {
    let parts: Vec<String> = faults.iter().map(|fault| format!("{} {}", fault.field, fault.problem)).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_named_in_the_status() {
        let status =
            Status::from(Error::Invalid(vec![Fault::new("name", "must not be empty"), Fault::new("sku", "is odd")]));

        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(Refusal::reason(&status).as_deref(), Some("INVALID_FIELD"));
        assert_eq!(Refusal::fields(&status).len(), 2);
    }

    #[test]
    fn a_taken_sku_names_the_product_that_has_it() {
        let status = Status::from(Error::SkuTaken { product_id: 12 });

        assert_eq!(Refusal::metadata_of(&status, "product_id").as_deref(), Some("12"));
        assert_eq!(Refusal::fields(&status)[0].0, "sku");
    }

    #[test]
    fn the_inside_stays_inside() {
        let status = Status::from(Error::Internal("password=hunter2".to_owned()));

        assert_eq!(status.message(), "internal error");
    }
}
