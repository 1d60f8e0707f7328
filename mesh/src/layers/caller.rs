//! Provides who calls, and for whom.

use std::sync::Arc;

use http::Request;
use tonic::Status;
use tonic::body::Body;

use super::stage::Stage;
use crate::call::{self, Call, Caller};
use crate::tls::Name;

/// Reads the name that the caller gives itself, where there is a certificate that one decides, and for whom it calls
/// if it is believed in that.
#[derive(Debug)]
pub struct Named {
    /// The services that are believed: those that know people.
    pub(crate) believed: Arc<[String]>,
}

/// What a caller called itself that its certificate does not agree with. The layer `policy` refuses it.
#[derive(Debug, Clone)]
pub(super) struct Impostor(pub(super) String);

impl Stage for Named {
    const NAME: &'static str = "caller";
    type Value = Caller;
    type Escort = ();

    fn arrive(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let Some(call) = request.extensions().get::<Call>().cloned() else { return Ok(()) };
        let claim = call::read_caller(request.headers());
        let caller = match request.extensions().get::<Arc<Name>>().cloned() {
            None => claim,
            // grpcurl says nothing.
            Some(name) if !call::names_caller(request.headers()) => Caller::proven(name.to_string()),
            Some(name) if name.agrees_with(claim.as_str()) => Caller::proven(claim.as_str().to_owned()),
            Some(name) => {
                request.extensions_mut().insert(Impostor(claim.as_str().to_owned()));
                Caller::proven(name.to_string())
            }
        };
        if self.believed.iter().any(|service| !service.is_empty() && service == caller.service()) {
            call::read_actor(request.headers()).into_iter().for_each(|actor| call.set_actor(actor));
        }
        call.set_caller(caller);
        Ok(())
    }
}
