//! What the services of the mesh offer over HTTP, as they themselves say it.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use http::Method as Verb;
use prost_reflect::{DescriptorPool, FileDescriptor, MethodDescriptor};
use tokio::sync::watch;
use tracing::warn;

use crate::{
    backends::Backends,
    contract,
    gateway::{
        comments::Comments,
        descriptors, openapi,
        places::{Place, Places},
        route::{Owner, Route},
    },
};

/// What this process is called in the mesh.
pub(super) const PORTAL: &str = "portal";

/// What is known now; it changes as services come. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Contracts(Arc<watch::Sender<Arc<Known>>>);

/// All that is offered.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What each service reflects, by its name in the mesh.
    offers: BTreeMap<String, Arc<Offer>>,
    places: Places,
    /// The `OpenAPI` document, once somebody asked for it.
    document: OnceLock<Bytes>,
}

/// What one service of the mesh reflects.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) owner: Owner,
    /// The encoded descriptor set, with comments.
    pub(crate) set: Cow<'static, [u8]>,
    /// The same without them.
    pub(crate) pool: DescriptorPool,
    /// The full names of the gRPC services that it serves.
    pub(crate) services: Vec<String>,
}

/// Who answers a path.
#[derive(Debug)]
pub(crate) enum Found {
    Route(Arc<Route>),
    /// These services do, and not the one that is asked for.
    Others(Vec<String>),
    /// The path is one, but with other verbs.
    Verbs(Vec<Verb>),
    Nothing,
}

impl Contracts {
    /// Knows what the portal itself was built with.
    pub(crate) fn built_in(backends: &Backends) -> Contracts {
        let mut offers = BTreeMap::new();
        for (service, set) in contract::BUILT_IN {
            let mut pool = DescriptorPool::new();
            descriptors::add(&mut pool, set).expect("our own descriptors can be read");
            let Some(channel) = backends.named(service).cloned() else { continue };
            let services = pool.services().map(|service| service.full_name().to_owned()).collect();
            let owner = Owner { service: service.to_owned(), channel };
            offers.insert(service.to_owned(), Arc::new(Offer { owner, set: set.into(), pool, services }));
        }
        Contracts(Arc::new(watch::channel(Arc::new(Known::of(offers))).0))
    }

    /// What is known now.
    pub(crate) fn known(&self) -> Arc<Known> {
        self.0.borrow().clone()
    }

    /// Takes in what a service reflects, in place of what it did before.
    pub(crate) fn learn(&self, offer: Offer) {
        let before = self.known();
        let mut offers = before.offers.clone();
        offers.insert(offer.owner.service.clone(), Arc::new(offer));
        let known = Known::of(offers);
        // Once: with each contract that is learned all of them are looked at again.
        known.places.refused().difference(before.places.refused()).for_each(|refused| warn!("{refused}"));
        self.0.send_replace(Arc::new(known));
    }
}

impl Known {
    fn of(offers: BTreeMap<String, Arc<Offer>>) -> Known {
        let mut places = Places::default();
        // Who comes first has a place: what Rundoo itself offers is taken away by nobody.
        let mut ordered: Vec<_> = offers.values().collect();
        ordered.sort_by_key(|offer| !offer.is_own());
        for offer in ordered {
            for method in offer.methods() {
                places.add(&method, offer);
            }
        }
        Known { places, offers, document: OnceLock::new() }
    }

    /// Who answers a request; `asked` names the service, where several offer a method.
    pub(crate) fn find(&self, verb: &Verb, path: &str, asked: Option<&str>) -> Found {
        // What answers GET answers HEAD: whoever sends it drops the body.
        let own = |verb: &Verb| if *verb == Verb::HEAD { Verb::GET } else { verb.clone() };
        if let Some(place) = self.places.at(&own(verb), path) {
            let route = place.route(asked).cloned();
            return route.map_or_else(|| Found::Others(place.owners().map(str::to_owned).collect()), Found::Route);
        }
        let others = [Verb::GET, Verb::HEAD, Verb::POST, Verb::PUT, Verb::PATCH, Verb::DELETE];
        let verbs: Vec<_> = others.into_iter().filter(|verb| self.places.at(&own(verb), path).is_some()).collect();
        if verbs.is_empty() { Found::Nothing } else { Found::Verbs(verbs) }
    }

    /// The `OpenAPI` document of all of it; a portal whose door is guarded says so in it.
    pub(crate) fn document(&self, is_guarded: bool) -> Bytes {
        let written = || openapi::document(self, is_guarded).to_string().into();
        self.document.get_or_init(written).clone()
    }

    /// What a file says of itself.
    pub(crate) fn comments(&self, file: &FileDescriptor) -> Comments {
        // What Rundoo's own files say is said by nobody else.
        let (own, others): (Vec<_>, Vec<_>) = self.offers.values().partition(|offer| offer.is_own());
        let source = own.into_iter().chain(others).find_map(|offer| descriptors::source(&offer.set, file.name()));
        Comments::of(source.unwrap_or_default())
    }

    /// What a service reflects.
    pub(crate) fn offer(&self, service: &str) -> Option<&Arc<Offer>> {
        self.offers.get(service)
    }

    /// What each service reflects.
    pub(crate) fn offers(&self) -> impl Iterator<Item = &Arc<Offer>> {
        self.offers.values()
    }

    /// All places, Rundoo's own first, in the order of their methods' names.
    pub(crate) fn places(&self) -> Vec<&Place> {
        let mut places: Vec<_> = self.places.all().collect();
        places.sort_by_cached_key(|place| {
            let Route { method, binding, .. } = place.first();
            (
                !place.is_own,
                method.parent_service().full_name().to_owned(),
                method.path().to_vec(),
                binding.template.to_string(),
            )
        });
        places
    }
}

impl Offer {
    /// Whether it is of one of Rundoo's own services.
    pub(crate) fn is_own(&self) -> bool {
        let name = self.owner.service.as_str();
        name == PORTAL || contract::BUILT_IN.iter().any(|(own, _)| *own == name)
    }

    /// The methods of the services that it serves, in the order of their contracts.
    pub(crate) fn methods(&self) -> impl Iterator<Item = MethodDescriptor> + '_ {
        let services = self.services.iter().filter_map(|name| self.pool.get_service_by_name(name));
        services.flat_map(|service| service.methods().collect::<Vec<_>>())
    }
}

/// Whether a path is the gateway's: its first part is a version, as `v1` or `v2beta1`. Pages have words.
pub(crate) fn is_versioned(path: &str) -> bool {
    let first = path.strip_prefix('/').unwrap_or_default().split('/').next().unwrap_or_default();
    let Some(version) = first.strip_prefix('v') else { return false };
    version.starts_with(|letter: char| letter.is_ascii_digit()) && version.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
pub(super) mod tests;
