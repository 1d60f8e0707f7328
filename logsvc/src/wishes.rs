//! Which log levels are wanted of whom: told to producers with their acknowledgements.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::logs::RequestLevelsRequest;

use crate::error::Error;

/// How long a wish lasts when nobody says, and at most.
const USUAL: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Longer ones are no wish of a person.
const LONGEST_LEVELS: usize = 1024;

/// Services that something is wished of.
const MOST: usize = 256;

/// What is wished, by service; that of the empty name is for all.
#[derive(Debug, Default)]
pub(crate) struct Wishes(Mutex<HashMap<String, (String, Instant)>>);

impl Wishes {
    /// Keeps a wish, or takes one back.
    pub(crate) fn request(&self, request: RequestLevelsRequest) -> Result<(), Error> {
        let invalid = |field, description: &str| Error::InvalidField { field, description: description.to_owned() };
        if request.service.len() > 63 {
            return Err(invalid("service", "must be the name of a service"));
        }
        if request.levels.len() > LONGEST_LEVELS {
            return Err(invalid("levels", "must be at most 1024 bytes"));
        }
        let levels = request.levels.trim();
        if !levels.is_empty() && !mesh::are_levels(levels) {
            return Err(invalid("levels", "must be a level, or levels by target as in info,productsvc=debug"));
        }
        let duration = match request.duration {
            None => USUAL,
            Some(duration) => mesh::from_duration(&duration)
                .ok_or_else(|| invalid("duration", "must be a positive duration"))?
                .min(LONGEST),
        };
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        wishes.retain(|_, (_, end)| *end > now);
        if request.levels.trim().is_empty() {
            wishes.remove(&request.service);
        } else if wishes.len() >= MOST && !wishes.contains_key(&request.service) {
            return Err(invalid("service", "is one of too many with other levels"));
        } else {
            wishes.insert(request.service, (request.levels, now + duration));
        }
        Ok(())
    }

    /// What is wished of a service; empty when nothing is.
    pub(crate) fn of(&self, service: &str) -> String {
        let wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let wish = |name: &str| wishes.get(name).filter(|(_, end)| *end > now).map(|(levels, _)| levels.clone());
        wish(service).or_else(|| wish("")).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(service: &str, levels: &str) -> RequestLevelsRequest {
        RequestLevelsRequest { service: service.into(), levels: levels.into(), duration: None }
    }

    #[test]
    fn the_wish_for_a_service_counts_more_than_that_for_all() {
        let wishes = Wishes::default();
        wishes.request(request("", "warn")).unwrap();
        wishes.request(request("portal", "debug")).unwrap();

        assert_eq!((wishes.of("portal").as_str(), wishes.of("productsvc").as_str()), ("debug", "warn"));
        wishes.request(request("portal", "")).unwrap();
        assert_eq!(wishes.of("portal"), "warn");
    }
}
