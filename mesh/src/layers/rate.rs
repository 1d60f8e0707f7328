//! Refuses a caller that calls more often than it may: RESOURCE_EXHAUSTED. Off unless a rate is set.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use proto::mesh::ErrorReason;
use tonic::body::Body;
use tonic::{Code, Status};

use super::limit;
use super::stage::Stage;
use crate::call::{Call, Caller};
use crate::refusal::Refusal;
use crate::stats::Stats;

/// Counts calls by calling service.
#[derive(Debug)]
pub struct RateLimit {
    pub(super) stats: Arc<Stats>,
    /// Calls a second; as many may come at once.
    pub(super) rate: Option<NonZeroU32>,
}

impl Stage for RateLimit {
    const NAME: &'static str = "rate";
    type Value = ();
    type Escort = ();

    fn arrive(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let Some(rate) = self.rate else { return Ok(()) };
        let Some(call) = request.extensions().get::<Call>() else { return Ok(()) };
        if limit::is_exempt(request.uri().path()) {
            return Ok(());
        }
        let caller = self.stats.caller(call.get::<Caller>().map_or("unknown", Caller::service));
        let Some(told) = caller.rate() else { return Ok(()) };
        let interval = Duration::from_secs(1) / rate.get();
        told.admit(call.arrived(), interval, rate.get()).map_err(|wait| {
            let message = format!("{} calls more than {rate} times a second", caller.name());
            Refusal::new(Code::ResourceExhausted, proto::mesh::DOMAIN, ErrorReason::RateLimited.as_str_name(), message)
                .retry_after(wait)
                .into_status()
        })
    }
}
