//! What the portal asks of the log service: records, how many there are when, what comes next, and who speaks.

use std::time::Duration;

use mesh::{Call, Refusal};
use proto::logs::{
    Filter, GetStatisticsRequest, GetStatisticsResponse, Order, QueryDone, QueryRequest, StoredRecord, TailRequest,
    TailResponse, query_done::End, query_response::Part,
};
use tonic::{Code, Request, Status, Streaming};

use crate::{
    backends::Backends,
    error::{Backend, Failure, sentence},
    grpcurl::Method,
};

pub(crate) const QUERY: Method = Method::new("rundoo.logs.v1.LogService/Query");
pub(crate) const TAIL: Method = Method::new("rundoo.logs.v1.LogService/Tail");
pub(crate) const STATISTICS: Method = Method::new("rundoo.logs.v1.LogService/GetStatistics");
pub(crate) const REQUEST_LEVELS: Method = Method::new("rundoo.logs.v1.LogService/RequestLevels");

/// How long a page of records is searched for; who waits longer thinks that it hangs.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long records are counted. The picture is an extra, and must not keep the page waiting.
const PATIENCE_OF_A_COUNT: Duration = Duration::from_millis(1500);

/// Records that are counted at most: the largest page of the log service.
const MOST_COUNTED: i32 = 10_000;

/// How long statistics may take; they are in memory.
const PATIENCE_OF_STATISTICS: Duration = Duration::from_secs(2);

/// A page of records.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// In the order that was asked for.
    pub(crate) records: Vec<StoredRecord>,
    /// Where it goes on; empty when that was all, or when nobody could say.
    pub(crate) next: String,
    /// Whether the search ran out of time.
    pub(crate) is_cut: bool,
}

/// How many records there are when.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    /// When each was said, in nanoseconds since 1970, and its level; the last first.
    pub(crate) records: Vec<(i64, i32)>,
    /// Whether there are earlier ones that were not counted.
    pub(crate) is_cut: bool,
}

/// Why there are no records.
#[derive(Debug, Clone)]
pub(crate) enum Unfound {
    /// What is looked for cannot be: why, as a sentence.
    Asked(String),
    /// Nothing that the form itself could mend.
    Failed(Failure),
}

impl Unfound {
    /// For whoever sees no form.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Unfound::Asked(why) => Failure::BadRequest(why),
            Unfound::Failed(failure) => failure,
        }
    }
}

impl From<Status> for Unfound {
    fn from(status: Status) -> Unfound {
        let fields = if status.code() == Code::InvalidArgument { Refusal::fields(&status) } else { Vec::new() };
        match fields.into_iter().next() {
            Some((field, _)) if field == "page_token" => Unfound::Failed(Failure::StaleLink),
            Some((_, why)) => Unfound::Asked(sentence(&format!("What is looked for {why}"))),
            None => Unfound::Failed(Failure::of(Backend::Logs, &status)),
        }
    }
}

impl From<Unfound> for Failure {
    fn from(unfound: Unfound) -> Failure {
        match unfound {
            Unfound::Asked(why) => Failure::BadRequest(why),
            Unfound::Failed(failure) => failure,
        }
    }
}

impl Backends {
    /// A page of records, as many as are found in a few seconds.
    pub(crate) async fn records(&self, request: QueryRequest) -> Result<Found, Unfound> {
        let mut found = Found::default();
        let done = self.gather(request, PATIENCE, |records| found.records.extend(records)).await?;
        found.is_cut = done.end() == End::OutOfTime;
        found.next = done.next_page_token;
        Ok(found)
    }

    /// Counts the last records that a filter finds; nothing when that does not work now.
    pub(crate) async fn tally(&self, filter: Filter) -> Option<Tally> {
        let order = Order::NewestFirst.into();
        let request = QueryRequest { filter: Some(filter), order, page_size: MOST_COUNTED, page_token: String::new() };
        let mut tally = Tally::default();
        let counted = |records: Vec<StoredRecord>| {
            let records = records.into_iter().filter_map(|stored| stored.record);
            tally.records.extend(records.filter_map(|record| {
                let time = record.time?;
                Some((time.seconds.checked_mul(1_000_000_000)?.checked_add(time.nanos.into())?, record.level))
            }));
        };
        let done = self.gather(request, PATIENCE_OF_A_COUNT, counted).await.ok()?;
        tally.is_cut = done.end() != End::Complete;
        Some(tally)
    }

    /// What is stored, and who spoke.
    pub(crate) async fn statistics(&self) -> Result<GetStatisticsResponse, Failure> {
        let mut request = Request::new(GetStatisticsRequest {});
        request.set_timeout(PATIENCE_OF_STATISTICS);
        let answer = self.logs.clone().get_statistics(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Failure::of(Backend::Logs, &status))
    }

    /// Follows the log for as long as somebody reads, by a call that is [`endless`](crate::backends::endless).
    pub(crate) async fn follow(&self, call: &Call, request: TailRequest) -> Result<Streaming<TailResponse>, Status> {
        let mut logs = self.logs.clone();
        call.clone().scope(async move { logs.tail(request).await }).await.map(tonic::Response::into_inner)
    }

    /// Hands over what is found as it comes, and answers how the search ended.
    async fn gather(
        &self,
        request: QueryRequest,
        patience: Duration,
        mut take: impl FnMut(Vec<StoredRecord>),
    ) -> Result<QueryDone, Status> {
        let mut request = Request::new(request);
        request.set_timeout(patience);
        let mut answers = self.logs.clone().query(request).await?.into_inner();
        let mut came = false;
        loop {
            match answers.message().await.map(|answer| answer.and_then(|answer| answer.part)) {
                Ok(Some(Part::Rows(rows))) => {
                    came = true;
                    take(rows.records);
                }
                Ok(Some(Part::Progress(_))) => {}
                Ok(Some(Part::Done(done))) => return Ok(done),
                Ok(None) => return Err(Status::unavailable("the search ended without a word")),
                // What came before the time was up is shown; the last word was on its way.
                Err(status) if status.code() == Code::DeadlineExceeded && came => {
                    return Ok(QueryDone { end: End::OutOfTime.into(), ..QueryDone::default() });
                }
                Err(status) => return Err(status),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(field: &str, why: &str) -> Unfound {
        let refusal = Refusal::new(Code::InvalidArgument, "logs.rundoo", "ERROR_REASON_INVALID_FIELD", "for programs");
        Unfound::from(refusal.field(field, why).into_status())
    }

    #[test]
    fn what_cannot_be_looked_for_is_said_as_a_sentence() {
        let unfound = refused("filter.words", "must be at most 32 words of 4096 bytes");
        let Unfound::Asked(why) = unfound else { panic!("{unfound:?}") };
        assert_eq!(why, "What is looked for must be at most 32 words of 4096 bytes.");
    }

    #[test]
    fn a_token_of_another_search_is_a_stale_link_and_silence_is_silence() {
        let stale = refused("page_token", "is not a page token of this request");
        assert!(matches!(stale, Unfound::Failed(Failure::StaleLink)), "{stale:?}");
        let away = Unfound::from(Status::unavailable("gone"));
        assert!(matches!(away, Unfound::Failed(Failure::Unanswered { .. })), "{away:?}");
    }
}
