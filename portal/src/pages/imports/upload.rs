//! A file that somebody sends, on its way into the catalogue: what arrives is passed on at once.
//!
//! An import that breaks off, whoever's fault it is, is not ended: the same file with the
//! same form goes on with it. One whose file turns out to be no table is stopped.

use std::{fmt::Write as _, time::Duration};

use axum::{
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use mesh::Refusal;
use proto::products::{
    CancelImportRequest, ImportOptions, ImportProductsRequest, ImportRow, ImportRows, import_products_request::Part,
};
use tokio::{pin, sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tracing::warn;

use crate::{
    backends::{Backends, endless},
    door::audit::Begun,
    error::{Backend, Failure, sentence},
    form::Problem,
    job::Job,
    kept::Seen,
    number::count,
    pages::{
        self,
        imports::{Form, again},
    },
    parcel::{File, Item, Parcel},
    query::link,
    sheet::{Noticed, Sheet, fault::Fault},
    visit::Visit,
};

/// Rows of one message.
const ROWS_PER_MESSAGE: usize = 500;

/// A message is sent before its texts are much longer than this.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Messages that wait for the catalogue.
const WAITING: usize = 2;

/// Bytes that are read at once, so that what is made of them is little too.
const AT_ONCE: usize = 32 * 1024;

/// What the catalogue takes as the name of a source.
const LONGEST_SOURCE: usize = 200;

/// How long an import may take to begin, once its options were sent.
const BEGINNING: Duration = Duration::from_millis(300);

/// Why a file is not in.
enum Unfinished {
    /// It is no table of products.
    Fault(Fault),
    /// The form has no file.
    NoFile,
    /// It does not come any more.
    Arrival(Failure),
    /// What came is no form of ours.
    Form(Failure),
    /// The catalogue refused it, or is away.
    Refused(Status),
    /// The portal stops.
    Stopping,
}

pub(crate) async fn receive(
    State(backends): State<Backends>,
    State(stop): State<CancellationToken>,
    visit: Visit,
    request: Request,
) -> Result<Response, Failure> {
    let begun = request.extensions().get::<Begun>().cloned().unwrap_or_default();
    let mut parcel = Parcel::open(request, "file")?;
    let mut form = Form::blank();
    // Sending it may take longer than a page waits.
    endless()
        .scope(async {
            let mut file = None;
            let taken = take_in(&backends, (&mut parcel, &mut file), &mut form, (&begun, &stop)).await;
            if !matches!(taken, Err(Unfinished::Stopping)) {
                parcel.let_pass(file).await;
            }
            match taken {
                Ok((job, noticed)) => Ok(arrived(&job, noticed.as_ref())),
                Err(unfinished) => answer(&backends, &visit, form, unfinished).await,
            }
        })
        .await
}

/// Reads the form, and imports its file: the import, and what was noticed of the file.
async fn take_in(
    backends: &Backends,
    (parcel, kept): (&mut Parcel, &mut Option<File>),
    form: &mut Form,
    (begun, stop): (&Begun, &CancellationToken),
) -> Result<(Job, Option<Noticed>), Unfinished> {
    let mut file = loop {
        match parcel.next().await.map_err(Unfinished::Arrival)? {
            Some(Item::Text { name, value }) => form.take(&name, &value).map_err(Unfinished::Form)?,
            Some(Item::File(file)) => break file,
            None => return Err(Unfinished::NoFile),
        }
    };
    begun.page();
    let (sender, messages) = mpsc::channel(WAITING);
    let call = backends.import(messages);
    pin!(call);
    let mut sheet = Sheet::new(form.encoding);
    let fed = tokio::select! {
        fed = feed(parcel, &mut file, (&mut sheet, form), &sender) => fed,
        // It was refused, or had been imported before.
        answer = &mut call => {
            *kept = Some(file);
            return answer.map(|job| (job, None)).map_err(Unfinished::Refused);
        }
        () = stop.cancelled() => Err(Unfinished::Stopping),
    };
    if let Err(unfinished) = fed {
        *kept = Some(file);
        // The call ends here, and before the sender does: an end of the rows would be the end of the import.
        return Err(unfinished);
    }
    drop(sender);
    tokio::select! {
        answer = call => answer.map(|job| (job, sheet.noticed().cloned())).map_err(Unfinished::Refused),
        () = stop.cancelled() => Err(Unfinished::Stopping),
    }
}

/// Passes the rows of a file on as they come.
async fn feed(
    parcel: &mut Parcel,
    file: &mut File,
    (sheet, form): (&mut Sheet, &Form),
    messages: &mpsc::Sender<ImportProductsRequest>,
) -> Result<(), Unfinished> {
    let name = file.name().to_owned();
    let (mut is_begun, mut is_empty) = (false, true);
    let mut message = Vec::new();
    loop {
        let piece = file.piece().await.map_err(Unfinished::Arrival)?;
        let Some(bytes) = &piece else { break };
        is_empty &= bytes.is_empty();
        for bytes in bytes.chunks(AT_ONCE) {
            sheet.push(bytes).map_err(Unfinished::Fault)?;
            begin(&mut is_begun, sheet, (form, &name), messages).await;
            pass(&mut message, sheet.rows(), messages).await;
        }
    }
    if is_empty && name.is_empty() {
        return Err(Unfinished::NoFile);
    }
    sheet.finish().map_err(Unfinished::Fault)?;
    // What stands behind the file would have come too late; and a form that broke off has no end.
    if parcel.next().await.map_err(Unfinished::Arrival)?.is_some() {
        return Err(Unfinished::Form(Failure::BadRequest("The file must stand last in the form.".into())));
    }
    begin(&mut is_begun, sheet, (form, &name), messages).await;
    pass(&mut message, sheet.rows(), messages).await;
    send(std::mem::take(&mut message), messages).await;
    Ok(())
}

/// Sends the options, once the header was read: the name of the source says which columns were left out.
async fn begin(
    is_begun: &mut bool,
    sheet: &Sheet,
    (form, name): (&Form, &str),
    messages: &mpsc::Sender<ImportProductsRequest>,
) {
    let Some(noticed) = sheet.noticed().filter(|_| !*is_begun) else { return };
    *is_begun = true;
    let options = ImportOptions {
        request_id: form.request_id.clone(),
        mode: form.mode.into(),
        only_if_new: false,
        source: source(name, &noticed.ignored),
        dry_run: form.looks,
        allow_damaged: form.allows_damaged,
        resume_cancelled: false,
    };
    pass_on(Part::Options(options), messages).await;
}

/// Sends full messages, and keeps what is left.
async fn pass(message: &mut Vec<ImportRow>, rows: &mut Vec<ImportRow>, messages: &mpsc::Sender<ImportProductsRequest>) {
    let mut bytes: usize = message.iter().map(length).sum();
    for row in rows.drain(..) {
        bytes += length(&row);
        message.push(row);
        if message.len() == ROWS_PER_MESSAGE || bytes >= MESSAGE_BYTES {
            bytes = 0;
            send(std::mem::take(message), messages).await;
        }
    }
}

fn length(row: &ImportRow) -> usize {
    row.name.len() + row.category.len() + row.sku.len()
}

async fn send(rows: Vec<ImportRow>, messages: &mpsc::Sender<ImportProductsRequest>) {
    if !rows.is_empty() {
        pass_on(Part::Rows(ImportRows { rows }), messages).await;
    }
}

async fn pass_on(part: Part, messages: &mpsc::Sender<ImportProductsRequest>) {
    if messages.send(ImportProductsRequest { part: Some(part) }).await.is_err() {
        // Nobody takes messages any more: the answer that says why is about to come.
        std::future::pending::<()>().await;
    }
}

/// How the import is called: its file, and what of it was left out.
fn source(name: &str, ignored: &[String]) -> String {
    let mut source = if name.is_empty() { String::from("a file without a name") } else { name.to_owned() };
    if !ignored.is_empty() {
        let columns: Vec<String> = ignored.iter().map(|title| title.chars().take(30).collect()).collect();
        write!(source, ", without {}", columns.join(", ")).expect("a string takes everything");
    }
    let source: String = source.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    match source.char_indices().nth(LONGEST_SOURCE - 1) {
        Some((end, _)) => format!("{}…", &source[..end]),
        None => source,
    }
}

/// Goes on to the import, which shows what was noticed.
fn arrived(job: &Job, noticed: Option<&Noticed>) -> Response {
    let number = |number: u64| if number == 0 { String::new() } else { number.to_string() };
    let to = match noticed {
        None => job.link(),
        Some(Noticed { encoding, delimiter, ignored, empty }) => {
            let (ignored, empty) = (number(ignored.len() as u64), number(*empty));
            let parts = [
                ("encoding", encoding.key()),
                ("delimiter", delimiter.key()),
                ("ignored", &ignored),
                ("empty", &empty),
            ];
            link(&job.link(), &parts)
        }
    };
    let mut response = pages::see_other(&to);
    if !job.dry_run {
        Seen::Unknown.tell(&mut response);
    }
    response
}

/// Shows the form again, with what became of the file and what to do next.
async fn answer(backends: &Backends, visit: &Visit, form: Form, unfinished: Unfinished) -> Result<Response, Failure> {
    match unfinished {
        Unfinished::NoFile => {
            let problem = Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "There is no file",
                "Choose a file, then send the form.",
            );
            again(backends, visit, Form { problem: Some(problem), ..form.renewed() }).await
        }
        Unfinished::Fault(fault) => {
            let stopped = stop(backends, &form).await;
            let text = format!("{fault} {}", remains(stopped.as_ref()));
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "This file cannot be imported", text);
            again(backends, visit, Form { again: stopped, problem: Some(problem), ..form.renewed() }).await
        }
        Unfinished::Arrival(failure @ (Failure::TooSlow | Failure::BadRequest(_))) => {
            let text = "The file did not arrive whole. Choose it again and send the form: it goes on where it stopped.";
            let problem = Problem::new(failure.status(), failure.headline(), text);
            broken_off(backends, visit, form, problem).await
        }
        Unfinished::Arrival(failure) => Err(failure),
        Unfinished::Form(failure) => {
            stop(backends, &form).await;
            Err(failure)
        }
        Unfinished::Stopping => {
            let text = "The portal stops, and is back in a moment. Then choose the same file again and send the form: \
                        it goes on where it stopped, and nothing is imported twice.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The import broke off", text);
            broken_off(backends, visit, form, problem).await
        }
        Unfinished::Refused(status) => refused(backends, visit, form, &status).await,
    }
}

async fn refused(backends: &Backends, visit: &Visit, form: Form, status: &Status) -> Result<Response, Failure> {
    let reason = Refusal::reason(status).unwrap_or_default();
    let failure = Failure::of(Backend::Catalogue, status);
    match (status.code(), reason.as_str()) {
        // Somebody stopped it while it came.
        (Code::FailedPrecondition, "IMPORT_STATE") => {
            let job = backends.import_of(&form.request_id).await.ok_or(failure)?;
            Ok(pages::see_other(&job.link()))
        }
        (Code::Aborted, _) => {
            let text = "The same import still arrives from before, perhaps over a connection that broke. \
                        Wait a few seconds, choose the file again and send the form: it goes on where it stopped.";
            let problem = Problem::new(StatusCode::CONFLICT, "This import is running already", text);
            broken_off(backends, visit, form, problem).await
        }
        (Code::InvalidArgument, "REQUEST_ID_REUSED") => {
            let text = "It was sent with another file or another choice, and that import is in the list below. \
                        To import this file as well, choose it again and send the form once more.";
            let problem = Problem::new(StatusCode::CONFLICT, "This form was sent before", text);
            again(backends, visit, Form { problem: Some(problem), ..form.renewed() }).await
        }
        (Code::InvalidArgument, _) => {
            let problem =
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", sentence(status.message()));
            again(backends, visit, Form { problem: Some(problem), ..form.renewed() }).await
        }
        _ if failure.passes() => {
            warn!("an import broke off: {failure}");
            let text = format!(
                "{} When it is back, choose the same file again and send the form: it goes on where it stopped, \
                 and nothing is imported twice.",
                failure.text()
            );
            let problem = Problem::new(failure.status(), failure.headline(), text);
            broken_off(backends, visit, form, problem).await
        }
        _ => Err(failure),
    }
}

/// The form that goes on with what broke off, and what is known of that.
async fn broken_off(backends: &Backends, visit: &Visit, form: Form, problem: Problem) -> Result<Response, Failure> {
    let job = backends.import_of(&form.request_id).await;
    again(backends, visit, Form { again: job, problem: Some(problem), ..form }).await
}

/// Stops the import of a file that cannot be read to its end, if it had begun.
async fn stop(backends: &Backends, form: &Form) -> Option<Job> {
    // What is on its way to the catalogue may begin it yet.
    let job = match backends.import_of(&form.request_id).await {
        Some(job) => job,
        None => {
            sleep(BEGINNING).await;
            backends.import_of(&form.request_id).await?
        }
    };
    if let Err(status) = backends.cancel_import(CancelImportRequest { id: job.id }).await {
        warn!("could not stop import {}: {}", job.id, status.message());
    }
    backends.import_of(&form.request_id).await
}

/// What is in of an import that was stopped.
fn remains(job: Option<&Job>) -> String {
    match job {
        Some(job) if !job.dry_run && job.changes() > 0 => {
            format!("The {} before it are in; the import's page takes them back.", count(job.rows, "row"))
        }
        _ => "Nothing was changed.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_by_its_file_and_by_what_was_left_out() {
        assert_eq!(source("a.csv", &[]), "a.csv");
        assert_eq!(source("a.csv", &["Price".into(), "We\u{7}ight".into()]), "a.csv, without Price, We ight");
        assert_eq!(source("", &[]), "a file without a name");
        let long = source(&"ä".repeat(300), &[]);
        assert!(long.chars().count() == LONGEST_SOURCE && long.ends_with('…'));
    }

    #[tokio::test]
    async fn messages_are_as_large_as_the_catalogue_takes_them() {
        let (sender, mut messages) = mpsc::channel(16);
        let row = |name: &str| ImportRow { line: 2, name: name.into(), ..Default::default() };
        let mut rows: Vec<_> = (0..1100).map(|_| row("x")).chain((0..5).map(|_| row(&"x".repeat(60_000)))).collect();
        let mut left = Vec::new();

        pass(&mut left, &mut rows, &sender).await;
        drop(sender);

        let mut sizes = Vec::new();
        while let Some(ImportProductsRequest { part: Some(Part::Rows(rows)) }) = messages.recv().await {
            sizes.push(rows.rows.len());
        }
        assert_eq!((sizes, left.len(), rows.len()), (vec![500, 500, 105], 0, 0));
    }
}
