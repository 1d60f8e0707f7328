//! In whose name a caller speaks: with certificates, a service registers, renews and takes down its own instances only.

use std::net::SocketAddr;

use mesh::call::Caller;
use mesh::{Call, Complaints};
use tonic::Request;

use crate::error::Error;
use crate::registration::Key;

/// Who says something of an instance.
#[derive(Debug)]
pub(crate) struct Speaker {
    /// None when it was only said who it is: there is nothing to hold that against.
    proven: Option<Caller>,
    peer: Option<SocketAddr>,
    complaints: Complaints,
}

impl Speaker {
    pub(crate) fn of<T>(request: &Request<T>, complaints: &Complaints) -> Self {
        let proven = Call::of(request).get::<Caller>().filter(|caller| caller.is_proven()).cloned();
        Self { proven, peer: request.remote_addr(), complaints: complaints.clone() }
    }

    /// Refuses whose certificate is that of another service.
    pub(crate) fn check(&self, key: &Key) -> Result<(), Error> {
        let Some(caller) = self.proven.as_ref().filter(|caller| !caller.speaks_for(&key.service)) else {
            return Ok(());
        };
        let error = Error::OtherService { caller: caller.to_string(), service: key.service.clone() };
        let peer = self.peer.map(tracing::field::display);
        self.complaints.warn(|more| {
            tracing::warn!(caller = caller.as_str(), peer, "refused word of {key}: {error}{more}");
        });
        Err(error)
    }
}
