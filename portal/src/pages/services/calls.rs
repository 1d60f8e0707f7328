//! Who calls whom, as the page of all services shows it: a picture, and the same as a table.

use std::collections::BTreeMap;

use proto::registry::Instance;

use crate::{
    condition::Standing,
    drawing::{Drawing, Line, Node},
    query::{instance_link, link, service_link},
    time::Moment,
    traffic::{Edge, Numbers},
};

/// Services that are drawn at most; nobody reads a picture of more.
const MOST_DRAWN: usize = 80;

/// Rows up to which the table is open from the start.
const FEW: usize = 12;

/// Who calls whom.
#[derive(Debug)]
pub(super) struct Calls {
    /// When it was measured; none when nobody could be asked in time.
    pub(super) until: Option<Moment>,
    /// Over which time.
    pub(super) over: String,
    /// Whether that is the time between two looks, and not all of it.
    pub(super) before: bool,
    /// Whether what keeps the mesh going is shown too.
    pub(super) all: bool,
    /// Where the page with more, or with less, is.
    pub(super) other: String,
    pub(super) drawing: Drawing,
    /// How many services there are, when they are too many to be drawn.
    pub(super) undrawn: Option<usize>,
    pub(super) edges: Vec<Edge>,
    /// Who did not answer: its name and its page.
    pub(super) silent: Vec<(String, String)>,
    /// How many are asked, when there are more.
    pub(super) cut: Option<usize>,
}

impl Calls {
    pub(super) fn new(instances: &[Instance], numbers: &Numbers, all: bool) -> Calls {
        let mut edges = numbers.edges();
        edges.retain(|edge| all || !edge.is_housekeeping);
        let nodes = nodes(instances, &edges);
        let undrawn = (nodes.len() > MOST_DRAWN).then_some(nodes.len());
        let drawing = if undrawn.is_some() { Drawing::default() } else { draw(nodes, &edges) };
        let name = |(service, id): &(String, String)| (format!("{service}/{id}"), instance_link(service, id));
        Calls {
            until: numbers.until(),
            over: numbers.over(),
            before: numbers.has_before(),
            all,
            other: link("/services", &[("all", if all { "" } else { "1" })]) + "#calls",
            drawing,
            undrawn,
            edges,
            silent: numbers.silent().iter().map(name).collect(),
            cut: numbers.cut(),
        }
    }

    pub(super) fn is_short(&self) -> bool {
        self.edges.len() <= FEW
    }
}

/// The services that the registry knows, and whoever calls or is called besides, by name.
fn nodes(instances: &[Instance], edges: &[Edge]) -> BTreeMap<String, Node> {
    let mut counts: BTreeMap<&str, [usize; 4]> = BTreeMap::new();
    for instance in instances {
        counts.entry(&instance.service).or_default()[Standing::of(instance) as usize] += 1;
    }
    let mut nodes: BTreeMap<String, Node> =
        counts.into_iter().map(|(name, counts)| (name.to_owned(), registered(name, counts))).collect();
    for edge in edges {
        nodes.entry(edge.caller.clone()).or_insert_with(|| outsider(&edge.caller, ""));
        nodes.entry(edge.called.clone()).or_insert_with(|| outsider(&edge.called, "bad"));
    }
    nodes
}

fn registered(name: &str, [ready, trouble, passing, _]: [usize; 4]) -> Node {
    let live = ready + trouble + passing;
    let words = match live {
        0 => "none alive".into(),
        _ if ready < live => format!("{ready} of {live} ready"),
        1 => "1 instance".into(),
        _ => format!("{live} instances"),
    };
    let tone = match (ready, trouble) {
        (0, _) if passing == 0 => "bad",
        (0, _) | (_, 1..) => "fair",
        _ => "good",
    };
    Node { name: name.to_owned(), words, tone, page: Some(service_link(name)) }
}

fn outsider(name: &str, tone: &'static str) -> Node {
    let words = match name {
        "unknown" => "did not say who",
        "other" => "further callers",
        _ => "not registered",
    };
    Node { name: name.to_owned(), words: words.into(), tone, page: None }
}

fn draw(nodes: BTreeMap<String, Node>, edges: &[Edge]) -> Drawing {
    let names: Vec<String> = nodes.keys().cloned().collect();
    let place = |name: &String| names.binary_search(name).ok();
    let lines = edges.iter().filter_map(|edge| Some(line(edge, place(&edge.caller)?, place(&edge.called)?)));
    let lines = lines.collect();
    Drawing::new(nodes.into_values().collect(), lines)
}

fn line(edge: &Edge, from: usize, to: usize) -> Line {
    let Edge { caller, called, is_housekeeping, calls } = edge;
    let p99 = calls.p99();
    let words = match (calls.ended, calls.open) {
        (0, 0) => "idle".into(),
        (0, 1) => "1 open".into(),
        (0, open) => format!("{open} open"),
        _ if p99.is_empty() => calls.rate_words(),
        _ => format!("{} · p99 {p99}", calls.rate_words()),
    };
    let trouble = if calls.failed > 0 { format!("{} failed", calls.failed_words()) } else { String::new() };
    let look = match calls.tone() {
        _ if *is_housekeeping => "thin",
        "good" if calls.ended == 0 && calls.open == 0 => "idle",
        tone => tone,
    };
    let weight = match calls.rate {
        rate if rate >= 100.0 => 3,
        rate if rate >= 10.0 => 2,
        rate if rate > 0.0 => 1,
        _ => 0,
    };
    let parts = [words.as_str(), &trouble].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    Line { from, to, weight, look, sentence: format!("{caller} calls {called}: {parts}"), words, trouble }
}

#[cfg(test)]
mod tests {
    use proto::registry::InstanceState;

    use super::*;
    use crate::traffic::calls::tests::counted;

    fn instance(service: &str, state: InstanceState) -> Instance {
        Instance { service: service.into(), state: state.into(), ..Instance::default() }
    }

    #[test]
    fn a_service_looks_like_its_instances() {
        let (ready, down) = (InstanceState::Ready, InstanceState::Down);
        let looks = |states: &[InstanceState]| {
            let instances: Vec<_> = states.iter().map(|state| instance("a", *state)).collect();
            let node = nodes(&instances, &[]).remove("a").unwrap();
            (node.words, node.tone)
        };
        assert_eq!(looks(&[ready]), ("1 instance".into(), "good"));
        assert_eq!(looks(&[ready, ready, down]), ("2 instances".into(), "good"));
        assert_eq!(looks(&[ready, InstanceState::NotReady]), ("1 of 2 ready".into(), "fair"));
        assert_eq!(looks(&[ready, InstanceState::Draining]), ("1 of 2 ready".into(), "good"));
        assert_eq!(looks(&[InstanceState::Starting]), ("0 of 1 ready".into(), "fair"));
        assert_eq!(looks(&[InstanceState::NotReady]), ("0 of 1 ready".into(), "bad"));
        assert_eq!(looks(&[down]), ("none alive".into(), "bad"));
    }

    #[test]
    fn who_is_called_without_being_there_is_drawn_as_trouble() {
        let mut stats = counted("a/B", "gone", &[("UNAVAILABLE", 10)], 1);
        stats.latency = None;
        let calls = crate::traffic::calls::Calls::between(None, &stats, 10.0);
        let edge = Edge { caller: "unknown".into(), called: "gone".into(), is_housekeeping: false, calls };

        let nodes = nodes(&[], std::slice::from_ref(&edge));

        assert_eq!((nodes["gone"].tone, nodes["gone"].words.as_str()), ("bad", "not registered"));
        assert_eq!((nodes["unknown"].tone, nodes["unknown"].words.as_str()), ("", "did not say who"));
        let drawing = draw(nodes, &[edge]);
        assert_eq!(drawing.lines[0].line.sentence, "unknown calls gone: 1.0/s, 100 % failed");
        assert_eq!(drawing.lines[0].line.look, "bad");
    }

    #[test]
    fn too_many_to_be_drawn_are_not() {
        let many: Vec<_> = (0..100).map(|n| instance(&format!("s{n}"), InstanceState::Ready)).collect();
        let calls = Calls::new(&many, &Numbers::default(), true);
        assert_eq!((calls.undrawn, calls.drawing.boxes.len()), (Some(100), 0));
        assert_eq!(calls.other, "/services#calls");
    }
}
