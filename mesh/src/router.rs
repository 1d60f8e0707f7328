//! Finds the service of a request by its path: what stands behind the inbound stack.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use crate::refusal::Refusal;

type Answer = BoxFuture<'static, Result<Response<Body>, Infallible>>;

/// A service that answers on behalf of whoever shares it.
type Route = Box<dyn Fn(Request<Body>) -> Answer + Send + Sync>;

/// The services of a process, by name. Cheap to clone.
#[derive(Clone, Default)]
pub struct Router(Arc<HashMap<&'static str, Route>>);

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A router in the making.
#[derive(Default)]
pub(crate) struct Routes(HashMap<&'static str, Route>);

impl Routes {
    pub(crate) fn add<S>(&mut self, service: S)
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>
            + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        // A generated server is always ready, and cloning it is cheap by its contract.
        self.0.insert(S::NAME, Box::new(move |request| Box::pin(service.clone().call(request))));
    }

    pub(crate) fn close(self) -> Router {
        Router(Arc::new(self.0))
    }
}

impl Service<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let path = request.uri().path();
        let service = path.strip_prefix('/').and_then(|path| path.split_once('/')).map(|(service, _)| service);
        match service.and_then(|service| self.0.get(service)) {
            Some(route) => route(request),
            None => {
                let answer = unknown(path).into_http();
                Box::pin(std::future::ready(Ok(answer)))
            }
        }
    }
}

fn unknown(path: &str) -> Status {
    let reason = proto::mesh::ErrorReason::UnknownMethod.as_str_name();
    let message = format!("there is no method {path} here");
    Refusal::new(Code::Unimplemented, proto::mesh::DOMAIN, reason, message).into_status()
}
