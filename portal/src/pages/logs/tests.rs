//! What the page of the log shows of records, gaps and those who are silent.

use proto::logs::{GetStatisticsResponse, Level, LevelCount, Speaker, Storage};

use super::*;
use crate::record::tests::{HOSTILE, hostile, stored};

const NOW: &str = "2026-11-23T14:06:00Z";

fn selection(parts: &[(&str, &str)]) -> Selection {
    let parts = parts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Selection::read(parts, Zone::UTC.read(NOW).unwrap()).unwrap()
}

fn speakers() -> Speakers {
    let speaker = Speaker { service: "portal".into(), instance_id: HOSTILE.into(), silent: true, ..Speaker::default() };
    let storage = Some(Storage { disk_full: true, end_offset: 12, ..Storage::default() });
    let statistics = GetStatisticsResponse { storage, speakers: vec![speaker], forwarding: None };
    Speakers::new(statistics, Zone::UTC.read(NOW).unwrap())
}

fn shown(selection: &Selection, found: Found, tally: Option<Tally>) -> String {
    let frame = Frame::new(&Visit::test("test"), Nav::Logs, "Logs");
    let window = selection.window(&Zone::UTC).unwrap();
    let answer = Answer { selection, window, zone: &Zone::UTC, speakers: Some(speakers()) };
    answer.page(frame, found, tally).render().unwrap()
}

fn found(records: Vec<proto::logs::StoredRecord>) -> Found {
    Found { records, ..Found::default() }
}

#[test]
fn a_row_says_when_how_bad_who_and_what_and_leads_on() {
    let html = shown(&selection(&[]), found(vec![stored("portal", Level::Error, 123)]), None);

    for words in [
        "<li class=\"day\">23 Nov 2026</li>",
        "<li class=\"record bad\">",
        ">14:05:09.123</time>",
        "<span class=\"level\">ERROR</span>",
        "href=\"/services/portal/portal-1\"",
        "<p>portal said this</p>",
        "<span>product.id=7</span>",
        "href=\"/logs/requests/req-1\"",
        "href=\"/logs/traces/4bf92f3577b34da6a3ce929d0e0e4736\"",
        "Records of the last hour, newest first",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
}

#[test]
fn a_gap_is_shown_as_what_it_is() {
    let mut gap = stored("portal", Level::Unspecified, 0);
    let record = gap.record.as_mut().unwrap();
    record.lost = vec![LevelCount { level: 9, count: 3 }];
    record.message = "3 log records were lost here: 3 INFO".into();

    let html = shown(&selection(&[]), found(vec![gap]), None);

    assert!(html.contains("<li class=\"record gap\">") && html.contains("3 log records were lost here"), "{html}");
}

#[test]
fn what_others_logged_or_typed_is_shown_as_text() {
    let asked = [("q", HOSTILE), ("service", HOSTILE), ("instance", HOSTILE), ("level", HOSTILE), ("from", HOSTILE)];
    let selection = selection(&[&asked[..], &[("since", "1h")]].concat());
    let tally = Tally { records: vec![(1_795_442_709_000_000_000, 17)], is_cut: false };
    let page = Found { next: HOSTILE.into(), ..found(vec![hostile()]) };

    for html in [shown(&selection, page, Some(tally)), shown(&selection, found(vec![]), None)] {
        assert!(!html.contains("<script") && !html.contains("\"onfocus") && !html.contains("style="), "{html}");
        assert!(html.contains("&#60;script&#62;alert(1)"), "{html}");
    }
}

#[test]
fn the_form_shows_what_was_asked() {
    let asked = [("q", "a \"b\""), ("level", "warn"), ("service", "portal"), ("order", "oldest"), ("since", "6h")];
    let html = shown(&selection(&asked), found(vec![]), None);

    for words in [
        "value=\"a &#34;b&#34;\"",
        "<option value=\"warn\" selected>",
        "name=\"service\" value=\"portal\" checked",
        "<option value=\"oldest\" selected>",
        "value=\"6h\" checked",
    ] {
        assert!(html.contains(words), "{words}: {html}");
    }
}

#[test]
fn nothing_found_says_how_to_widen_and_out_of_time_goes_on() {
    let asked = selection(&[("q", "nothing"), ("since", "15m")]);
    let empty = shown(&asked, found(vec![]), None);
    assert!(empty.contains("Nothing was logged that matches.") && empty.contains("<q>nothing</q>"), "{empty}");
    assert!(empty.contains("href=\"/logs?q=nothing&#38;since=1h\">Look further back"), "{empty}");
    assert!(empty.contains("href=\"/logs\">Show everything of the last hour"), "{empty}");

    let cut = Found { is_cut: true, next: "t".into(), ..Found::default() };
    let late = shown(&asked, cut.clone(), None);
    assert!(late.contains("Nothing was found yet.") && late.contains("page=t\">Look on from there"), "{late}");
    let some = shown(&asked, Found { records: vec![stored("portal", Level::Info, 0)], ..cut }, None);
    assert!(some.contains("The time for one page was up"), "{some}");
}

#[test]
fn the_picture_has_a_link_for_each_bar_and_the_same_as_a_table() {
    let tally = Tally { records: vec![(1_795_442_709_000_000_000, 17)], is_cut: true };
    let html = shown(&selection(&[]), found(vec![stored("portal", Level::Error, 0)]), Some(tally));

    let link = "href=\"/logs?since=between&#38;from=2026-11-23T14%3A05%3A09Z";
    assert_eq!(html.matches(link).count(), 2, "{html}");
    assert!(html.contains("Only the latest 1 record that match are counted"), "{html}");
    assert!(html.contains("data-label=\"Errors\" class=\"end num\">1</td>"), "{html}");
}

#[test]
fn who_is_silent_and_a_full_disk_are_said() {
    let html = shown(&selection(&[]), found(vec![]), None);
    assert!(html.contains("1 instance logged lately, 1 silent now, nothing lost"), "{html}");
    assert!(html.contains("disk is full") && html.contains("The log holds 12 records"), "{html}");
}

#[test]
fn a_new_day_is_said_once_before_its_rows() {
    let rows = [0, 1, 86_400_000, 86_400_001].map(|millis| Row::new(stored("portal", Level::Info, millis)));
    let mut rows = rows.to_vec();
    divide(&mut rows, &Zone::UTC, &mut String::new());
    let days: Vec<Option<&str>> = rows.iter().map(|row| row.day.as_deref()).collect();
    assert_eq!(days, [Some("23 Nov 2026"), None, Some("24 Nov 2026"), None]);
}
