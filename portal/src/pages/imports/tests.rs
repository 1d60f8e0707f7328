//! Pages of imports, with hostile text in them.

use proto::products::{ImportChange, ImportChangeKind, ImportJob, ImportRefusal, ImportRow, ImportState, Product};

use super::*;
use crate::pages::imports::{
    job::Page as JobPage,
    outcome::{Change, Outcome, Refusal, Table},
};

const HOSTILE: &str = "<script>alert(1)</script>\" onfocus=x";

fn stored(state: ImportState) -> Job {
    let source = HOSTILE.into();
    Job::from(ImportJob {
        id: 12,
        state: state.into(),
        source,
        rows: 3,
        created: 1,
        updated: 1,
        refused: 1,
        ..Default::default()
    })
}

fn shown(job: Job) -> String {
    let hostile = || HOSTILE.to_owned();
    let difference =
        |field: &str| proto::products::FieldDifference { field: field.into(), from: hostile(), to: hostile() };
    let product = Product { id: 7, sku: hostile(), ..Default::default() };
    let change = ImportChange {
        line: 2,
        kind: ImportChangeKind::Updated.into(),
        before: Some(product.clone()),
        after: Some(product),
        differences: vec![difference("name"), difference(HOSTILE)],
        message: hostile(),
    };
    let row = ImportRow { line: 3, name: hostile(), category: hostile(), sku: hostile() };
    let refusal =
        ImportRefusal { row: Some(row), field: hostile(), message: hostile(), cut: true, ..Default::default() };
    let outcome = Outcome {
        remarks: vec![],
        changes: Some(Table {
            rows: vec![Change::from(change)],
            first: None,
            next: Some("/imports/12?changes=t".into()),
        }),
        refused: Some(Table { rows: vec![Refusal::from(refusal)], first: None, next: None }),
        conflicts: None,
        request_id: HOSTILE.into(),
        problem: None,
        commands: vec![],
        job,
    };
    JobPage { frame: Frame::new(&Visit::test(HOSTILE), Nav::Import, HOSTILE), outcome }.render().unwrap()
}

#[test]
fn stored_text_is_shown_as_text() {
    let html = shown(stored(ImportState::Ready));

    assert!(!html.contains("<script") && !html.contains("\" onfocus"), "{html}");
    assert!(html.contains("&#60;script&#62;alert(1)"));
    assert!(html.contains("href=\"/products/7\"") && html.contains("Apply 2 changes"));
    assert!(!html.contains("style="));
}

#[test]
fn an_import_offers_what_can_be_done_with_it() {
    for (state, can) in [
        (ImportState::Ready, ["/commit", "/cancel"].as_slice()),
        (ImportState::Done, &["/undo"]),
        (ImportState::Cancelled, &["/undo"]),
        (ImportState::Undone, &[]),
    ] {
        let html = shown(stored(state));
        for step in ["/commit", "/cancel", "/undo"] {
            let offers = html.contains(&format!("action=\"/imports/12{step}\""));
            assert_eq!(offers, can.contains(&step), "{state:?} {step}");
        }
    }
    let nothing = Job { created: 0, updated: 0, ..stored(ImportState::Ready) };
    assert!(!shown(nothing).contains("/commit\""));
}

#[test]
fn the_form_keeps_what_was_chosen() {
    let mut form = Form::blank();
    for (name, value) in [("mode", "update"), ("first", "import"), ("damaged", "allow"), ("encoding", "windows-1252")] {
        form.take(name, value).unwrap();
    }
    let id = "0190d3b0-0000-4000-8000-000000000001";
    form.take("request_id", id).unwrap();
    form.take("request_id", HOSTILE).unwrap();
    assert!(form.take("mode", HOSTILE).is_err() && form.take(HOSTILE, "").is_err());
    form.again = Some(stored(ImportState::Running));
    let frame = Frame::new(&Visit::test(HOSTILE), Nav::Import, HOSTILE);
    let jobs = vec![stored(ImportState::Done)];
    let page = Page { frame, form, jobs, is_away: false, older: None, is_first: true };

    let html = page.render().unwrap();

    for kept in [
        "value=\"update\" checked",
        "value=\"import\" checked",
        "value=\"allow\" checked",
        "value=\"windows-1252\" checked",
        id,
    ] {
        assert!(html.contains(kept), "{kept}");
    }
    assert!(!html.contains("<script") && !html.contains("\" onfocus"));
}
