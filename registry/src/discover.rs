//! Discover: one page of the instances that match, and how current it is.

use std::time::Duration;

use proto::registry::{DiscoverRequest, DiscoverResponse, Protection, protection};

use crate::error::Error;
use crate::instances::{Now, Protected, Scope};
use crate::pieces;
use crate::registration::Key;
use crate::requests;
use crate::shared::Shared;

/// How long to wait for a revision that is yet to come.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The name that binds page tokens to this method.
const DISCOVER: &str = "Discover";

/// Answers once the table is as far as was asked.
pub(crate) async fn answer(shared: &Shared, request: &DiscoverRequest) -> Result<DiscoverResponse, Error> {
    let selector = requests::selector(request)?;
    let size = requests::page_size(request.page_size)?;
    let arguments = arguments(request);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let after = page_start(&request.page_token, &arguments)?;
    reach(shared, &request.epoch, request.at_least_revision).await?;

    let mut response = shared.with(|instances| {
        let listed = instances.list(&selector, after.as_ref()).take(size + 1);
        let protections: Vec<Protection> = instances.protections().into_iter().map(described).collect();
        DiscoverResponse {
            instances: listed.map(|entry| instances.as_listed(entry)).collect(),
            next_page_token: String::new(),
            epoch: shared.epoch().to_owned(),
            revision: instances.changes().revision(),
            service_known: selector.service.as_ref().is_none_or(|service| instances.knows(service)),
            warming: instances.is_warming(),
            age: prost_types::Duration::try_from(instances.age(Now::read())).ok(),
            protected: !protections.is_empty(),
            protections,
        }
    });
    let fits = pieces::fitting(&response.instances).min(size);
    if response.instances.len() > fits {
        response.instances.truncate(fits);
        if let Some(last) = response.instances.last() {
            response.next_page_token = mesh::page::encode(DISCOVER, &arguments, &[&last.service, &last.instance_id]);
        }
    }
    Ok(response)
}

/// Waits until the table is at `revision` of `epoch`.
async fn reach(shared: &Shared, epoch: &str, revision: u64) -> Result<(), Error> {
    if !epoch.is_empty() && epoch != shared.epoch() {
        return Err(Error::EpochChanged(shared.epoch().to_owned()));
    }
    let mut published = shared.published();
    let current = || shared.with(|instances| instances.changes().revision());
    let reached = async { while current() < revision && published.changed().await.is_ok() {} };
    let waited = tokio::time::timeout(LONGEST_WAIT, reached).await;
    waited.map_err(|_| Error::RevisionNotReached(current(), revision))
}

/// What a page token is bound to.
fn arguments(request: &DiscoverRequest) -> Vec<String> {
    let mut facts: Vec<String> = request.metadata.iter().map(|(name, value)| format!("{name}={value}")).collect();
    facts.sort();
    let states = format!("{} {:?}", request.include_down, request.states);
    [request.service.clone(), request.version.clone(), request.zone.clone(), states].into_iter().chain(facts).collect()
}

/// The key after which a page begins.
fn page_start(token: &str, arguments: &[&str]) -> Result<Option<Key>, Error> {
    if token.is_empty() {
        return Ok(None);
    }
    let key = mesh::page::decode(token, DISCOVER, arguments).map_err(|_| Error::InvalidPageToken)?;
    let [service, instance] = <[String; 2]>::try_from(key).map_err(|_| Error::InvalidPageToken)?;
    Ok(Some(Key::new(&service, &instance)))
}

fn described(protected: Protected) -> Protection {
    let scope = match protected.scope {
        Scope::Service(name) => protection::Scope::Service(name.to_string()),
        Scope::Zone(name) => protection::Scope::Zone(name.to_string()),
        Scope::Whole => protection::Scope::Whole(protection::Whole {}),
    };
    Protection {
        scope: Some(scope),
        begin_time: Some(mesh::timestamp(protected.since)),
        suspects: protected.suspects,
        instances: protected.instances,
    }
}
