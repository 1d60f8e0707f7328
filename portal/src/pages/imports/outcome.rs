//! What came of an import, or would: counts, the difference, what was refused, what was left alone.

use proto::products::{
    ImportChange, ImportChangeKind, ImportConflict, ImportRefusal, ListImportChangesRequest,
    ListImportConflictsRequest, ListImportRefusalsRequest,
};
use serde::Deserialize;

use crate::{
    backends::{Backends, imports},
    difference::{self, Difference},
    error::{Backend, Failure, sentence},
    form::{Problem, fresh},
    grpcurl::Command,
    job::Job,
    number::{count, grouped},
    query::link,
    sheet::{Delimiter, encoding::Encoding},
};

/// Rows of a table.
const ROWS_PER_PAGE: i32 = 50;

/// What an address says of an import's page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Asked {
    encoding: String,
    delimiter: String,
    ignored: u64,
    empty: u64,
    /// Pages of the tables; empty for the first.
    changes: String,
    refused: String,
    conflicts: String,
}

/// An import that rests.
pub(super) struct Outcome {
    pub(super) job: Job,
    /// What was noticed of its file.
    pub(super) remarks: Vec<String>,
    pub(super) changes: Option<Table<Change>>,
    pub(super) refused: Option<Table<Refusal>>,
    pub(super) conflicts: Option<Table<Conflict>>,
    /// For the next step.
    pub(super) request_id: String,
    pub(super) problem: Option<Problem>,
    /// What was asked for it.
    pub(super) commands: Vec<Command>,
}

/// A page of rows.
pub(super) struct Table<R> {
    pub(super) rows: Vec<R>,
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
}

/// What a row would change.
pub(super) struct Change {
    pub(super) line: i64,
    pub(super) label: &'static str,
    pub(super) tone: &'static str,
    pub(super) sku: String,
    /// Where the product is, when there is one.
    pub(super) link: Option<String>,
    pub(super) differences: Vec<Difference>,
    /// Why the row would be refused.
    pub(super) message: String,
}

/// A row that was refused.
pub(super) struct Refusal {
    pub(super) line: i64,
    pub(super) message: String,
    /// Name, category and SKU.
    pub(super) texts: [Text; 3],
    /// Whether only the file has all of it.
    pub(super) cut: bool,
}

/// A text of a row that was refused.
pub(super) struct Text {
    pub(super) label: &'static str,
    pub(super) text: String,
    /// Whether it is the reason.
    pub(super) is_wrong: bool,
}

/// A product that was left alone.
pub(super) struct Conflict {
    pub(super) link: String,
    pub(super) name: String,
    pub(super) sku: String,
    pub(super) what: String,
}

impl Outcome {
    /// Asks for all that the page of an import shows.
    pub(super) async fn of(backends: &Backends, job: Job, asked: &Asked) -> Result<Outcome, Failure> {
        let mut outcome = Outcome {
            remarks: asked.remarks(),
            changes: None,
            refused: None,
            conflicts: None,
            request_id: fresh(),
            problem: None,
            commands: Vec::new(),
            job,
        };
        if outcome.job.is_ready() && outcome.job.changes() > 0 {
            outcome.ask_changes(backends, asked).await?;
        }
        if outcome.job.refused > 0 {
            outcome.ask_refused(backends, asked).await?;
        }
        if outcome.job.conflicts > 0 {
            outcome.ask_conflicts(backends, asked).await?;
        }
        Ok(outcome)
    }

    async fn ask_changes(&mut self, backends: &Backends, asked: &Asked) -> Result<(), Failure> {
        let (id, page_token) = (self.job.id, asked.changes.clone());
        let request = ListImportChangesRequest { id, page_size: ROWS_PER_PAGE, page_token, show_unchanged: false };
        let page = backends.import_changes(request.clone()).await?;
        self.commands.extend(backends.command(Backend::Catalogue, imports::CHANGES, &request));
        let link = |token: &str| format!("{}#changes", asked.with(&self.job, [token, &asked.refused, ""]));
        let rows = page.changes.into_iter().map(Change::from).collect();
        self.changes = Some(Table::new(rows, (&asked.changes, &page.next_page_token), link));
        Ok(())
    }

    async fn ask_refused(&mut self, backends: &Backends, asked: &Asked) -> Result<(), Failure> {
        let (id, page_token) = (self.job.id, asked.refused.clone());
        let request = ListImportRefusalsRequest { id, page_size: ROWS_PER_PAGE, page_token };
        let page = backends.import_refusals(request.clone()).await?;
        self.commands.extend(backends.command(Backend::Catalogue, imports::REFUSALS, &request));
        let link =
            |token: &str| format!("{}#refused", asked.with(&self.job, [&asked.changes, token, &asked.conflicts]));
        let rows = page.refusals.into_iter().map(Refusal::from).collect();
        self.refused = Some(Table::new(rows, (&asked.refused, &page.next_page_token), link));
        Ok(())
    }

    async fn ask_conflicts(&mut self, backends: &Backends, asked: &Asked) -> Result<(), Failure> {
        let (id, page_token) = (self.job.id, asked.conflicts.clone());
        let request = ListImportConflictsRequest { id, page_size: ROWS_PER_PAGE, page_token };
        let page = backends.import_conflicts(request.clone()).await?;
        self.commands.extend(backends.command(Backend::Catalogue, imports::CONFLICTS, &request));
        let link = |token: &str| format!("{}#conflicts", asked.with(&self.job, ["", &asked.refused, token]));
        let rows = page.conflicts.into_iter().map(Conflict::from).collect();
        self.conflicts = Some(Table::new(rows, (&asked.conflicts, &page.next_page_token), link));
        Ok(())
    }

    /// What it comes to, in a sentence.
    pub(super) fn verdict(&self) -> String {
        let job = &self.job;
        if job.is_ready() && job.changes() > 0 {
            return "Nothing is changed yet. This is what applying it would do.".into();
        }
        if job.is_undone() {
            return match job.undone {
                0 => "There was nothing to take back.".into(),
                undone => format!("{} as before the import.", are(undone, "product")),
            };
        }
        if job.is_stopped() && job.dry_run {
            return "It was stopped. What of it was applied by then, if anything, stays until you take it back.".into();
        }
        if job.is_stopped() {
            return format!("It was stopped after {}. What is in stays.", count(job.rows, "row"));
        }
        match (job.changes(), job.rows) {
            (0, 0) => "The file has no rows.".into(),
            (0, rows) if rows == job.refused => "No row can be taken as it is.".into(),
            (0, _) => "The catalogue says all of this already.".into(),
            (changes, _) => format!("{} in the catalogue.", are(changes, "change")),
        }
    }

    /// Its counts: what they count, how many, and how that looks.
    pub(super) fn tally(&self) -> Vec<(&'static str, String, &'static str)> {
        let job = &self.job;
        if job.is_undone() {
            let left = (job.conflicts > 0).then(|| ("Left alone", grouped(job.conflicts), "fair"));
            return [("Taken back", grouped(job.undone), "good")].into_iter().chain(left).collect();
        }
        tally(job)
    }
}

/// The counts of an import.
pub(super) fn tally(job: &Job) -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("New", grouped(job.created), "good"),
        ("Changed", grouped(job.updated), "accent"),
        ("Unchanged", grouped(job.unchanged), "calm"),
        ("Refused", grouped(job.refused), if job.refused > 0 { "bad" } else { "calm" }),
    ]
}

fn are(number: u64, one: &str) -> String {
    format!("{} {}", count(number, one), if number == 1 { "is" } else { "are" })
}

impl Asked {
    /// What was noticed of the file, as the address says it: known words and numbers only.
    fn remarks(&self) -> Vec<String> {
        let encoding = Encoding::ALL.into_iter().find(|encoding| encoding.key() == self.encoding);
        let delimiter = Delimiter::ALL.into_iter().find(|delimiter| delimiter.key() == self.delimiter);
        let file = encoding.zip(delimiter).map(|(encoding, delimiter)| {
            format!("The file was read as {}, with a {} between columns.", encoding.label(), delimiter.key())
        });
        let is_was = |number| if number == 1 { "was" } else { "were" };
        let ignored = (self.ignored > 0).then(|| {
            format!("{} {} ignored, being none of a product's.", count(self.ignored, "column"), is_was(self.ignored))
        });
        let empty =
            (self.empty > 0).then(|| format!("{} {} skipped.", count(self.empty, "empty row"), is_was(self.empty)));
        [file, ignored, empty].into_iter().flatten().collect()
    }

    fn with(&self, job: &Job, [changes, refused, conflicts]: [&str; 3]) -> String {
        link(&job.link(), &[("changes", changes), ("refused", refused), ("conflicts", conflicts)])
    }
}

impl<R> Table<R> {
    fn new(rows: Vec<R>, (own, next): (&str, &str), link: impl Fn(&str) -> String) -> Table<R> {
        Table { rows, first: (!own.is_empty()).then(|| link("")), next: (!next.is_empty()).then(|| link(next)) }
    }
}

impl From<ImportChange> for Change {
    fn from(change: ImportChange) -> Change {
        let (label, tone) = match change.kind() {
            ImportChangeKind::Created => ("New", "good"),
            ImportChangeKind::Updated => ("Changed", "accent"),
            ImportChangeKind::Refused => ("Refused", "bad"),
            _ => ("Unchanged", "calm"),
        };
        let is_new = change.kind() == ImportChangeKind::Created;
        let link = change.before.as_ref().filter(|_| !is_new).map(|product| format!("/products/{}", product.id));
        let sku = change.after.or(change.before).map(|product| product.sku).unwrap_or_default();
        // Of a new product the SKU stands in its own column.
        let told = change.differences.into_iter().filter(|difference| !(is_new && difference.field == "sku"));
        let differences = told.filter_map(Difference::read).collect();
        let message = if change.message.is_empty() { String::new() } else { sentence(&change.message) };
        Change { line: change.line, label, tone, sku, link, differences, message }
    }
}

impl From<ImportRefusal> for Refusal {
    fn from(refusal: ImportRefusal) -> Refusal {
        let row = refusal.row.unwrap_or_default();
        let texts = [("name", row.name), ("category", row.category), ("sku", row.sku)];
        let texts = texts.map(|(field, text)| {
            let (label, is_wrong) = (difference::label(field).unwrap_or_default(), refusal.field == field);
            // What is missing is seen, too.
            let text = if text.is_empty() && is_wrong { "empty".into() } else { text };
            Text { label, text, is_wrong }
        });
        Refusal { line: row.line, message: sentence(&refusal.message), texts, cut: refusal.cut }
    }
}

impl From<ImportConflict> for Conflict {
    fn from(conflict: ImportConflict) -> Conflict {
        let link = format!("/products/{}", conflict.product_id);
        let made = conflict.version;
        match conflict.product {
            None => Conflict {
                link,
                name: format!("Product {}", conflict.product_id),
                sku: String::new(),
                what: "It is gone for good.".into(),
            },
            Some(product) if product.delete_time.is_some() => {
                Conflict { link, name: product.name, sku: product.sku, what: "Someone deleted it.".into() }
            }
            Some(product) => {
                let what = format!("The import made version {made}; it is at version {} now.", product.version);
                Conflict { link, name: product.name, sku: product.sku, what }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_what_was_noticed_in_known_words_only() {
        let asked =
            Asked { encoding: "utf-16le".into(), delimiter: "tab".into(), ignored: 2, empty: 1, ..Asked::default() };
        assert_eq!(
            asked.remarks(),
            [
                "The file was read as UTF-16, with a tab between columns.",
                "2 columns were ignored, being none of a product's.",
                "1 empty row was skipped.",
            ]
        );
        let hostile = Asked { encoding: "<b>".into(), delimiter: "free money".into(), ..Asked::default() };
        assert!(hostile.remarks().is_empty());
    }
}
