//! Which log records somebody wants to see: as an address says it, as a form shows it, and as the
//! log service is asked.

mod text;

use std::time::Duration;

use proto::logs::{Filter, Level, Order};

use crate::{
    error::Failure,
    level,
    query::link,
    time::{Moment, Zone},
};

/// How far back one looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// So many seconds.
    Seconds(u64),
    /// As far as the log reaches.
    Ever,
    /// Between two times that are given.
    Between,
}

/// The choices of a form.
pub(crate) const SINCE: [(&str, &str, Since); 7] = [
    ("15m", "15 min", Since::Seconds(900)),
    ("1h", "1 hour", Since::Seconds(3600)),
    ("6h", "6 hours", Since::Seconds(6 * 3600)),
    ("1d", "1 day", Since::Seconds(86_400)),
    ("7d", "7 days", Since::Seconds(7 * 86_400)),
    ("all", "All", Since::Ever),
    ("between", "Between", Since::Between),
];

/// What is looked at when nobody says.
const USUAL: usize = 1;

/// Names of services, or of instances, that the log service takes at most.
const MOST_NAMES: usize = 64;

/// Which records are wanted, as an address says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// As it was typed.
    pub(crate) text: String,
    /// The key of the least level; empty is all.
    pub(crate) level: &'static str,
    pub(crate) services: Vec<String>,
    pub(crate) instances: Vec<String>,
    /// The place in [`SINCE`].
    since: usize,
    /// As it was typed, or as a link says it.
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) oldest_first: bool,
    /// The moment that times are counted back from; the pages of one list share it.
    pub(crate) as_of: Moment,
    /// The token of a page; empty is the first.
    pub(crate) page: String,
    /// Where a live view goes on.
    pub(crate) offset: Option<u64>,
}

/// The time that is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) from: Option<Moment>,
    pub(crate) until: Option<Moment>,
}

impl Selection {
    /// Everything of the last hour.
    pub(crate) fn usual(now: Moment) -> Selection {
        Selection {
            text: String::new(),
            level: "",
            services: Vec::new(),
            instances: Vec::new(),
            since: USUAL,
            from: String::new(),
            until: String::new(),
            oldest_first: false,
            as_of: now,
            page: String::new(),
            offset: None,
        }
    }

    /// Reads the parts of an address. Only names of services and instances may stand there twice.
    pub(crate) fn read(parts: Vec<(String, String)>, now: Moment) -> Result<Selection, Failure> {
        let mut selection = Selection::usual(now);
        let mut seen: Vec<String> = Vec::new();
        let mut since = None;
        for (key, value) in parts {
            match key.as_str() {
                "service" => selection.services.push(value),
                "instance" => selection.instances.push(value),
                _ if seen.contains(&key) => return Err(Failure::malformed_query()),
                "q" => value.trim().clone_into(&mut selection.text),
                "level" => selection.level = level::least(&value).0,
                "since" => since = SINCE.iter().position(|(known, ..)| *known == value),
                "from" => selection.from = value,
                "until" => selection.until = value,
                "order" => selection.oldest_first = value == "oldest",
                "as_of" => selection.as_of = Zone::UTC.read(&value).unwrap_or(now),
                "page" => selection.page = value,
                "offset" => selection.offset = Some(value.parse().map_err(|_| Failure::malformed_query())?),
                _ => {}
            }
            seen.push(key);
        }
        let is_bounded = !selection.from.is_empty() || !selection.until.is_empty();
        selection.since = since.unwrap_or(if is_bounded { SINCE.len() - 1 } else { USUAL });
        for names in [&mut selection.services, &mut selection.instances] {
            names.retain(|name| !name.is_empty());
            names.sort();
            names.dedup();
            names.truncate(MOST_NAMES);
        }
        Ok(selection)
    }

    /// How far back it looks, and how a form says that.
    pub(crate) fn since(&self) -> (&'static str, Since) {
        let (key, _, since) = SINCE[self.since];
        (key, since)
    }

    /// Its words for people: `the last hour`.
    pub(crate) fn span(&self) -> String {
        match SINCE[self.since] {
            (_, words, Since::Seconds(_)) => format!("the last {}", words.trim_start_matches("1 ")),
            (_, _, Since::Ever) => "all that the log holds".into(),
            (_, _, Since::Between) => "the time that was chosen".into(),
        }
    }

    /// The time that it is about.
    pub(crate) fn window(&self, zone: &Zone) -> Result<Window, String> {
        match self.since().1 {
            Since::Ever => Ok(Window::default()),
            Since::Seconds(seconds) => {
                let from = self.as_of.before(Duration::from_secs(seconds)).map(Moment::whole_second);
                Ok(Window { from, until: None })
            }
            Since::Between => {
                let read = |text: &str| match text.trim() {
                    "" => Ok(None),
                    text => zone.read(text).map(Some).ok_or_else(|| format!("{text} is not a time.")),
                };
                let window = Window { from: read(&self.from)?, until: read(&self.until)? };
                match (window.from, window.until) {
                    (Some(from), Some(until)) if from >= until => {
                        Err("The time ends before it begins: From must be earlier than Until.".into())
                    }
                    _ => Ok(window),
                }
            }
        }
    }

    /// What the log service is asked for, whenever it was said.
    pub(crate) fn filter(&self) -> Result<Filter, String> {
        Ok(Filter {
            min_level: self.least().into(),
            services: self.services.clone(),
            instance_ids: self.instances.clone(),
            ..text::read(&self.text)?
        })
    }

    /// The same, within its time.
    pub(crate) fn filter_within(&self, window: Window) -> Result<Filter, String> {
        Ok(Filter {
            from_time: window.from.map(Moment::message),
            until_time: window.until.map(Moment::message),
            ..self.filter()?
        })
    }

    fn least(&self) -> Level {
        level::least(self.level).1
    }

    pub(crate) fn order(&self) -> Order {
        if self.oldest_first { Order::OldestFirst } else { Order::NewestFirst }
    }

    /// Whether everything of some time is wanted.
    pub(crate) fn is_unfiltered(&self) -> bool {
        self.text.is_empty() && self.level.is_empty() && self.services.is_empty() && self.instances.is_empty()
    }

    /// Where its first page is, as of whenever one looks.
    pub(crate) fn link(&self) -> String {
        self.address("/logs", &self.times())
    }

    /// Where another page of the same list is.
    pub(crate) fn page_link(&self, token: &str) -> String {
        let mut times = self.times();
        times.push(("as_of", self.as_of.address()));
        times.push(("page", token.to_owned()));
        self.address("/logs", &times)
    }

    /// The same of another time.
    pub(crate) fn link_since(&self, key: &'static str) -> String {
        self.address("/logs", &[("since", key.to_owned()), ("order", self.order_key().to_owned())])
    }

    /// The same between two times.
    pub(crate) fn link_between(&self, from: Moment, until: Moment) -> String {
        let times = [
            ("since", "between".to_owned()),
            ("from", from.address()),
            ("until", until.address()),
            ("order", self.order_key().to_owned()),
        ];
        self.address("/logs", &times)
    }

    /// The same without one of its instances.
    pub(crate) fn link_without(&self, instance: &str) -> String {
        let mut wider = self.clone();
        wider.instances.retain(|name| name != instance);
        wider.link()
    }

    /// Where it is followed live, from an offset or from the last records.
    pub(crate) fn tail_link(&self, offset: Option<u64>) -> String {
        let offset = offset.map(|offset| offset.to_string()).unwrap_or_default();
        self.address("/logs/tail", &[("offset", offset)])
    }

    fn order_key(&self) -> &'static str {
        if self.oldest_first { "oldest" } else { "" }
    }

    fn times(&self) -> Vec<(&'static str, String)> {
        let (key, since) = self.since();
        let mut times = vec![("since", if self.since == USUAL { String::new() } else { key.to_owned() })];
        if since == Since::Between {
            times.extend([("from", self.from.clone()), ("until", self.until.clone())]);
        }
        times.push(("order", self.order_key().to_owned()));
        times
    }

    fn address(&self, path: &str, more: &[(&'static str, String)]) -> String {
        let mut parts = vec![("q", self.text.as_str()), ("level", self.level)];
        parts.extend(self.services.iter().map(|name| ("service", name.as_str())));
        parts.extend(self.instances.iter().map(|name| ("instance", name.as_str())));
        parts.extend(more.iter().map(|(key, value)| (*key, value.as_str())));
        link(path, &parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "<script>\"&é=1";

    fn now() -> Moment {
        Zone::UTC.read("2026-11-23T14:05:09.5Z").unwrap()
    }

    fn read(parts: &[(&str, &str)]) -> Selection {
        let parts = parts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Selection::read(parts, now()).unwrap()
    }

    #[test]
    fn an_empty_address_means_the_last_hour() {
        let selection = read(&[]);
        let window = selection.window(&Zone::UTC).unwrap();

        assert_eq!(window.from.unwrap().address(), "2026-11-23T13:05:09Z");
        assert_eq!((window.until, selection.link()), (None, "/logs".to_owned()));
        assert_eq!(read(&[("since", "all")]).window(&Zone::UTC).unwrap(), Window::default());
    }

    #[test]
    fn what_was_asked_survives_in_its_links() {
        let asked = [("q", HOSTILE), ("level", "warn"), ("service", "b"), ("service", "a"), ("service", "a")];
        let selection = read(&[&asked[..], &[("since", "15m"), ("order", "oldest"), ("instance", "x")]].concat());

        assert_eq!(
            selection.link(),
            "/logs?q=%3Cscript%3E%22%26%C3%A9%3D1&level=warn&service=a&service=b&instance=x&since=15m&order=oldest"
        );
        assert!(selection.page_link("t=").ends_with("&as_of=2026-11-23T14%3A05%3A09.5Z&page=t%3D"));
        assert_eq!(selection.tail_link(Some(7)).split('&').next_back(), Some("offset=7"));
        assert!(!selection.link_without("x").contains("instance"));
    }

    #[test]
    fn the_pages_of_one_list_are_about_the_same_time() {
        let later = read(&[("since", "15m"), ("as_of", "2026-11-23T12:00:00Z")]);
        assert_eq!(later.window(&Zone::UTC).unwrap().from.unwrap().address(), "2026-11-23T11:45:00Z");
    }

    #[test]
    fn times_between_are_read_in_the_visitors_zone() {
        let chicago = Zone::named("America/Chicago").unwrap();
        let selection = read(&[("from", "2026-11-23T08:00"), ("until", "2026-11-23T15:00:00Z")]);
        let window = selection.window(&chicago).unwrap();

        assert_eq!(window.from.unwrap().address(), "2026-11-23T14:00:00Z");
        assert_eq!(window.until.unwrap().address(), "2026-11-23T15:00:00Z");
        let wrong = read(&[("from", HOSTILE)]).window(&chicago).unwrap_err();
        assert_eq!(wrong, format!("{HOSTILE} is not a time."));
        let turned = read(&[("from", "2026-11-24T08:00"), ("until", "2026-11-23T08:00")]);
        assert!(turned.window(&chicago).unwrap_err().contains("ends before it begins"));
    }

    #[test]
    fn a_part_that_stands_there_twice_is_refused() {
        let twice = [("q", "a"), ("q", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert!(matches!(Selection::read(twice.into(), now()), Err(Failure::BadRequest(_))));
        let offset = vec![("offset".to_owned(), "x".to_owned())];
        assert!(matches!(Selection::read(offset, now()), Err(Failure::BadRequest(_))));
    }

    #[test]
    fn a_filter_has_all_that_was_asked() {
        let filter = read(&[("q", "down"), ("level", "error"), ("service", "portal"), ("instance", "x")]).filter();
        let filter = filter.unwrap();

        assert_eq!((filter.min_level, filter.words.len()), (17, 1));
        assert_eq!((filter.services, filter.instance_ids), (vec!["portal".to_owned()], vec!["x".to_owned()]));
    }
}
