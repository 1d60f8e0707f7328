//! A log record as a page shows it.

use std::time::Duration;

use proto::logs::{LogRecord, StoredRecord};

use crate::{
    level,
    query::{instance_link, link, records_link, trace_link},
    time::Moment,
};

/// Letters of a message, or of a field, that a list shows; a page of a hundred must stay a page.
const SHOWN: usize = 2000;

/// Fields that stand beside a message before it is opened, and letters of each.
const PREVIEWED: usize = 4;
const PREVIEWED_LETTERS: usize = 48;

/// A record that came so much later than it was said was kept back; less is the usual way.
const LATE_NANOS: i64 = 5_000_000_000;

/// What was said so much before and after a record is around it.
const AROUND: Duration = Duration::from_secs(30);

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) offset: u64,
    pub(crate) time: Option<Moment>,
    /// The day that begins with it in its list.
    pub(crate) day: Option<String>,
    /// How long after the first record of its list it was said; empty when that is not told.
    pub(crate) after: String,
    pub(crate) level: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) service: String,
    pub(crate) instance: String,
    pub(crate) source: String,
    pub(crate) message: String,
    pub(crate) target: String,
    pub(crate) fields: Vec<(String, String)>,
    /// The first fields, short.
    pub(crate) preview: Vec<(String, String)>,
    /// The id and where all of it is.
    pub(crate) request: Option<(String, String)>,
    pub(crate) trace: Option<(String, String)>,
    pub(crate) span: String,
    /// Where everything is that was said at about that time.
    pub(crate) around: Option<String>,
    /// When it came, if that was much later.
    pub(crate) received: Option<Moment>,
    /// What should be known of it, as sentences.
    pub(crate) remarks: Vec<&'static str>,
}

impl Row {
    pub(crate) fn new(stored: StoredRecord) -> Row {
        let StoredRecord { offset, service, instance_id, record, received, last_words, .. } = stored;
        let mut record = record.unwrap_or_default();
        let (time, received) = (Moment::read(record.time), Moment::read(received));
        let is_gap = !record.lost.is_empty();
        let (level, tone) = if is_gap { ("LOST", "gap") } else { level::look(record.level) };
        let is_late = |came: &Moment| time.is_some_and(|said| came.nanos().saturating_sub(said.nanos()) > LATE_NANOS);
        let (message, is_long) = shortened(std::mem::take(&mut record.message), SHOWN);
        let is_cut = (record.cut, "The process cut it: it was too long to be logged.");
        let is_long = (is_long, "The rest is too long for a list: the command at the foot shows all of it.");
        let last_words = (last_words, "It was left behind by a process that ended without sending it.");
        Row {
            offset,
            time,
            day: None,
            after: String::new(),
            level,
            tone,
            source: instance_link(&service, &instance_id),
            service,
            instance: instance_id,
            message,
            preview: preview(&record),
            request: named(&record.request_id, records_link),
            trace: named(&record.trace_id, trace_link),
            around: time.map(around),
            received: received.filter(is_late),
            remarks: [is_cut, is_long, last_words].into_iter().filter_map(|(is, words)| is.then_some(words)).collect(),
            target: record.target,
            span: record.span_id,
            fields: record.fields.into_iter().map(|field| (field.name, shortened(field.value, SHOWN).0)).collect(),
        }
    }
}

/// Where everything is that anybody said at about that time.
fn around(time: Moment) -> String {
    // Whole seconds: a hundred links to the nanosecond are a kilobyte.
    let part = |time: Option<Moment>| time.map(|time| time.whole_second().address()).unwrap_or_default();
    let (from, until) = (part(time.before(AROUND)), part(time.after(AROUND)));
    link("/logs", &[("since", "between"), ("from", &from), ("until", &until), ("order", "oldest")])
}

fn named(id: &str, link: fn(&str) -> String) -> Option<(String, String)> {
    (!id.is_empty()).then(|| (id.to_owned(), link(id)))
}

fn preview(record: &LogRecord) -> Vec<(String, String)> {
    let first = record.fields.iter().take(PREVIEWED);
    first.map(|field| (field.name.clone(), shortened(one_line(&field.value), PREVIEWED_LETTERS).0)).collect()
}

fn one_line(text: &str) -> String {
    text.chars().take(PREVIEWED_LETTERS + 1).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

/// The first letters of a text, and whether there are more.
fn shortened(mut text: String, letters: usize) -> (String, bool) {
    let Some((end, _)) = text.char_indices().nth(letters) else { return (text, false) };
    text.truncate(end);
    text.push('…');
    (text, true)
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::logs::{Field, Level, LevelCount};

    use super::*;

    pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"onfocus='x'/../?#%2F";

    /// A record of `service` that was said so many milliseconds after a moment.
    pub(crate) fn stored(service: &str, level: Level, millis: i64) -> StoredRecord {
        let time = Moment::at(1_795_442_709_000_000_000 + millis * 1_000_000).map(Moment::message);
        let record = LogRecord {
            time,
            level: level.into(),
            target: format!("{service}::part"),
            message: format!("{service} said this"),
            fields: vec![Field { name: "product.id".into(), value: "7".into(), ..Field::default() }],
            request_id: "req-1".into(),
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            ..LogRecord::default()
        };
        let offset = u64::try_from(1000 + millis).unwrap();
        let (service, instance_id) = (service.to_owned(), format!("{service}-1"));
        StoredRecord { offset, service, instance_id, record: Some(record), received: time, ..StoredRecord::default() }
    }

    /// A record of which everything is hostile.
    pub(crate) fn hostile() -> StoredRecord {
        let mut evil = stored(HOSTILE, Level::Warn, 0);
        let record = evil.record.as_mut().unwrap();
        record.message = HOSTILE.into();
        record.target = HOSTILE.into();
        record.fields = vec![Field { name: HOSTILE.into(), value: HOSTILE.into(), ..Field::default() }];
        (record.request_id, record.trace_id, record.span_id) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
        evil
    }

    #[test]
    fn a_record_leads_to_its_request_its_trace_and_who_said_it() {
        let row = Row::new(stored("portal", Level::Error, 0));

        assert_eq!((row.level, row.tone, row.source.as_str()), ("ERROR", "bad", "/services/portal/portal-1"));
        assert_eq!(row.request.unwrap().1, "/logs/requests/req-1");
        assert_eq!(row.trace.unwrap().1, "/logs/traces/4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(row.preview, [("product.id".to_owned(), "7".to_owned())]);
        assert!(row.remarks.is_empty() && row.received.is_none());
    }

    #[test]
    fn a_gap_is_no_error_of_anybody() {
        let mut gap = stored("portal", Level::Unspecified, 0);
        gap.record.as_mut().unwrap().lost = vec![LevelCount { level: 9, count: 3 }];
        let row = Row::new(gap);
        assert_eq!((row.level, row.tone), ("LOST", "gap"));
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_letter_and_said() {
        let mut long = stored("portal", Level::Info, 0);
        long.record.as_mut().unwrap().message = "é".repeat(300_000);
        (long.last_words, long.received) = (true, Moment::at(1_795_442_799_000_000_000).map(Moment::message));

        let row = Row::new(long);

        assert_eq!(row.message.chars().count(), SHOWN + 1);
        assert_eq!(row.remarks.len(), 2);
        assert!(row.received.is_some());
    }

    #[test]
    fn a_record_of_nothing_is_still_a_row() {
        let row = Row::new(StoredRecord::default());
        assert_eq!((row.time, row.level, row.request), (None, "UNKNOWN", None));
    }
}
