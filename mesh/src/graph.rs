//! What this process is made of, as data and as a picture in the DOT language.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::mesh::{GetGraphResponse, Layer, LifecycleStep};

use crate::identity::Identity;

/// Needs, offers, layers and lifecycle steps, noted while the process is wired.
#[derive(Debug, Default)]
pub(crate) struct Graph(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    needs: Vec<String>,
    offers: Vec<String>,
    layers: Vec<Layer>,
    steps: Vec<LifecycleStep>,
}

impl Graph {
    pub(crate) fn needs(&self, service: &str) {
        let mut parts = self.lock();
        if !parts.needs.iter().any(|need| need == service) {
            parts.needs.push(service.to_owned());
        }
    }

    pub(crate) fn offers(&self, service: &str) {
        self.lock().offers.push(service.to_owned());
    }

    pub(crate) fn layers(&self, described: &[(&str, &str)]) {
        let layer =
            |(name, provides): &(&str, &str)| Layer { name: (*name).to_owned(), provides: (*provides).to_owned() };
        self.lock().layers = described.iter().map(layer).collect();
    }

    pub(crate) fn step(&self, name: &str, elapsed: Duration) {
        let elapsed = prost_types::Duration::try_from(elapsed).ok();
        self.lock().steps.push(LifecycleStep { name: name.to_owned(), elapsed });
    }

    /// All of it.
    pub(crate) fn read(&self, identity: &Identity) -> GetGraphResponse {
        let parts = self.lock();
        GetGraphResponse {
            service: identity.service().to_owned(),
            instance_id: identity.instance().to_owned(),
            version: identity.version().to_owned(),
            start_time: Some(crate::timestamp(identity.started())),
            needs: parts.needs.clone(),
            offers: parts.offers.clone(),
            layers: parts.layers.iter().map(|layer| layer.name.clone()).collect(),
            inbound: parts.layers.clone(),
            steps: parts.steps.clone(),
            dot: parts.dot(identity),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Parts {
    /// A request's way from left to right: layers, services offered, the process, services needed. Steps stand below.
    fn dot(&self, identity: &Identity) -> String {
        let own = identity.to_string();
        let mut dot = String::from("digraph mesh {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a String does not fail.
            let _written = writeln!(dot, "  {text}");
        };
        line(format_args!("{own:?} [label={:?}, style=bold];", format!("{own}\n{}", identity.version())));
        let mut before = None;
        for (n, layer) in self.layers.iter().enumerate() {
            let provides = layer.provides.rsplit("::").next().unwrap_or_default();
            let label =
                if provides.is_empty() { layer.name.clone() } else { format!("{}\n→ {provides}", layer.name) };
            line(format_args!("layer{n} [label={label:?}, shape=cds];"));
            if let Some(before) = before.replace(n) {
                line(format_args!("layer{before} -> layer{n};"));
            }
        }
        for offer in &self.offers {
            line(format_args!("{offer:?} [shape=component];"));
            if let Some(last) = before {
                line(format_args!("layer{last} -> {offer:?};"));
            }
            line(format_args!("{offer:?} -> {own:?};"));
        }
        for need in &self.needs {
            line(format_args!("{need:?} [shape=ellipse];"));
            line(format_args!("{own:?} -> {need:?} [label=needs];"));
        }
        let mut before = own.clone();
        for (n, step) in self.steps.iter().enumerate() {
            let millis = step.elapsed.as_ref().and_then(crate::from_duration).unwrap_or_default().as_secs_f64() * 1e3;
            line(format_args!(
                "step{n} [label={:?}, style=dotted];",
                format!("{}. {}\n{millis:.1} ms", n + 1, step.name)
            ));
            line(format_args!("{before:?} -> step{n} [style=dotted, constraint={}];", n > 0));
            before = format!("step{n}");
        }
        dot.push_str("}\n");
        dot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_every_part() {
        let graph = Graph::default();
        graph.needs("registry");
        graph.offers("a.Greeter");
        graph.layers(&[("trace", "mesh::call::Trace"), ("panics", "")]);
        graph.step("server", Duration::from_millis(3));

        let read = graph.read(&Identity::new("greeter", "1.0.0"));

        for part in
            ["\"registry\" [shape", "layer0 -> layer1", "layer1 -> \"a.Greeter\"", "→ Trace", "1. server\\n3.0 ms"]
        {
            assert!(read.dot.contains(part), "{part} is missing in\n{}", read.dot);
        }
        assert_eq!(read.dot.matches('{').count(), read.dot.matches('}').count());
    }
}
