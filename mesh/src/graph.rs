//! What this process is made of, and the `MeshService` that tells it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::mesh::mesh_service_server::MeshService;
use proto::mesh::{GetGraphRequest, GetGraphResponse, LifecycleStep};
use tonic::{Request, Response, Status};

use crate::identity::Identity;

/// Needs, offers, layers and lifecycle steps, noted while the process is wired.
#[derive(Debug, Default)]
pub(crate) struct Graph(Mutex<Parts>);

#[derive(Debug, Default)]
struct Parts {
    needs: Vec<String>,
    offers: Vec<String>,
    layers: Vec<String>,
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

    pub(crate) fn layers(&self, names: &[&str]) {
        self.lock().layers = names.iter().map(|name| (*name).to_owned()).collect();
    }

    pub(crate) fn step(&self, name: &str, elapsed: Duration) {
        let elapsed = prost_types::Duration::try_from(elapsed).ok();
        self.lock().steps.push(LifecycleStep { name: name.to_owned(), elapsed });
    }

    fn lock(&self) -> MutexGuard<'_, Parts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers about the process from memory.
#[derive(Debug)]
pub(crate) struct GraphService {
    pub(crate) identity: Identity,
    pub(crate) graph: Arc<Graph>,
}

#[tonic::async_trait]
impl MeshService for GraphService {
    async fn get_graph(&self, _: Request<GetGraphRequest>) -> Result<Response<GetGraphResponse>, Status> {
        let parts = self.graph.lock();
        Ok(Response::new(GetGraphResponse {
            service: self.identity.service().to_owned(),
            instance_id: self.identity.instance().to_owned(),
            version: self.identity.version().to_owned(),
            start_time: Some(crate::timestamp(self.identity.started())),
            needs: parts.needs.clone(),
            offers: parts.offers.clone(),
            layers: parts.layers.clone(),
            steps: parts.steps.clone(),
        }))
    }
}
