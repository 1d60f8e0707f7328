//! Requests about imports, parsed.

use mesh::page;
use prost::Message as _;
use proto::products::{
    CommitImportRequest, GetImportJobRequest, ImportMode, ImportOptions, ListImportChangesRequest,
    ListImportConflictsRequest, ListImportJobsRequest, ListImportRefusalsRequest, UndoImportRequest,
};
use uuid::Uuid;

use super::{Parsed, both, fault, place, product_id, request_id, size};
use crate::error::{Error, Fault};
use crate::import::{Manner, Mode};
use crate::store::{Beginning, Previews, RequestKey};

const LONGEST_SOURCE: usize = 200;

/// What an import's options say.
pub(in crate::service) fn options(options: ImportOptions) -> Result<Beginning, Error> {
    let mode = match ImportMode::try_from(options.mode) {
        Ok(ImportMode::Unspecified | ImportMode::Upsert) => Ok(Mode::Upsert),
        Ok(ImportMode::Create) => Ok(Mode::Create),
        Ok(ImportMode::Update) => Ok(Mode::Update),
        Err(_) => fault("options.mode", "is none that we know"),
    };
    let source = match options.source.trim() {
        source if source.chars().any(char::is_control) => fault("options.source", "must not hold control characters"),
        source if source.chars().count() > LONGEST_SOURCE => {
            fault("options.source", format!("must have at most {LONGEST_SOURCE} characters"))
        }
        source => Ok(source.to_owned()),
    };
    let id = request_id(&options.request_id).map_err(|_| vec![Fault::new("options.request_id", "must be a UUID")]);
    let ((mode, source), id) = both(both(mode, source), id)?;
    let ImportOptions { dry_run, only_if_new, allow_damaged, resume_cancelled, .. } = options;
    let rest = ImportOptions { request_id: String::new(), resume_cancelled: false, ..options };
    let key = id.map(|id| RequestKey::new(id, "ImportProducts", &rest.encode_to_vec()));
    Ok(Beginning { key, source, manner: Manner { mode, allow_damaged }, dry_run, only_if_new, resume_cancelled })
}

/// What names an import.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::service) enum WhichImport {
    Id(i64),
    Request(Uuid),
}

pub(in crate::service) fn which_import(request: &GetImportJobRequest) -> Result<WhichImport, Error> {
    let id = request_id(&request.request_id)?;
    Ok(match (request.id, id) {
        (0, Some(id)) => WhichImport::Request(id),
        (_, Some(_)) => return Err(Error::invalid("request_id", "must be empty when there is an id")),
        (id, None) => WhichImport::Id(product_id(id)?),
    })
}

/// Which import is to be applied, and the key for which that is done once.
pub(in crate::service) fn commit(request: &CommitImportRequest) -> Result<(i64, Option<RequestKey>), Error> {
    named("CommitImport", request.id, &request.request_id)
}

/// Which import is to be undone, and the key for which that is done once.
pub(in crate::service) fn undo(request: &UndoImportRequest) -> Result<(i64, Option<RequestKey>), Error> {
    named("UndoImport", request.id, &request.request_id)
}

fn named(method: &str, id: i64, request: &str) -> Result<(i64, Option<RequestKey>), Error> {
    let (id, request) = both(product_id(id), request_id(request))?;
    Ok((id, request.map(|request| RequestKey::new(request, method, &id.to_be_bytes()))))
}

const LIST_JOBS: &str = "ListImportJobs";

/// How many imports at most, and before which one.
pub(in crate::service) fn jobs(request: &ListImportJobsRequest) -> Result<(usize, i64), Error> {
    Ok((size(request.page_size)?, place(&request.page_token, LIST_JOBS, 0)?.unwrap_or(i64::MAX)))
}

/// The token of the imports before one.
pub(in crate::service) fn jobs_token(id: i64) -> String {
    token(LIST_JOBS, 0, id)
}

const LIST_REFUSALS: &str = "ListImportRefusals";

/// Which import, how many rows at most, and behind which line.
pub(in crate::service) fn refusals(request: &ListImportRefusalsRequest) -> Result<(i64, usize, i64), Error> {
    part(LIST_REFUSALS, request.id, request.page_size, &request.page_token)
}

/// The token of the refused rows of an import behind a line.
pub(in crate::service) fn refusals_token(id: i64, line: i64) -> String {
    token(LIST_REFUSALS, id, line)
}

const LIST_CONFLICTS: &str = "ListImportConflicts";

/// Which import, how many products at most, and behind which one.
pub(in crate::service) fn conflicts(request: &ListImportConflictsRequest) -> Result<(i64, usize, i64), Error> {
    part(LIST_CONFLICTS, request.id, request.page_size, &request.page_token)
}

/// The token of what the undoing of an import left alone, behind a product.
pub(in crate::service) fn conflicts_token(id: i64, product_id: i64) -> String {
    token(LIST_CONFLICTS, id, product_id)
}

/// A list that shows more rows is another list.
fn changes_method(show_unchanged: bool) -> &'static str {
    if show_unchanged { "ListImportChanges of all" } else { "ListImportChanges" }
}

/// Which part of what a dry run would change.
pub(in crate::service) fn changes(request: &ListImportChangesRequest) -> Result<Previews, Error> {
    let show_unchanged = request.show_unchanged;
    let method = changes_method(show_unchanged);
    let (id, limit, after) = part(method, request.id, request.page_size, &request.page_token)?;
    Ok(Previews { id, after, limit, show_unchanged })
}

/// The token of what a dry run would change behind a line.
pub(in crate::service) fn changes_token(previews: &Previews, line: i64) -> String {
    token(changes_method(previews.show_unchanged), previews.id, line)
}

fn part(method: &str, id: i64, page_size: i32, page_token: &str) -> Result<(i64, usize, i64), Error> {
    let (id, size): (i64, usize) = both(product_id(id), size(page_size) as Parsed<usize>)?;
    Ok((id, size, place(page_token, method, id)?.unwrap_or(0)))
}

fn token(method: &str, id: i64, place: i64) -> String {
    page::encode(method, &[&id.to_string()], &[&place.to_string()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(error: Error) -> Vec<String> {
        match error {
            Error::Invalid(faults) => faults.into_iter().map(|fault| fault.field).collect(),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn garbage_is_named() {
        let garbage = ImportOptions {
            request_id: "no uuid".to_owned(),
            mode: 99,
            source: "\0".to_owned(),
            ..ImportOptions::default()
        };
        assert_eq!(fields(options(garbage).unwrap_err()), ["options.mode", "options.source", "options.request_id"]);
        let garbage = CommitImportRequest { id: 0, request_id: "no uuid".to_owned() };
        assert_eq!(fields(commit(&garbage).unwrap_err()), ["id", "request_id"]);
        assert_eq!(fields(refusals(&ListImportRefusalsRequest::default()).unwrap_err()), ["id"]);
    }

    #[test]
    fn an_import_is_named_by_one_thing() {
        let which = |id, request_id: &str| which_import(&GetImportJobRequest { id, request_id: request_id.to_owned() });
        let uuid = "7b5d2f0e-6a0b-4b5e-9a55-0d6f6f0f0c11";

        assert_eq!(which(3, "").unwrap(), WhichImport::Id(3));
        assert_eq!(which(0, uuid).unwrap(), WhichImport::Request(uuid.parse().unwrap()));
        assert_eq!(fields(which(3, uuid).unwrap_err()), ["request_id"]);
        assert_eq!(fields(which(0, "").unwrap_err()), ["id"]);
    }

    #[test]
    fn going_on_with_a_cancelled_import_is_the_same_import() {
        let request_id = "7b5d2f0e-6a0b-4b5e-9a55-0d6f6f0f0c11".to_owned();
        let base = ImportOptions { request_id, ..Default::default() };
        let key = |asked: ImportOptions| options(asked).unwrap().key;

        assert_eq!(key(base.clone()), key(ImportOptions { resume_cancelled: true, ..base.clone() }));
        assert_ne!(key(base.clone()), key(ImportOptions { dry_run: true, ..base }));
    }

    #[test]
    fn a_token_belongs_to_its_import_and_its_list() {
        let request = |id, page_token| ListImportRefusalsRequest { id, page_size: 0, page_token };

        assert_eq!(refusals(&request(3, refusals_token(3, 17))).unwrap(), (3, 50, 17));
        assert!(matches!(refusals(&request(4, refusals_token(3, 17))), Err(Error::InvalidPageToken)));
        let of_all = Previews { id: 3, after: 0, limit: 1, show_unchanged: true };
        let asked = ListImportChangesRequest { id: 3, page_token: changes_token(&of_all, 17), ..Default::default() };
        assert!(matches!(changes(&asked), Err(Error::InvalidPageToken)));
        assert_eq!(changes(&ListImportChangesRequest { show_unchanged: true, ..asked }).unwrap().after, 17);
    }
}
