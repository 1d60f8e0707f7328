//! How an import went, for people: a summary, and the rows that were refused.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use proto::products::{ErrorReason, ImportJob, ImportRefusal, ImportRow, ListImportRefusalsRequest};

use crate::cell::guarded;
use crate::importer::Client;
use crate::importer::sheet::Sheet;

/// Refused rows that are shown; a terminal holds no more of them usefully.
const MOST_SHOWN: usize = 20;

/// As many as a page may have.
const PAGE: i32 = 1000;

/// An import that ended.
pub(super) struct Report<'a> {
    pub(super) client: Client,
    pub(super) job: ImportJob,
    /// Its first refused rows.
    pub(super) first: Vec<ImportRefusal>,
    pub(super) file: &'a Path,
    /// Rows of the file that were not sent, being empty.
    pub(super) empty: u64,
    pub(super) elapsed: Duration,
}

impl Report<'_> {
    /// Prints the summary and some refused rows; writes all of them to `refused`.
    pub(super) async fn print(mut self, refused: Option<&Path>) -> anyhow::Result<()> {
        let job = &self.job;
        let mut text = format!("{} rows of {} in {:.1} s\n", job.rows, self.file.display(), self.elapsed.as_secs_f64());
        let counts = [
            ("created", job.created),
            ("changed", job.updated),
            ("unchanged", job.unchanged),
            ("refused", job.refused),
        ];
        for (what, count) in counts {
            text.push_str(&format!("  {what:<10}{count:>9}\n"));
        }
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
            let hint = if refused.is_none() { "; --refused FILE.csv writes all of them to a file\n" } else { "\n" };
            text.push_str(hint);
        }
        if let Some(path) = refused {
            let written = self.write(path).await.with_context(|| format!("could not write {}", path.display()))?;
            text.push_str(&format!("  wrote {written} refused rows to {}\n", path.display()));
        }
        // Whoever reads this may have gone, which is no failure of the import.
        let _ = std::io::stdout().write_all(text.as_bytes()).ok();
        Ok(())
    }

    /// Writes every refused row as the file has it, to be corrected and imported.
    async fn write(&mut self, path: &Path) -> anyhow::Result<u64> {
        let mut out = csv::Writer::from_writer(BufWriter::new(File::create(path)?));
        out.write_record(["name", "category", "sku", "line", "field", "reason", "message"])?;
        let mut sheet = Sheet::open(self.file)?;
        let mut written = 0;
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
                let ImportRow { line, name, category, sku } = original(&mut sheet, refusal.row.unwrap_or_default())?;
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
                return Ok(written);
            }
        }
    }
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
