//! What a live view says, piece by piece, and how it ends.

use mesh::Call;
use proto::logs::{Level, OffsetRange};

use super::*;
use crate::record::tests::{HOSTILE, hostile, stored};

/// A view of somebody whose log service is away.
fn following(mesh: &mesh::Mesh) -> Following {
    Following {
        call: Call::begin(&http::HeaderMap::new()),
        backends: Backends::of(mesh),
        selection: Selection::read(vec![("q".into(), HOSTILE.into())], Moment::now()).unwrap(),
        filter: Filter::default(),
        start: Start::Last(LAST),
        stream: None,
        writer: Writer::new(&Visit::test("test")),
        rows: 0,
        ends: Instant::now() + LONGEST,
        has_ended: false,
        stop: CancellationToken::new(),
    }
}

fn nobody() -> mesh::Mesh {
    mesh::Mesh::client(&["127.0.0.1:1".to_owned()])
}

fn message(records: Vec<proto::logs::StoredRecord>, next_offset: u64) -> TailResponse {
    TailResponse { records, next_offset, lag: None, removed: None }
}

#[tokio::test]
async fn what_comes_is_shown_as_text_and_the_view_remembers_where_it_is() {
    let mut view = following(&nobody());

    let piece = view.say(Word::Records(message(vec![hostile(), stored("portal", Level::Info, 1)], 1002)));

    assert!(piece.contains("<ol class=\"log\">") && piece.contains("portal said this"), "{piece}");
    assert!(!piece.contains("<script") && !piece.contains("\"onfocus"), "{piece}");
    assert!(piece.trim_end().ends_with("<!-- -->"), "{piece}");
    assert_eq!(view.request().start, Some(Start::FromOffset(1002)));
    let end = view.end("Done.");
    assert!(end.contains("Done. <a rel=\"next\" href=\"/logs/tail?q=%3Cscript"), "{end}");
    assert!(end.contains("offset=1002\">Continue from here</a>"), "{end}");
}

#[tokio::test]
async fn lag_and_what_retention_removed_are_told_in_words() {
    let mut view = following(&nobody());
    let removed = Some(OffsetRange { first: 10, end: 1210 });

    let piece = view.say(Word::Records(TailResponse { lag: Some(1500), removed, ..message(vec![], 1210) }));

    assert!(piece.contains("1,200 records were removed before they could be shown"), "{piece}");
    assert!(piece.contains("1,500 records are still to be looked at</span> as of"), "{piece}");
    let idle = view.say(Word::Records(TailResponse { lag: Some(0), ..message(vec![], 1210) }));
    assert!(idle.contains("Nothing waits</span> as of"), "{idle}");
}

#[tokio::test]
async fn a_log_that_was_begun_anew_is_told() {
    let mut view = following(&nobody());
    view.start = Start::FromOffset(5000);
    let piece = view.say(Word::Records(message(vec![stored("portal", Level::Info, 1)], 1002)));
    assert!(piece.contains("The log was begun anew."), "{piece}");
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_told_and_goes_on_from_its_offset() {
    let mut view = following(&nobody());
    view.say(Word::Records(message(vec![], 77)));

    let piece = view.say(Word::BrokeOff(Status::unavailable(HOSTILE)));

    assert!(piece.contains("broke off") && piece.contains("nothing is lost") && !piece.contains("<script"), "{piece}");
    assert_eq!(view.request().start, Some(Start::FromOffset(77)));
    assert!(view.say(Word::Back).contains("is back"));
}

#[tokio::test]
async fn a_page_ends_when_it_has_grown_enough() {
    let mut view = following(&nobody());
    view.rows = MOST_ROWS - 1;

    let piece = view.say(Word::Records(message(vec![stored("portal", Level::Info, 1)], 1002)));

    assert!(piece.contains("as much as one page should hold") && piece.contains("Continue from here"), "{piece}");
    assert!(view.go_on().await.is_none());
}

#[tokio::test]
async fn a_page_ends_when_the_portal_stops() {
    let view = following(&nobody());
    view.stop.cancel();

    let (piece, view) = view.go_on().await.unwrap();

    assert!(piece.contains("The portal is stopping. <a rel=\"next\""), "{piece}");
    assert!(view.go_on().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_page_ends_after_half_an_hour_of_nobody() {
    let mut view = following(&nobody());
    view.ends = Instant::now();
    let (piece, _) = view.go_on().await.unwrap();
    assert!(piece.contains("Half an hour is over."), "{piece}");
}

#[test]
fn what_is_followed_is_said() {
    let read = |parts: &[(&str, &str)]| {
        let parts = parts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        words(&Selection::read(parts, Moment::now()).unwrap())
    };
    assert_eq!(read(&[]), "Every record");
    assert_eq!(
        read(&[("q", "down"), ("level", "warn"), ("service", "a"), ("service", "b")]),
        "Records matching down, of level warn and above, of a, b"
    );
}
