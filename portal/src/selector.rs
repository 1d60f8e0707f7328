//! The form that selects log records, as a page shows it.

use crate::{
    level::LEAST,
    selection::{SINCE, Selection, Since},
    time::Zone,
};

/// One of several values.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) is_chosen: bool,
}

/// The form.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) action: &'static str,
    /// Whether times and order can be chosen.
    pub(crate) has_times: bool,
    pub(crate) text: String,
    /// What is wrong with what was typed.
    pub(crate) error: Option<String>,
    pub(crate) levels: Vec<Choice>,
    pub(crate) services: Vec<Choice>,
    /// Instances that it is narrowed to, and where all but that one are.
    pub(crate) instances: Vec<(String, String)>,
    pub(crate) spans: Vec<Choice>,
    pub(crate) from: String,
    pub(crate) until: String,
    pub(crate) orders: [Choice; 2],
}

impl Selector {
    /// Shows a selection; `known` are the services that there are.
    pub(crate) fn new(selection: &Selection, zone: &Zone, known: &[String]) -> Selector {
        let mut names: Vec<&String> = known.iter().chain(&selection.services).collect();
        names.sort();
        names.dedup();
        let choice =
            |value: &str, label: &str, is_chosen| Choice { value: value.into(), label: label.into(), is_chosen };
        let levels = LEAST.iter().map(|(key, label, _)| choice(key, label, *key == selection.level));
        let services = names.into_iter().map(|name| choice(name, name, selection.services.contains(name)));
        let spans = SINCE.iter().map(|(key, label, _)| choice(key, label, *key == selection.since().0));
        let times = Times::of(selection, zone);
        Selector {
            action: "/logs",
            has_times: true,
            text: selection.text.clone(),
            error: None,
            levels: levels.collect(),
            services: services.collect(),
            instances: selection.instances.iter().map(|name| (name.clone(), selection.link_without(name))).collect(),
            spans: spans.collect(),
            from: times.from,
            until: times.until,
            orders: [
                choice("", "Newest first", !selection.oldest_first),
                choice("oldest", "Oldest first", selection.oldest_first),
            ],
        }
    }

    /// The same for the records as they come.
    pub(crate) fn following(self) -> Selector {
        Selector { action: "/logs/tail", has_times: false, ..self }
    }

    /// The same with what is wrong.
    pub(crate) fn wrong(self, error: String) -> Selector {
        Selector { error: Some(error), ..self }
    }
}

/// Two times as fields show them.
struct Times {
    from: String,
    until: String,
}

impl Times {
    /// What was typed, or the time that is looked at, so that it can be narrowed.
    fn of(selection: &Selection, zone: &Zone) -> Times {
        let typed = |text: &str| zone.read(text.trim()).map(|moment| zone.typed(moment)).unwrap_or_default();
        if selection.since().1 == Since::Between {
            return Times { from: typed(&selection.from), until: typed(&selection.until) };
        }
        let window = selection.window(zone).unwrap_or_default();
        Times { from: window.from.map(|from| zone.typed(from)).unwrap_or_default(), until: zone.typed(selection.as_of) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

    fn selection(parts: &[(&str, &str)]) -> Selection {
        let parts = parts.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Selection::read(parts, Moment::at(1_795_442_709_000_000_000).unwrap()).unwrap()
    }

    #[test]
    fn a_service_that_is_asked_for_can_be_unchosen_though_nobody_knows_it() {
        let selector = Selector::new(&selection(&[("service", "b")]), &Zone::UTC, &["a".into(), "c".into()]);
        let services: Vec<_> = selector.services.iter().map(|one| (one.value.as_str(), one.is_chosen)).collect();
        assert_eq!(services, [("a", false), ("b", true), ("c", false)]);
    }

    #[test]
    fn the_times_of_a_link_stand_in_the_form_as_the_visitor_reads_them() {
        let chicago = Zone::named("America/Chicago").unwrap();
        let asked = [("since", "between"), ("from", "2026-11-23T14:05:09Z"), ("until", "rubbish")];
        let selector = Selector::new(&selection(&asked), &chicago, &[]);
        assert_eq!((selector.from.as_str(), selector.until.as_str()), ("2026-11-23T08:05:09", ""));
        let usual = Selector::new(&selection(&[]), &chicago, &[]);
        assert_eq!((usual.from.as_str(), usual.until.as_str()), ("2026-11-23T07:05:09", "2026-11-23T08:05:09"));
    }
}
