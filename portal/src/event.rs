//! What happened, as a row of a history shows it.

use proto::registry::{Event, EventKind, InstanceState};

use crate::{condition, query::instance_link, time::Moment};

/// One thing that happened.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) time: Option<Moment>,
    pub(crate) label: &'static str,
    pub(crate) tone: &'static str,
    /// Its name and its page; none when it is about no instance.
    pub(crate) instance: Option<(String, String)>,
    pub(crate) message: String,
}

impl From<Event> for Row {
    fn from(event: Event) -> Row {
        let (label, tone) = look(&event);
        let instance = event.instance.map(|instance| {
            let (service, id) = (instance.service, instance.instance_id);
            (format!("{service}/{id}"), instance_link(&service, &id))
        });
        Row { time: Moment::read(event.time), label, tone, instance, message: event.message }
    }
}

/// What happened in a word or two, and its tone.
fn look(event: &Event) -> (&'static str, &'static str) {
    let state = event.instance.as_ref().map_or(InstanceState::Unspecified, |instance| instance.state());
    match event.kind() {
        EventKind::Registered if state == InstanceState::Ready => ("Up", "good"),
        EventKind::Registered | EventKind::StateChanged => condition::state(state),
        EventKind::Suspected => ("Suspect", "fair"),
        EventKind::Cleared => ("Beyond doubt", "good"),
        EventKind::Drained => ("Finishing", "fair"),
        EventKind::Undrained => ("Not drained", "good"),
        EventKind::WentDown => ("Down", "bad"),
        EventKind::ProtectionBegan => ("Protected", "fair"),
        EventKind::ProtectionEnded => ("Calm again", "good"),
        EventKind::Paused => ("Paused", "fair"),
        EventKind::Warmed => ("Warm", "good"),
        EventKind::Unspecified => ("Unknown", "fair"),
    }
}

#[cfg(test)]
mod tests {
    use proto::registry::Instance;

    use super::*;

    fn look_of(kind: EventKind, state: InstanceState) -> (&'static str, &'static str) {
        let instance = Some(Instance { state: state.into(), ..Instance::default() });
        look(&Event { kind: kind.into(), instance, ..Event::default() })
    }

    #[test]
    fn a_tone_follows_from_what_happened() {
        assert_eq!(look_of(EventKind::Registered, InstanceState::Ready), ("Up", "good"));
        assert_eq!(look_of(EventKind::Registered, InstanceState::Starting), ("Starting", "fair"));
        assert_eq!(look_of(EventKind::StateChanged, InstanceState::NotReady), ("Not ready", "fair"));
        assert_eq!(look_of(EventKind::WentDown, InstanceState::Down), ("Down", "bad"));
        let unheard_of = Event { kind: 99, ..Event::default() };
        assert_eq!(look(&unheard_of), ("Unknown", "fair"), "a newer registry says more than we know");
    }

    #[test]
    fn an_event_of_the_registry_itself_is_about_no_instance() {
        let row = Row::from(Event { kind: EventKind::Warmed.into(), message: "warm".into(), ..Event::default() });
        assert_eq!((row.instance, row.time, row.message.as_str()), (None, None, "warm"));
    }
}
