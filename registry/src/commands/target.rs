//! Which instance an operator means: `SERVICE/INSTANCE`, of which the beginning is enough.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::bail;
use proto::registry::{DiscoverRequest, Instance};

use crate::commands::client::Client;
use crate::commands::words::key;

/// Candidates that are named; a person reads no more.
const MOST_NAMED: usize = 10;

/// An instance as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The service's name.
    pub service: String,
    /// The instance's id, or its beginning.
    pub instance: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((service, instance)) if !service.is_empty() && !instance.is_empty() => {
                Ok(Self { service: service.to_owned(), instance: instance.to_owned() })
            }
            _ => Err(format!("{text:?} is not SERVICE/INSTANCE")),
        }
    }
}

impl Target {
    /// Finds the instance that is meant. Of several that begin like this it is the one that is
    /// `likely`, if only one is.
    pub(super) async fn find(&self, client: &Client, likely: fn(&Instance) -> bool) -> anyhow::Result<Instance> {
        let listed = listed(client).await?;
        self.choose(&listed, likely)?.map_or_else(|| bail!(self.missing(&listed)), Ok)
    }

    /// The same, but none when nobody that is still remembered begins like this.
    pub(super) async fn find_if_listed(&self, client: &Client) -> anyhow::Result<Option<Instance>> {
        self.choose(&listed(client).await?, |_| true)
    }

    fn choose(&self, listed: &[Instance], likely: fn(&Instance) -> bool) -> anyhow::Result<Option<Instance>> {
        let begins =
            |instance: &&Instance| instance.service == self.service && instance.instance_id.starts_with(&self.instance);
        let matching: Vec<&Instance> = listed.iter().filter(begins).collect();
        if let Some(exact) = matching.iter().find(|instance| instance.instance_id == self.instance) {
            return Ok(Some(Instance::clone(exact)));
        }
        let probable: Vec<&Instance> = matching.iter().copied().filter(|instance| likely(instance)).collect();
        match if probable.is_empty() { &matching[..] } else { &probable[..] } {
            [] => Ok(None),
            [only] => Ok(Some(Instance::clone(only))),
            several => bail!("\"{self}\" may be any of: {}", in_words(several.iter().copied().map(key))),
        }
    }

    fn missing(&self, listed: &[Instance]) -> String {
        let Self { service, .. } = self;
        let of_service: Vec<&Instance> = listed.iter().filter(|instance| instance.service == *service).collect();
        if of_service.is_empty() {
            let services: BTreeSet<String> = listed.iter().map(|instance| instance.service.clone()).collect();
            return format!("there is no service {service:?}; there are: {}", in_words(services));
        }
        format!("there is no instance \"{self}\"; there are: {}", in_words(of_service.into_iter().map(key)))
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.service, self.instance)
    }
}

async fn listed(client: &Client) -> anyhow::Result<Vec<Instance>> {
    let request = DiscoverRequest { include_down: true, ..Default::default() };
    Ok(client.instances(&request).await?.0)
}

fn in_words(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().collect();
    let shown = names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMED) {
        0 if names.is_empty() => "none".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use proto::registry::InstanceState;

    use super::*;

    fn choose(typed: &str) -> Result<String, String> {
        let instance = |service: &str, id: &str, state: InstanceState| Instance {
            service: service.to_owned(),
            instance_id: id.to_owned(),
            state: state.into(),
            ..Default::default()
        };
        let instances = vec![
            instance("portal", "77aa", InstanceState::Ready),
            instance("productsvc", "3f", InstanceState::Ready),
            instance("productsvc", "3fa1", InstanceState::Ready),
            instance("productsvc", "3fb2", InstanceState::Down),
            instance("productsvc", "4c00", InstanceState::Down),
            instance("productsvc", "5a00", InstanceState::Ready),
            instance("productsvc", "5b00", InstanceState::Ready),
        ];
        let target: Target = typed.parse()?;
        let is_up = |instance: &Instance| instance.state() != InstanceState::Down;
        let found = target.choose(&instances, is_up).map_err(|error| error.to_string())?;
        found.map(|found| key(&found)).ok_or_else(|| target.missing(&instances))
    }

    #[test]
    fn the_beginning_of_an_id_is_enough() {
        assert_eq!(choose("portal/7").as_deref(), Ok("portal/77aa"));
        assert_eq!(choose("productsvc/3fa").as_deref(), Ok("productsvc/3fa1"));
        assert_eq!(choose("productsvc/3f").as_deref(), Ok("productsvc/3f"), "a whole id is no beginning");
        assert_eq!(choose("productsvc/4").as_deref(), Ok("productsvc/4c00"), "nobody else is meant");
    }

    #[test]
    fn who_is_likely_is_meant_rather_than_another() {
        assert_eq!(choose("productsvc/3fb").as_deref(), Ok("productsvc/3fb2"));
        let both = choose("productsvc/5").unwrap_err();
        assert_eq!(both, "\"productsvc/5\" may be any of: productsvc/5a00, productsvc/5b00");
    }

    #[test]
    fn who_is_not_there_is_told_with_who_is() {
        assert_eq!(choose("nobody/1").unwrap_err(), "there is no service \"nobody\"; there are: portal, productsvc");
        assert_eq!(choose("portal/8").unwrap_err(), "there is no instance \"portal/8\"; there are: portal/77aa");
        for bad in ["portal", "portal/", "/1", ""] {
            assert!(choose(bad).unwrap_err().contains("is not SERVICE/INSTANCE"), "{bad}");
        }
    }
}
