//! In whose name a caller speaks: with certificates, a service registers, renews and takes down its own instances only.

use mesh::Call;
use mesh::call::Caller;
use tonic::Request;

use crate::error::Error;
use crate::registration::Key;

/// Who says something of an instance.
#[derive(Debug)]
pub(crate) struct Speaker(Option<Caller>);

impl Speaker {
    pub(crate) fn of<T>(request: &Request<T>) -> Self {
        // What was only said needs no keeping: there is nothing to hold it against.
        Self(Call::of(request).get::<Caller>().filter(|caller| caller.is_proven()).cloned())
    }

    /// Refuses whose certificate is that of another service.
    pub(crate) fn check(&self, key: &Key) -> Result<(), Error> {
        match &self.0 {
            Some(caller) if !caller.speaks_for(&key.service) => {
                let error = Error::OtherService { caller: caller.to_string(), service: key.service.clone() };
                tracing::warn!(caller = caller.as_str(), "refused word of {key}: {error}");
                Err(error)
            }
            _ => Ok(()),
        }
    }
}
