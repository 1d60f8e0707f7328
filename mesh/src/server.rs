//! Serving: one call adds a service with reflection, health and the inbound stack.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::about::{About, AboutService};
use crate::layers::{Has, Inbound, Inner, Key, Layers};
use crate::methods::Methods;
use crate::router::Routes;
use crate::tls::Certificates;

mod begun;
mod connections;
mod places;
mod preface;

pub(crate) use connections::{Ends, serve};

/// An address that is bound and not served yet.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    /// None when it speaks plain text.
    certificates: Option<Certificates>,
}

impl Door {
    /// Binds `address`; port 0 takes any free one.
    pub(crate) async fn open(address: SocketAddr, certificates: Option<Certificates>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
        let address = listener.local_addr().context("could not read the bound address")?;
        Ok(Self { listener, address, certificates })
    }

    /// Where it really is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The gRPC services of a process, behind one inbound stack.
pub struct Services<L> {
    layers: Layers<L>,
    routes: Routes,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
}

impl<L> Services<L> {
    /// No services yet, behind these layers.
    pub fn behind(layers: Layers<L>) -> Self {
        Self { layers, routes: Routes::default(), names: Vec::new(), descriptors: Vec::new() }
    }

    /// The key to a value that one of the layers provides: for the constructor of a service that reads it.
    ///
    /// It does not compile when no layer does.
    pub fn key<V, I>(&self) -> Key<V>
    where
        L: Has<V, I>,
    {
        self.layers.key()
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
        self.routes.add(service);
        self.names.push(S::NAME);
        self.descriptors.push(descriptors);
        self
    }

    /// Adds what every process offers, and closes the stack around all of it.
    pub(crate) async fn finish(self, about: &About) -> anyhow::Result<(impl Inner, Health)>
    where
        L: Inbound,
    {
        let service = proto::mesh::mesh_service_server::MeshServiceServer::new(AboutService(about.clone()));
        let mut services = self.add(service, proto::mesh::DESCRIPTORS);

        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &services.names {
            reporter.set_service_status(*name, ServingStatus::Serving).await;
            about.graph.offers(name);
        }
        about.graph.layers(&services.layers.describe());

        let sets = [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ];
        services.descriptors.extend(sets);
        about.stats.offers(&Methods::read(&services.descriptors));
        let reflection = || {
            let builder = tonic_reflection::server::Builder::configure().include_reflection_service(false);
            services.descriptors.iter().fold(builder, |builder, set| builder.register_encoded_file_descriptor_set(set))
        };
        services.routes.add(reflection().build_v1()?);
        services.routes.add(reflection().build_v1alpha()?);
        services.routes.add(health);
        Ok((tower::Layer::layer(&services.layers, services.routes.close()), Health { reporter, names: services.names }))
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
