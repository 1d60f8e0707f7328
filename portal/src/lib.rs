//! The portal: the only place where Rundoo speaks HTTP.
//!
//! It shows the catalogue and the registry as pages and turns forms into gRPC
//! calls; what every process counted it shows to Prometheus. It keeps nothing and
//! decides nothing about products: what is valid is said by the product service,
//! what lives is said by the registry. In reading order: settings, the connections,
//! what every request gets, what is asked of other services and how it can fail,
//! then the pages.

mod config;

mod edge;

mod csrf;
mod door;
mod host;
mod upload;
mod visit;

mod changes;
mod cookie;
mod kept;
mod live;

mod backends;
mod error;
mod refusal;

mod contract;
mod frame;
mod grpcurl;
mod query;
mod time;

mod list;

mod difference;
mod form;
mod hit;
mod product;

mod parcel;
mod sheet;
mod job;
mod csv;
mod product_json;

mod audience;
mod condition;
mod event;
mod inside;
mod instance;
mod note;
mod drawing;
mod traffic;

mod level;
mod number;
mod record;
mod selection;
mod selector;
mod histogram;
mod speakers;

mod exposition;
mod metrics;

mod gateway;

mod pages;

use mesh::{App, Services, Sign, tls::PublicCertificate};

pub use crate::config::{Arguments, Config};
pub use crate::door::commands::Command;
use crate::{
    backends::Backends,
    changes::Changes,
    door::Door,
    edge::Edge,
    error::Backend,
    gateway::{Follower, Gateway},
    host::Names,
    pages::Site,
    traffic::Traffic,
};

/// Builds the portal out of its settings and starts it.
pub async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    // What we need.
    let mesh = app.join(&config.mesh.registry.addresses);
    let backends = Backends::of(&mesh);
    let certificate = PublicCertificate::start(config.http_tls_cert.as_ref(), config.http_tls_key.as_ref())?;
    let people = Door::open(app, &config, certificate.is_some()).await?;
    app.on_stop("accounts", people.clone().close());
    let told = people.clone();
    let edge = Edge::bind(config.http_listen, certificate).await?;

    // What we are.
    let changes = Changes::unknown();
    let followed = backends.channel(Backend::Catalogue).clone();
    let traffic = Traffic::unseen();
    let (seen, asked) = (traffic.clone(), backends.clone());
    let gateway = Gateway::new(&backends);
    let follower = Follower { mesh: mesh.clone(), backends: backends.clone(), contracts: gateway.contracts.clone() };
    let site = {
        // Who logs in does so by whatever name the portal has; a cookie goes to no other.
        let names = if people.is_guarded() { Names::Any } else { Names::of(config.http_listen) };
        let (changes, traces) = (changes.clone(), app.pages());
        move |stop| pages::site(Site { backends, changes, traffic, gateway, door: people, stop }, names, traces)
    };

    // What we offer: the face that every process has, and nothing of our own beside it.
    let services = Services::behind(app.inbound());

    // Open the doors, then put up the sign.
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address())
        .link(edge.scheme(), edge.link(config.mesh.advertise.map(|address| address.ip())))
        .requires("productsvc");
    app.serve(door, services).await?;
    app.spawn("deeds", |stop| door::deeds::tell(told, stop));
    app.spawn("changes", |stop| changes.follow(followed, stop));
    app.spawn("traffic", |stop| seen.follow(asked, stop));
    app.spawn("contracts", |stop| follower.follow(stop));
    // Pages that go on end with the edge, which waits for them: on its token, before that of the server.
    app.spawn("http edge", |stop| edge.serve(site(stop.clone()), stop));
    app.register(&mesh, sign)
}
