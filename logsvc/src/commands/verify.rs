//! `logsvc verify`: every file that is stored, and what is wrong with it.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use proto::logs::verify_response::Part;
use proto::logs::{OffsetRange, VerifiedFile, VerifyDone, VerifyRequest, VerifyResponse};

use crate::commands::client::{Client, Stub};
use crate::commands::json;
use crate::commands::screen::Screen;
use crate::commands::table::{Cell, Colour, Columns};
use crate::commands::words::{count, size};
use crate::store;

/// The exit code of a log that is damaged.
const DAMAGED: u8 = 2;

/// What reading one file may take: the largest ones on the slowest disk.
const SILENCE: Duration = Duration::from_secs(120);

/// Asks the log service to check what it has.
pub(super) async fn run(client: &Client, screen: &Screen) -> anyhow::Result<ExitCode> {
    let verify = async |mut stub: Stub, request| stub.verify(request).await;
    let opened = client.open(None, VerifyRequest {}, verify).await;
    let mut stream = opened.map_err(|status| client.explained(&status))?;
    let mut report = Report::new(screen);
    loop {
        let message = tokio::time::timeout(SILENCE, stream.message()).await;
        let message = message.context("the log service does not answer any more")?;
        let message = message.map_err(|status| client.explained(&status))?;
        match message.and_then(|message| message.part) {
            Some(Part::File(file)) => report.file(file)?,
            Some(Part::Done(done)) => return report.end(done),
            None => bail!("the log service ended the check without a word"),
        }
    }
}

/// Checks a folder, whether a log service has it open or not.
pub(super) fn folder(screen: &Screen, folder: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(folder.is_dir(), "could not check {}: there is no such folder", folder.display());
    let mut report = Report::new(screen);
    let mut shown = Ok(());
    let done = store::verify(&store::real(), folder, &mut |file| {
        if shown.is_ok() {
            shown = report.file(file);
        }
    });
    shown?;
    report.end(done.with_context(|| format!("could not check {}", folder.display()))?)
}

/// What is said of each file, and of all.
struct Report<'a> {
    screen: &'a Screen,
    columns: Columns,
}

impl<'a> Report<'a> {
    fn new(screen: &'a Screen) -> Self {
        Self { screen, columns: Columns::new(screen.is_coloured()) }
    }

    fn file(&mut self, file: VerifiedFile) -> anyhow::Result<()> {
        if self.screen.is_json() {
            return self.json(Part::File(file));
        }
        self.screen.print(&lines(&file, &mut self.columns))
    }

    fn end(&mut self, done: VerifyDone) -> anyhow::Result<ExitCode> {
        match self.screen.is_json() {
            true => self.json(Part::Done(done))?,
            false => self.screen.print(&verdict(&done, &mut self.columns))?,
        }
        Ok(if done.findings == 0 { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
    }

    fn json(&self, part: Part) -> anyhow::Result<()> {
        self.screen.print(&json::line("VerifyResponse", &VerifyResponse { part: Some(part) })?)
    }
}

fn lines(file: &VerifiedFile, columns: &mut Columns) -> String {
    let (state, colour) = if file.findings.is_empty() { ("whole", Colour::Good) } else { ("DAMAGED", Colour::Bad) };
    let offsets = match file.offsets {
        Some(OffsetRange { first, end }) if first < end => format!("offsets {first} to {}", end - 1),
        _ => "no records".to_owned(),
    };
    let state = Cell::from(state).coloured(Some(colour));
    let mut text = columns.line(&[state, file.name.as_str().into(), offsets.into(), size(file.bytes).into()]);
    for finding in &file.findings {
        text.push_str("  ");
        text.push_str(
            &Columns::new(columns.is_coloured()).line(&[Cell::from(finding.as_str()).coloured(Some(Colour::Bad))]),
        );
    }
    text
}

fn verdict(done: &VerifyDone, columns: &mut Columns) -> String {
    let (words, colour) = match done.findings {
        0 => ("nothing is wrong".to_owned(), Colour::Good),
        findings => (count(findings, "finding"), Colour::Bad),
    };
    let read = format!("{}, {}: ", count(done.files, "file"), count(done.records, "record"));
    let verdict = Columns::new(columns.is_coloured()).line(&[Cell::from(words).coloured(Some(colour))]);
    read + &verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_is_wrong_with_each_file() {
        let whole = VerifiedFile {
            name: "wal-1".into(),
            offsets: Some(OffsetRange { first: 1, end: 501 }),
            bytes: 1536,
            findings: Vec::new(),
        };
        let damaged = VerifiedFile {
            name: "wal-2".into(),
            findings: vec!["the hash of block 3 is another\u{1b}[0m".into()],
            ..Default::default()
        };
        let mut columns = Columns::new(false);
        let done = VerifyDone { files: 2, records: 500, findings: 1 };

        let text = lines(&whole, &mut columns) + &lines(&damaged, &mut columns) + &verdict(&done, &mut columns);

        let expected = "\
            whole  wal-1  offsets 1 to 500  1.5 KiB\n\
            DAMAGED  wal-2  no records        0 B\n\
            \x20 the hash of block 3 is another\\u{1b}[0m\n\
            2 files, 500 records: 1 finding\n";
        assert_eq!(text, expected);
        assert!(verdict(&VerifyDone::default(), &mut columns).ends_with("nothing is wrong\n"));
    }
}
