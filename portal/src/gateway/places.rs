//! Where methods are: a verb and a path, and everybody who answers there.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use http::Method as Verb;
use prost_reflect::MethodDescriptor;

use crate::gateway::{
    contracts::{Offer, PORTAL, is_versioned},
    route::Route,
    rule::{self, Binding},
};

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By verb; what says more about its paths comes first, Rundoo's own before that of others.
    by_verb: HashMap<Verb, Vec<Place>>,
    /// What has none, and why.
    refused: BTreeSet<String>,
}

/// One method at one path. Each service that offers it has its own route there, by its own contract: what it takes, and
/// who may ask, is for none of them said by another.
#[derive(Debug)]
pub(crate) struct Place {
    /// Never empty; who is asked when nobody is named comes first.
    routes: Vec<Arc<Route>>,
    pub(super) is_own: bool,
}

impl Place {
    /// What is asked when no service is named.
    pub(crate) fn first(&self) -> &Route {
        &self.routes[0]
    }

    /// What is asked.
    pub(crate) fn route(&self, asked: Option<&str>) -> Option<&Arc<Route>> {
        match asked {
            Some(name) => self.routes.iter().find(|route| route.owner.service == name),
            None => self.routes.first(),
        }
    }

    /// The names of those who answer.
    pub(crate) fn owners(&self) -> impl ExactSizeIterator<Item = &str> {
        self.routes.iter().map(|route| route.owner.service.as_str())
    }

    /// Whether it is the same method at the same path, of a service that is not here yet.
    fn takes(&self, route: &Route) -> bool {
        let there = self.first();
        there.method.full_name() == route.method.full_name()
            && there.binding.template.collides_with(&route.binding.template)
            && self.owners().all(|owner| owner != route.owner.service)
    }

    /// Another service offers the same.
    fn join(&mut self, route: Route) {
        // Where everybody could answer, this portal does.
        let at = if route.owner.service == PORTAL { 0 } else { self.routes.len() };
        self.routes.insert(at, Arc::new(route));
    }
}

impl Places {
    /// Who answers there.
    pub(crate) fn at(&self, verb: &Verb, path: &str) -> Option<&Place> {
        self.by_verb.get(verb)?.iter().find(|place| place.first().binding.template.matches(path))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Place> {
        self.by_verb.values().flatten()
    }

    /// What has no place though its contract wants one, and why, in words.
    pub(crate) fn refused(&self) -> &BTreeSet<String> {
        &self.refused
    }

    /// Puts a method where its contract wants it. Rundoo's own are to come before all others.
    pub(crate) fn add(&mut self, method: &MethodDescriptor, offer: &Offer) {
        let name = method.full_name();
        for binding in rule::bindings(method) {
            let refused = match binding {
                Ok(binding) => {
                    let template = binding.template.clone();
                    let put = self.put(method, binding, offer);
                    put.map_err(|wrong| format!("{name} cannot be called at {template}: {wrong}"))
                }
                Err(wrong) => Err(format!("{name} cannot be called over HTTP: {wrong}")),
            };
            self.refused.extend(refused.err());
        }
    }

    /// Puts a method at a path, unless another one is there.
    fn put(&mut self, method: &MethodDescriptor, binding: Binding, offer: &Offer) -> Result<(), String> {
        let template = binding.template.clone();
        if method.is_client_streaming() {
            return Err("it takes a stream of messages".into());
        }
        if !is_versioned(&template.to_string()) {
            return Err("it does not begin with a version, such as /v1/".into());
        }
        let (verb, is_own) = (binding.verb.clone(), offer.is_own());
        let route = Route::new(method.clone(), binding, offer.owner.clone())?;
        let places = self.by_verb.entry(verb).or_default();
        let taken = places.iter_mut().find(|place| {
            let there = &place.first().binding.template;
            there.collides_with(&template) || (place.is_own && !is_own && there.covers(&template))
        });
        match taken {
            Some(place) if place.takes(&route) => place.join(route),
            Some(place) => return Err(format!("{} is there", place.first().method.full_name())),
            None => {
                places.push(Place { routes: vec![Arc::new(route)], is_own });
                places.sort_by_cached_key(|place| (!place.is_own, place.first().binding.template.precedence()));
            }
        }
        Ok(())
    }
}
