//! Serving: one call adds a service with reflection, health and the inbound stack.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::middleware::{Next, from_fn};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::graph::{Graph, GraphService};
use crate::identity::Identity;
use crate::layers::{Inbound, Layers};
use crate::load::Load;

mod connections;

pub(crate) use connections::serve;

/// An address that is bound and not served yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
}

impl Door {
    /// Binds `address`; port 0 takes any free one.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
        let address = listener.local_addr().context("could not read the bound address")?;
        Ok(Self { listener, address })
    }

    /// Where it really is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The gRPC services of a process, behind one inbound stack.
pub struct Services {
    routes: RoutesBuilder,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    stack: Box<dyn FnOnce(axum::Router) -> axum::Router + Send>,
    layers: Vec<&'static str>,
}

impl Services {
    /// No services yet, behind these layers.
    pub fn behind<L: Inbound>(layers: Layers<L>) -> Self {
        let names = layers.names().to_vec();
        let builder = layers.into_builder();
        Self {
            routes: RoutesBuilder::default(),
            names: Vec::new(),
            descriptors: Vec::new(),
            stack: Box::new(move |router| router.layer(builder)),
            layers: names,
        }
    }

    /// Adds a service; its descriptors make it appear in reflection and health.
    pub fn add<S>(mut self, service: S, descriptors: &'static [u8]) -> Self
    where
        S: tower::Service<
                http::Request<Body>,
                Response = http::Response<Body>,
                Error = Infallible,
                Future: Send + 'static,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
    {
        self.routes.add_service(service);
        self.names.push(S::NAME);
        self.descriptors.push(descriptors);
        self
    }

    /// Adds what every process offers, and closes the stack around all of it.
    pub(crate) async fn finish(
        self,
        identity: &Identity,
        graph: &Arc<Graph>,
        load: Arc<Load>,
    ) -> anyhow::Result<(Routes, Health)> {
        let about = GraphService { identity: identity.clone(), graph: graph.clone() };
        let mut services =
            self.add(proto::mesh::mesh_service_server::MeshServiceServer::new(about), proto::mesh::DESCRIPTORS);

        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &services.names {
            reporter.set_service_status(*name, ServingStatus::Serving).await;
            graph.offers(name);
        }
        graph.layers(&services.layers);

        let sets = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        services.descriptors.extend(sets);
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
            services.descriptors.iter().fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
        };
        let (v1, v1alpha) = (reflection().build_v1()?, reflection().build_v1alpha()?);
        services.routes.add_service(health).add_service(v1).add_service(v1alpha);

        let router = (services.stack)(services.routes.routes().into_axum_router());
        // Outside of everything, so that a heartbeat tells what a caller waits for.
        let router = router.layer(from_fn(move |request, next: Next| {
            let load = load.clone();
            async move { load.measure(next.run(request)).await }
        }));
        Ok((Routes::from(router), Health { reporter, names: services.names }))
    }
}

/// What `grpc.health.v1` answers.
pub(crate) struct Health {
    reporter: HealthReporter,
    names: Vec<&'static str>,
}

impl Health {
    /// Says of every service that it takes no more calls.
    pub(crate) async fn leave(&self) {
        for name in self.names.iter().copied().chain([""]) {
            self.reporter.set_service_status(name, ServingStatus::NotServing).await;
        }
    }
}
