//! How an import went, for people: a summary, and the rows that were refused.

use std::io::BufWriter;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use mesh::cell::guarded;
use proto::products::{ErrorReason, ImportJob, ImportRefusal, ImportRow, ImportState, ListImportRefusalsRequest};

use crate::config::ImportArguments;
use crate::importer::sheet::Sheet;
use crate::importer::{Client, difference};
use crate::terminal::{print, say};
use crate::unfinished::Unfinished;

/// Refused rows that are shown; a terminal holds no more of them usefully.
const MOST_SHOWN: usize = 20;

/// As many as a page may have.
const PAGE: i32 = 1000;

/// An import that ended, or that was only tried.
pub(super) struct Report<'a> {
    pub(super) client: Client,
    pub(super) job: ImportJob,
    /// Its first refused rows.
    pub(super) first: Vec<ImportRefusal>,
    /// Where its rows are whole, if that is known.
    pub(super) file: Option<&'a Path>,
    /// Rows of the file that were not sent, being empty.
    pub(super) empty: u64,
}

impl Report<'_> {
    /// Prints the summary and some refused rows, or changes of a dry run; writes all
    /// refused rows to the file that the arguments name.
    pub(super) async fn print(mut self, elapsed: Duration, arguments: &ImportArguments) -> anyhow::Result<()> {
        let job = &self.job;
        let is_ready = job.state() == ImportState::Ready;
        let name = match self.file {
            Some(file) => file.display().to_string(),
            None => format!("import {}, {}", job.id, job.source),
        };
        let mut text = match is_ready {
            true => format!("dry run of {} rows of {name}: nothing is changed, and this would be\n", job.rows),
            false => format!("{} rows of {name} in {:.1} s\n", job.rows, elapsed.as_secs_f64()),
        };
        text.push_str(&counts(job));
        match self.empty {
            0 => {}
            1 => text.push_str("  1 empty row was skipped\n"),
            empty => text.push_str(&format!("  {empty} empty rows were skipped\n")),
        }
        if job.refused > 0 {
            text.push('\n');
        }
        for refusal in self.first.iter().take(MOST_SHOWN) {
            let line = refusal.row.as_ref().map_or(0, |row| row.line);
            text.push_str(&format!("  line {line:<7}{:<10}{}\n", refusal.field, refusal.message));
        }
        let shown = self.first.len().min(MOST_SHOWN) as i64;
        if job.refused > shown {
            text.push_str(&format!("  and {} more", job.refused - shown));
            let hint = match arguments.refused {
                None => "; --refused FILE.csv writes all of them to a file\n",
                Some(_) => "\n",
            };
            text.push_str(hint);
        }
        let id = self.job.id;
        if is_ready {
            text.push_str(&difference::told(&mut self.client, &self.job, arguments.show).await?);
            text.push_str(&format!(
                "\nproductsvc import --commit {id}   applies it, within 7 days\nproductsvc import --cancel {id}   forgets it\n"
            ));
        } else if self.job.created + self.job.updated > 0 {
            text.push_str(&format!("\nproductsvc import --undo {id}   takes it back, within 30 days\n"));
        }
        // What became of the rows is told first: the file may not be written.
        print(&text);
        if let Some(path) = &arguments.refused {
            let written = self.write(path).await.with_context(|| format!("could not write {}", path.display()))?;
            print(&format!("wrote {written} refused rows to {}", path.display()));
        }
        Ok(())
    }

    /// Writes every refused row as the file has it, to be corrected and imported.
    async fn write(&mut self, path: &Path) -> anyhow::Result<u64> {
        let mut unfinished = Unfinished::beside(path)?;
        let mut out = csv::Writer::from_writer(BufWriter::new(unfinished.file()));
        out.write_record(["name", "category", "sku", "line", "field", "reason", "message"])?;
        let mut sheet = self.file.map(Sheet::open).transpose()?;
        let (mut written, mut cut) = (0, 0);
        let mut page_token = String::new();
        loop {
            let request = ListImportRefusalsRequest { id: self.job.id, page_size: PAGE, page_token };
            let page = self
                .client
                .list_import_refusals(request)
                .await
                .context("could not list the refused rows")?
                .into_inner();
            for refusal in page.refusals {
                if refusal.cut && sheet.is_none() {
                    cut += 1;
                }
                let row = refusal.row.unwrap_or_default();
                let row = match &mut sheet {
                    Some(sheet) => original(sheet, row)?,
                    None => row,
                };
                let ImportRow { line, name, category, sku } = row;
                let reason = ErrorReason::try_from(refusal.reason).unwrap_or_default().as_str_name();
                let reason = reason.strip_prefix("ERROR_REASON_").unwrap_or(reason);
                out.write_record([
                    &*guarded(&name),
                    &*guarded(&category),
                    &*guarded(&sku),
                    &line.to_string(),
                    &refusal.field,
                    reason,
                    &refusal.message,
                ])?;
                written += 1;
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                out.flush()?;
                drop(out);
                unfinished.finish()?;
                if cut > 0 {
                    say(&format!(
                        "{cut} of the refused rows have longer texts than the service keeps: see the file that was imported"
                    ));
                }
                return Ok(written);
            }
        }
    }
}

/// Fails unless a file for refused rows can be made, and is not the one that is imported.
pub(super) fn prepare(refused: &Path, imported: &Path) -> anyhow::Result<()> {
    let same = refused.canonicalize().is_ok_and(|refused| imported.canonicalize().is_ok_and(|other| other == refused));
    anyhow::ensure!(!same, "--refused needs another file than the one that is imported");
    Unfinished::beside(refused).with_context(|| format!("could not write {}: nothing was sent", refused.display()))?;
    Ok(())
}

/// The row as it stands in the file: the service cuts long texts, and importing
/// those would not be what was meant. Both are in the order of the file.
fn original(sheet: &mut Sheet, cut: ImportRow) -> anyhow::Result<ImportRow> {
    while let Some(row) = sheet.next_row()? {
        if row.line == cut.line {
            return Ok(ImportRow { line: row.line, name: row.name, category: row.category, sku: row.sku });
        }
        if row.line > cut.line {
            break;
        }
    }
    Ok(cut)
}

/// What became of rows, or would.
pub(super) fn counts(job: &ImportJob) -> String {
    let counts =
        [("created", job.created), ("changed", job.updated), ("unchanged", job.unchanged), ("refused", job.refused)];
    counts.iter().map(|(what, count)| format!("  {what:<10}{count:>9}\n")).collect()
}
