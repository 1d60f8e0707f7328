//! One attempt while it is under way: counted at its instance, judged by how it ends.

use std::sync::Arc;

use http::HeaderMap;
use tokio::time::Instant;
use tonic::Code;

use crate::channel::balancer::Balancer;
use crate::channel::endpoint::Endpoint;
use crate::channel::outliers::Verdict;
use crate::refusal::code_in;

/// An attempt. Dropped before its end it says nothing, unless the deadline had passed.
#[derive(Debug)]
pub(crate) struct Flight {
    endpoint: Arc<Endpoint>,
    balancer: Arc<Balancer>,
    began: Instant,
    deadline: Option<Instant>,
    ended: bool,
}

impl Flight {
    pub(crate) fn begin(endpoint: Arc<Endpoint>, balancer: Arc<Balancer>, deadline: Option<Instant>) -> Self {
        endpoint.begin();
        Self { endpoint, balancer, began: Instant::now(), deadline, ended: false }
    }

    /// It ended; the first end counts.
    pub(crate) fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = Instant::now();
        let took = now.saturating_duration_since(self.began);
        let verdict = match code {
            Code::Unavailable | Code::Internal | Code::Unknown | Code::DataLoss | Code::DeadlineExceeded => {
                self.endpoint.failed(now, took);
                Verdict::Bad
            }
            // It is busy, not broken: it is called less, and not ejected, or the others would have all.
            Code::ResourceExhausted => {
                self.endpoint.slow_down(now, took);
                Verdict::None
            }
            _ => {
                self.endpoint.succeeded(now, took);
                Verdict::Good
            }
        };
        self.balancer.judge(&self.endpoint, verdict, now);
    }
}

/// The code that headers carry; an answer without one breaks the protocol.
pub(crate) fn code(headers: &HeaderMap) -> Code {
    code_in(headers).unwrap_or(Code::Unknown)
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.end(Code::DeadlineExceeded);
        }
        if !self.ended {
            self.balancer.judge(&self.endpoint, Verdict::None, Instant::now());
        }
        self.endpoint.end();
    }
}
