//! What an instance is made of, as it says itself: how it started, what a request passes, what it needs and offers.

use std::time::Duration;

use proto::mesh::GetGraphResponse;

use crate::{
    query::service_link,
    time::{Moment, span},
};

/// How wide a whole start is drawn.
const WHOLE: f64 = 100.0;

/// A step that took nearly no time is seen all the same.
const SLIVER: f64 = 0.8;

/// What an instance is made of.
#[derive(Debug, Default)]
pub(crate) struct Inside {
    pub(crate) started: Option<Moment>,
    /// How long its start took, step by step.
    pub(crate) start: String,
    pub(crate) steps: Vec<Step>,
    /// The layers that a request passes, outermost first, and what each provides to a handler.
    pub(crate) layers: Vec<(String, String)>,
    /// Services that it calls, and their pages.
    pub(crate) needs: Vec<(String, String)>,
    /// gRPC services that it offers.
    pub(crate) offers: Vec<String>,
}

/// A step of a start, with its place in the whole.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) took: String,
    pub(crate) x: f64,
    pub(crate) width: f64,
}

impl From<GetGraphResponse> for Inside {
    fn from(graph: GetGraphResponse) -> Inside {
        let took = |elapsed: Option<&prost_types::Duration>| elapsed.and_then(mesh::from_duration).unwrap_or_default();
        let whole: Duration = graph.steps.iter().map(|step| took(step.elapsed.as_ref())).sum();
        let scale = if whole.is_zero() { 0.0 } else { WHOLE / whole.as_secs_f64() };
        let mut before = 0.0;
        let steps = graph.steps.into_iter().map(|step| {
            let took = took(step.elapsed.as_ref());
            let width = (took.as_secs_f64() * scale).max(SLIVER);
            let x = f64::min(before, WHOLE - width);
            before += took.as_secs_f64() * scale;
            Step { name: step.name, took: span(took), x, width }
        });
        Inside {
            started: Moment::read(graph.start_time),
            start: span(whole),
            steps: steps.collect(),
            layers: graph.inbound.into_iter().map(|layer| (layer.name, layer.provides)).collect(),
            needs: graph
                .needs
                .into_iter()
                .map(|need| (service_link(&need), need))
                .map(|(page, need)| (need, page))
                .collect(),
            offers: graph.offers,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::mesh::LifecycleStep;

    use super::*;

    #[test]
    fn steps_stand_one_after_another_in_the_whole() {
        let step = |name: &str, millis| LifecycleStep {
            name: name.into(),
            elapsed: Duration::from_millis(millis).try_into().ok(),
        };
        let steps = vec![step("product store", 30), step("listener", 10), step("registration", 0)];

        let inside = Inside::from(GetGraphResponse { steps, ..GetGraphResponse::default() });

        assert_eq!(inside.start, "40.0 ms");
        let places: Vec<_> = inside.steps.iter().map(|step| (step.x, step.width, step.took.as_str())).collect();
        assert_eq!(places, [(0.0, 75.0, "30.0 ms"), (75.0, 25.0, "10.0 ms"), (99.2, SLIVER, "0.0 ms")]);
    }
}
