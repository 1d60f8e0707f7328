//! Who logs, who fell silent, what was lost, and what the log service says of its own state.

use proto::logs::{GetStatisticsResponse, LevelCount, Speaker, Storage};

use crate::{
    level,
    number::{count, grouped, size},
    query::instance_link,
    time::{Moment, span},
};

/// A clock that is off by less is right.
const SKEW: std::time::Duration = std::time::Duration::from_millis(500);

/// All who logged lately.
#[derive(Debug)]
pub(crate) struct Speakers {
    pub(crate) rows: Vec<Row>,
    /// In a few words.
    pub(crate) summary: String,
    /// What is stored, in words.
    pub(crate) storage: String,
    /// What somebody should see to, as sentences.
    pub(crate) alarms: Vec<String>,
}

/// One who logs.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) page: String,
    pub(crate) is_silent: bool,
    pub(crate) heard: String,
    pub(crate) rate: String,
    pub(crate) stored: String,
    pub(crate) lost: String,
    /// How far its clock is off, when that is much.
    pub(crate) skew: String,
}

impl Speakers {
    pub(crate) fn new(statistics: GetStatisticsResponse, now: Moment) -> Speakers {
        let GetStatisticsResponse { storage, speakers, forwarding } = statistics;
        let storage = storage.unwrap_or_default();
        let silent = speakers.iter().filter(|speaker| speaker.silent).count();
        let lost: u64 = speakers.iter().map(|speaker| total(&speaker.lost)).fold(0, u64::saturating_add);
        let mut summary = format!("{} logged lately", count(speakers.len() as u64, "instance"));
        if silent > 0 {
            summary.push_str(&format!(", {silent} silent now"));
        }
        summary.push_str(&if lost > 0 { format!(", {} lost", count(lost, "record")) } else { ", nothing lost".into() });
        let mut alarms = alarms(&storage);
        if let Some(error) = forwarding.map(|forwarding| forwarding.last_error).filter(|error| !error.is_empty()) {
            alarms.push(format!("Records cannot be handed on to another system: {error}"));
        }
        let mut rows: Vec<Row> = speakers.into_iter().map(|speaker| Row::new(speaker, now)).collect();
        rows.sort_by(|a, b| (a.is_silent, &a.service, &a.instance).cmp(&(b.is_silent, &b.service, &b.instance)));
        Speakers { rows, summary, storage: stored(&storage, now), alarms }
    }

    /// The names of the services that logged lately.
    pub(crate) fn services(&self) -> Vec<String> {
        let mut names: Vec<String> = self.rows.iter().map(|row| row.service.clone()).collect();
        names.sort();
        names.dedup();
        names
    }
}

impl Row {
    fn new(speaker: Speaker, now: Moment) -> Row {
        let age = |time| Moment::read(time).map_or_else(|| "never".into(), |moment: Moment| moment.age(now));
        Row {
            page: instance_link(&speaker.service, &speaker.instance_id),
            is_silent: speaker.silent,
            heard: age(speaker.last_heard),
            rate: format!("{:.1}/s", speaker.rate),
            stored: grouped(speaker.stored),
            lost: by_level(&speaker.lost),
            skew: skew(speaker.clock_skew.as_ref()),
            service: speaker.service,
            instance: speaker.instance_id,
        }
    }
}

fn alarms(storage: &Storage) -> Vec<String> {
    let mut alarms = Vec::new();
    if storage.disk_full {
        alarms.push("The log service's disk is full: nothing more is stored until someone makes room.".into());
    }
    if storage.sealing_fails {
        alarms.push("The log service cannot close its files; when that lasts, nothing more is stored.".into());
    }
    if storage.quarantined > 0 {
        let files = count(storage.quarantined, "damaged file");
        alarms.push(format!("The log service put aside {files}. What they held is missing here."));
    }
    alarms
}

fn stored(storage: &Storage, now: Moment) -> String {
    let records = count(storage.end_offset.saturating_sub(storage.first_offset), "record");
    let bytes = size(storage.segment_bytes.saturating_add(storage.wal_bytes));
    let since = Moment::read(storage.first_received).map(|first| format!(", the oldest came {}", first.age(now)));
    format!("The log holds {records} in {bytes}{}.", since.unwrap_or_default())
}

fn total(lost: &[LevelCount]) -> u64 {
    lost.iter().fold(0, |sum, lost| sum.saturating_add(lost.count))
}

/// `3 INFO, 1 ERROR`; empty for nothing.
fn by_level(lost: &[LevelCount]) -> String {
    let counted = lost.iter().filter(|lost| lost.count > 0);
    let words: Vec<String> =
        counted.map(|lost| format!("{} {}", grouped(lost.count), level::look(lost.level).0)).collect();
    words.join(", ")
}

/// How far a clock is ahead or behind; empty when it is right.
fn skew(skew: Option<&prost_types::Duration>) -> String {
    let Some(skew) = skew else { return String::new() };
    let nanos = i128::from(skew.seconds) * 1_000_000_000 + i128::from(skew.nanos);
    let size = std::time::Duration::from_nanos(u64::try_from(nanos.unsigned_abs()).unwrap_or(u64::MAX));
    match size > SKEW {
        false => String::new(),
        true => format!("{} {}", span(size), if nanos < 0 { "behind" } else { "ahead" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<prost_types::Timestamp> {
        Some(prost_types::Timestamp { seconds, nanos: 0 })
    }

    fn speaker(service: &str, silent: bool) -> Speaker {
        Speaker {
            service: service.into(),
            instance_id: format!("{service}-1"),
            last_heard: at(1000),
            silent,
            ..Speaker::default()
        }
    }

    fn read(speakers: Vec<Speaker>, storage: Storage) -> Speakers {
        let statistics = GetStatisticsResponse { storage: Some(storage), speakers, forwarding: None };
        Speakers::new(statistics, Moment::read(at(1060)).unwrap())
    }

    #[test]
    fn who_is_silent_and_what_was_lost_is_said_first() {
        let lost = vec![LevelCount { level: 9, count: 1200 }, LevelCount { level: 0, count: 1 }];
        let skew = Some(prost_types::Duration { seconds: -3, nanos: 0 });
        let loser = Speaker { lost, clock_skew: skew, ..speaker("portal", true) };
        let speakers = read(vec![loser, speaker("registry", false), speaker("portal", false)], Storage::default());

        assert_eq!(speakers.summary, "3 instances logged lately, 1 silent now, 1,201 records lost");
        assert_eq!(speakers.services(), ["portal", "registry"]);
        let last = &speakers.rows[2];
        assert_eq!((last.lost.as_str(), last.skew.as_str()), ("1,200 INFO, 1 UNKNOWN", "3 s behind"));
        assert_eq!((last.is_silent, last.heard.as_str()), (true, "1 min ago"));
    }

    #[test]
    fn what_somebody_should_see_to_is_an_alarm() {
        let storage = Storage { disk_full: true, quarantined: 2, ..Storage::default() };
        let speakers = read(vec![], storage);
        assert_eq!(speakers.alarms.len(), 2);
        assert!(speakers.alarms[1].contains("2 damaged files"), "{:?}", speakers.alarms);
        assert!(read(vec![], Storage::default()).alarms.is_empty());
    }
}
