//! `logsvc stats`: what is stored, who spoke and who is silent, and what is handed on.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use proto::logs::{Forwarding, GetStatisticsRequest, GetStatisticsResponse, Speaker, Storage};

use crate::commands::client::{Client, Stub};
use crate::commands::json;
use crate::commands::screen::Screen;
use crate::commands::table::{Cell, Colour, Columns, Table};
use crate::commands::words::{ago, by_level, count, signed, size, span};

const HEAD: [&str; 9] = ["SERVICE", "INSTANCE", "HEARD", "SPOKE", "RATE", "SKEW", "STORED", "LOST", "STATE"];

/// A clock that is off by this much turns the order of what several say about.
const MUCH_SKEW: Duration = Duration::from_secs(1);

pub(super) async fn run(client: &Client, screen: &Screen) -> anyhow::Result<ExitCode> {
    let ask = async |mut stub: Stub, request| stub.get_statistics(request).await;
    let statistics = client.ask(GetStatisticsRequest {}, ask).await?;
    let text = match screen.is_json() {
        true => json_lines(statistics)?,
        false => lines(&statistics, Timestamp::now(), screen.is_coloured()),
    };
    screen.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// An object for each part: a list of speakers would be one long line.
fn json_lines(statistics: GetStatisticsResponse) -> anyhow::Result<String> {
    let mut text = String::new();
    let mut add = |name: &str, line: &str| text.push_str(&format!("{{\"{name}\":{}}}\n", line.trim_end()));
    if let Some(storage) = &statistics.storage {
        add("storage", &json::line("Storage", storage)?);
    }
    for speaker in &statistics.speakers {
        add("speaker", &json::line("Speaker", speaker)?);
    }
    if let Some(forwarding) = &statistics.forwarding {
        add("forwarding", &json::line("Forwarding", forwarding)?);
    }
    Ok(text)
}

fn lines(statistics: &GetStatisticsResponse, now: Timestamp, coloured: bool) -> String {
    let mut text = statistics.storage.as_ref().map(|storage| stored(storage, now, coloured)).unwrap_or_default();
    let mut table = Table::new(&HEAD);
    statistics.speakers.iter().for_each(|speaker| table.add(row(speaker, now)));
    text.push('\n');
    text.push_str(&table.lines(coloured));
    let silent = statistics.speakers.iter().filter(|speaker| speaker.silent).count();
    text.push_str(&format!("{}, {silent} silent\n", count(statistics.speakers.len() as u64, "instance")));
    if let Some(forwarding) = &statistics.forwarding {
        text.push('\n');
        text.push_str(&forwarded(forwarding, coloured));
    }
    text
}

fn stored(storage: &Storage, now: Timestamp, coloured: bool) -> String {
    let span_of =
        |time: Option<&prost_types::Duration>| time.and_then(mesh::from_duration).map(span).unwrap_or("?".into());
    let records = storage.end_offset.saturating_sub(storage.first_offset);
    let since = storage.first_received.as_ref().map(|first| format!(", the first {}", ago(Some(first), now)));
    let mut facts = Vec::new();
    let mut add = |name, words, colour| facts.push(fact(name, words, colour));
    let offsets = format!("offsets {} to {}", storage.first_offset, storage.end_offset.saturating_sub(1));
    add("log", format!("{}, {offsets}{}", count(records, "record"), since.unwrap_or_default()), None);
    let segments = format!("{} of {}", count(storage.segments, "segment"), size(storage.segment_bytes));
    add("on disk", format!("{segments}, {} before them", size(storage.wal_bytes)), None);
    let kept = (size(storage.retention_bytes), span_of(storage.retention_age.as_ref()));
    add("kept", format!("at most {} and {}", kept.0, kept.1), None);
    let (p50, p99) = (span_of(storage.sync_p50.as_ref()), span_of(storage.sync_p99.as_ref()));
    add("syncing", format!("p50 {p50}, p99 {p99}"), None);
    add("since start", format!("{} stored, {} came again", storage.stored, storage.duplicates), None);
    add("now", format!("{} searches, {} tails", storage.searches, storage.tails), None);
    if storage.quarantined > 0 {
        let words = format!("{} put aside; logsvc verify says why", count(storage.quarantined, "file"));
        add("damaged", words, Some(Colour::Bad));
    }
    if storage.sealing_fails {
        add("sealing", "FAILS: the terminal of the log service says why".to_owned(), Some(Colour::Bad));
    }
    if storage.disk_full {
        add("disk", "FULL: nothing can be stored".to_owned(), Some(Colour::Bad));
    }
    aligned(&facts, coloured)
}

fn row(speaker: &Speaker, now: Timestamp) -> Vec<Cell> {
    let skew = speaker.clock_skew.as_ref().map(signed);
    let is_off = skew.as_ref().is_some_and(|(size, _)| *size >= MUCH_SKEW);
    let state = if speaker.silent { Cell::from("SILENT").coloured(Some(Colour::Bad)) } else { Cell::from("") };
    vec![
        speaker.service.as_str().into(),
        speaker.instance_id.as_str().into(),
        ago(speaker.last_heard.as_ref(), now).into(),
        ago(speaker.last_spoke.as_ref(), now).into(),
        format!("{:.1}/s", speaker.rate).into(),
        Cell::from(skew.map(|(_, words)| words).unwrap_or_default()).coloured(is_off.then_some(Colour::Doubtful)),
        speaker.stored.to_string().into(),
        Cell::from(by_level(&speaker.lost)).coloured(Some(Colour::Bad)),
        state,
    ]
}

fn forwarded(forwarding: &Forwarding, coloured: bool) -> String {
    let Forwarding { endpoint, next_offset, lag, refused, last_error } = forwarding;
    let waiting = count(*lag, "record");
    let words = format!("to {endpoint}, next is offset {next_offset}; waiting: {waiting}; refused: {refused}");
    let mut facts = vec![fact("forwarding", words, None)];
    if !last_error.is_empty() {
        facts.push(fact("", last_error.clone(), Some(Colour::Bad)));
    }
    aligned(&facts, coloured)
}

fn fact(name: &str, words: String, colour: Option<Colour>) -> [Cell; 2] {
    [Cell::from(name).coloured(Some(Colour::Faint)), Cell::from(words).coloured(colour)]
}

fn aligned(facts: &[[Cell; 2]], coloured: bool) -> String {
    let mut columns = Columns::new(coloured);
    facts.iter().for_each(|fact| columns.measure(fact));
    facts.iter().map(|fact| columns.line(fact)).collect()
}

#[cfg(test)]
mod tests {
    use proto::logs::LevelCount;

    use super::*;

    fn statistics() -> GetStatisticsResponse {
        let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let lively = Speaker {
            service: "portal".into(),
            instance_id: "77aa".into(),
            last_heard: time(99),
            last_spoke: time(40),
            clock_skew: span(0, -3_000_000),
            rate: 12.34,
            stored: 4000,
            ..Default::default()
        };
        let silent = Speaker {
            service: "productsvc".into(),
            instance_id: "4f".into(),
            last_heard: time(10),
            lost: vec![LevelCount { level: 9, count: 3 }, LevelCount { level: 17, count: 1 }],
            silent: true,
            ..Default::default()
        };
        let storage = Storage {
            first_offset: 1,
            end_offset: 4001,
            first_received: time(0),
            segments: 1,
            segment_bytes: 3 << 20,
            retention_bytes: 10 << 30,
            retention_age: span(14 * 86_400, 0),
            sync_p50: span(0, 400_000),
            sync_p99: span(0, 2_100_000),
            stored: 4000,
            disk_full: true,
            ..Default::default()
        };
        let forwarding =
            Forwarding { endpoint: "http://o:4317".into(), lag: 1, last_error: "away\n".into(), ..Default::default() };
        GetStatisticsResponse { storage: Some(storage), speakers: vec![lively, silent], forwarding: Some(forwarding) }
    }

    #[test]
    fn a_table_says_who_is_silent_and_what_was_lost() {
        let text = lines(&statistics(), Timestamp::from_second(100).unwrap(), false);

        let expected = "\
            log          4000 records, offsets 1 to 4000, the first 100 s ago\n\
            on disk      1 segment of 3.0 MiB, 0 B before them\n\
            kept         at most 10.0 GiB and 14 d\n\
            syncing      p50 0.4 ms, p99 2.1 ms\n\
            since start  4000 stored, 0 came again\n\
            now          0 searches, 0 tails\n\
            disk         FULL: nothing can be stored\n\
            \n\
            SERVICE     INSTANCE  HEARD      SPOKE     RATE    SKEW     STORED  LOST             STATE\n\
            portal      77aa      1.0 s ago  60 s ago  12.3/s  -3.0 ms  4000\n\
            productsvc  4f        90 s ago   never     0.0/s            0       3 INFO, 1 ERROR  SILENT\n\
            2 instances, 1 silent\n\
            \n\
            forwarding  to http://o:4317, next is offset 0; waiting: 1 record; refused: 0\n            away\\n\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn each_part_is_an_object_of_its_own() {
        let text = json_lines(statistics()).unwrap();

        let objects: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(objects.len(), 4);
        assert_eq!(objects[0]["storage"]["endOffset"], 4001);
        assert_eq!(objects[2]["speaker"]["lost"][1]["level"], "LEVEL_ERROR");
        assert_eq!(objects[3]["forwarding"]["lag"], 1);
    }
}
