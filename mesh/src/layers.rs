//! The inbound stack: what the mesh gives every request, outermost first.
//!
//! `App::inbound` is the whole stack, in order. A service adds its own layers inside
//! of it with [`Layers::layer`]; a test or a service replaces one with
//! [`Layers::replace`], or goes inside of one with [`Layers::decorate`], without
//! touching the service. Which layer supplies a value is part of the stack's type,
//! so that a [`Key`] to a value that nobody supplies does not compile.

use std::sync::Arc;

mod arrival;
mod body;
mod caller;
mod deadline;
mod future;
mod limit;
mod list;
mod metrics;
mod panics;
mod policy;
mod provide;
mod rate;
mod refusals;
mod scope;
mod stage;
mod trace;

pub use body::EscortedBody;
pub use future::EscortedFuture;
pub use limit::Limit;
pub use list::{Described, Has, Here, Inside, Key, Layers, Named, Nothing, Provide, Replace, There};
pub use provide::{Provided, provide};
pub use stage::{Escort, Head, Inner, Stage, Staged};

use crate::call::{Call, Caller, Deadline, Permit, Trace};
use crate::complaints::Complaints;
use crate::policy::Policy;
use crate::spans::Exporter;
use crate::stats::Stats;
use crate::vegas::Limits;

/// A stack that can stand in front of a process's services.
pub trait Inbound: tower::Layer<crate::router::Router, Service: Inner> + Described + Send + Sync + 'static {}
impl<L: tower::Layer<crate::router::Router, Service: Inner> + Described + Send + Sync + 'static> Inbound for L {}

/// What the layers of a process share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) stats: Arc<Stats>,
    pub(crate) spans: Option<Exporter>,
    /// Calls a second that one caller may make; nothing for as many as it likes.
    pub(crate) rate: Option<std::num::NonZeroU32>,
    /// Who may call what; nothing when whoever comes may call everything.
    pub(crate) policy: Option<Policy>,
    /// The services that are believed when they say for whom they call.
    pub(crate) believed: Arc<[String]>,
}

/// The layers of `App::inbound`, innermost first.
pub type Standard = Inside<
    Staged<panics::Panics>,
    Inside<
        Staged<refusals::Refusals>,
        Inside<
            Staged<limit::Limit>,
            Inside<
                Staged<rate::RateLimit>,
                Inside<
                    Staged<scope::Scope>,
                    Inside<
                        Staged<deadline::Enforced>,
                        Inside<
                            Staged<policy::Permits>,
                            Inside<
                                Staged<metrics::Metrics>,
                                Inside<Staged<caller::Named>, Inside<Staged<trace::Traced>, Nothing>>,
                            >,
                        >,
                    >,
                >,
            >,
        >,
    >,
>;

/// The stack of every gRPC service of the mesh.
pub(crate) fn inbound(shared: &Shared) -> Layers<Standard> {
    let stats = &shared.stats;
    Layers::new()
        // Provides the trace and the request id, and the moment of arrival: the clock starts before any queue.
        .layer(Staged::new(trace::Traced))
        // Provides who calls, before anything is counted or refused by it.
        .layer(Staged::new(caller::Named { believed: shared.believed.clone() }))
        // Counts and times the call to the end of its answer; outside of all that may refuse it, so that refusals count.
        .layer(Staged::new(metrics::Metrics { stats: stats.clone(), spans: shared.spans.clone() }))
        // Refuses who claims to be another than its certificate says, and who may not call this: before anything is begun.
        .layer(Staged::new(policy::Permits { policy: shared.policy.clone(), complaints: Complaints::default() }))
        // Provides the deadline, and ends work that nobody waits for any more.
        .layer(Staged::new(deadline::Enforced))
        // Makes it the current call of the task, so that log records and outbound calls belong to it.
        .layer(Staged::new(scope::Scope))
        // Refuses a caller that calls too often. Before the limit: it takes no place there.
        .layer(Staged::new(rate::RateLimit { stats: stats.clone(), rate: shared.rate }))
        // Provides a place among the calls that are worked on, or refuses at once.
        .layer(Staged::new(limit::Limit::new(stats.clone(), Limits::default())))
        // Gives a reason to what is refused before a handler sees it.
        .layer(Staged::new(refusals::Refusals { stats: stats.clone() }))
        // Innermost: a panic becomes an answer that passes all the others.
        .layer(Staged::new(panics::Panics))
}

/// A limit of the calls that are worked on, with other bounds than the usual ones:
/// `layers.replace(limit(&app, bounds))`.
pub(crate) fn limit(shared: &Shared, limits: Limits) -> Staged<limit::Limit> {
    Staged::new(limit::Limit::new(shared.stats.clone(), limits))
}

// What the standard layers provide; a key to each of them compiles behind the standard stack.
const _: fn() = || {
    fn provides<V, I>()
    where
        Standard: Has<V, I>,
    {
    }
    provides::<Trace, _>();
    provides::<Caller, _>();
    provides::<Deadline, _>();
    provides::<Call, _>();
    provides::<Permit, _>();
};

#[cfg(test)]
mod tests;
