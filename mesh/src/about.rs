//! The `MeshService` of this process: its graph, its golden metrics, its log levels.

use std::sync::Arc;
use std::time::Duration;

use proto::mesh::mesh_service_server::MeshService;
use proto::mesh::{
    ErrorReason, GetGraphRequest, GetGraphResponse, GetStatsRequest, GetStatsResponse, SetLogLevelRequest,
    SetLogLevelResponse, Stats as Counted, WatchStatsRequest, WatchStatsResponse,
};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_stream::Stream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status};

use crate::graph::Graph;
use crate::identity::Identity;
use crate::levels::{Levels, LevelsError};
use crate::refusal::Refusal;
use crate::stats::Stats;
use crate::time::from_duration;

/// How often stats are sent, and within which bounds.
const PERIOD: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);

/// Levels that were meant for a while do not outlive the day on which somebody looks.
const LONGEST_LEVELS: Duration = Duration::from_secs(24 * 3600);

/// What a process knows about itself. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) identity: Identity,
    pub(crate) graph: Arc<Graph>,
    pub(crate) stats: Arc<Stats>,
    /// None when somebody else set up this process's logging.
    pub(crate) levels: Option<Levels>,
    pub(crate) stopping: CancellationToken,
}

/// Answers about the process from memory.
#[derive(Debug)]
pub(crate) struct AboutService(pub(crate) About);

impl About {
    fn counted(&self) -> Counted {
        Counted {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            start_time: Some(crate::timestamp(self.identity.started())),
            time: Some(crate::timestamp(jiff::Timestamp::now())),
            inbound: self.stats.inbound(),
            outbound: self.stats.outbound(),
            peers: self.stats.peers(),
            concurrency: Some(self.stats.concurrency()),
        }
    }

    fn watch(self, period: Duration) -> impl Stream<Item = Result<WatchStatsResponse, Status>> {
        let mut ticks = tokio::time::interval_at(Instant::now(), period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        futures_util::stream::unfold(Some((self, ticks)), async |state| {
            let (about, mut ticks) = state?;
            if about.stopping.run_until_cancelled(ticks.tick()).await.is_none() {
                return Some((Err(stopping()), None));
            }
            let stats = Some(about.counted());
            Some((Ok(WatchStatsResponse { stats }), Some((about, ticks))))
        })
    }
}

#[tonic::async_trait]
impl MeshService for AboutService {
    async fn get_graph(&self, _: Request<GetGraphRequest>) -> Result<Response<GetGraphResponse>, Status> {
        Ok(Response::new(self.0.graph.read(&self.0.identity)))
    }

    async fn get_stats(&self, _: Request<GetStatsRequest>) -> Result<Response<GetStatsResponse>, Status> {
        Ok(Response::new(GetStatsResponse { stats: Some(self.0.counted()) }))
    }

    type WatchStatsStream = std::pin::Pin<Box<dyn Stream<Item = Result<WatchStatsResponse, Status>> + Send + 'static>>;

    async fn watch_stats(
        &self,
        request: Request<WatchStatsRequest>,
    ) -> Result<Response<Self::WatchStatsStream>, Status> {
        let period = match &request.get_ref().period {
            None => PERIOD,
            Some(period) => from_duration(period)
                .filter(|period| (SHORTEST..=LONGEST).contains(period))
                .ok_or_else(|| invalid("period", "must be between 0.1 s and 1 hour"))?,
        };
        Ok(Response::new(Box::pin(self.0.clone().watch(period))))
    }

    async fn set_log_level(
        &self,
        request: Request<SetLogLevelRequest>,
    ) -> Result<Response<SetLogLevelResponse>, Status> {
        let SetLogLevelRequest { levels, duration } = request.into_inner();
        let duration = duration
            .map(|duration| {
                from_duration(&duration)
                    .filter(|duration| !duration.is_zero() && *duration <= LONGEST_LEVELS)
                    .ok_or_else(|| invalid("duration", "must be positive and no longer than a day"))
            })
            .transpose()?;
        let own = self.0.levels.as_ref().ok_or_else(|| {
            let message = "this process did not set up its logging itself";
            refuse(Code::FailedPrecondition, ErrorReason::NotLogging, message).into_status()
        })?;
        let (levels, previous_levels) = own.set(&levels, duration).map_err(|error| match error {
            LevelsError::Unreadable(words) => invalid("levels", &words),
            LevelsError::Gone => refuse(Code::Internal, ErrorReason::Internal, "internal error").into_status(),
        })?;
        tracing::info!(
            "{} set the log levels to {levels}",
            crate::Call::current().map_or_else(|| "somebody".to_owned(), |call| call.caller().to_owned(),)
        );
        Ok(Response::new(SetLogLevelResponse { levels, previous_levels }))
    }
}

fn refuse(code: Code, reason: ErrorReason, message: &str) -> Refusal {
    Refusal::new(code, proto::mesh::DOMAIN, reason.as_str_name(), message)
}

fn invalid(field: &str, description: &str) -> Status {
    refuse(Code::InvalidArgument, ErrorReason::InvalidField, &format!("{field} {description}"))
        .field(field, description)
        .into_status()
}

fn stopping() -> Status {
    refuse(Code::Unavailable, ErrorReason::Stopping, "the process is stopping").into_status()
}
