//! Provides who calls.

use std::sync::Arc;

use http::Request;
use tonic::Status;
use tonic::body::Body;

use super::stage::Stage;
use crate::call::{self, Call, Caller};
use crate::tls::Name;

/// Reads the name that the caller gives itself; where there is a certificate, that one decides.
#[derive(Debug)]
pub struct Named;

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
        let Some(name) = request.extensions().get::<Arc<Name>>().cloned() else {
            call.set_caller(claim);
            return Ok(());
        };
        if !call::names_caller(request.headers()) {
            // grpcurl says nothing.
            call.set_caller(Caller::proven(name.to_string()));
        } else if name.agrees_with(claim.as_str()) {
            call.set_caller(Caller::proven(claim.as_str().to_owned()));
        } else {
            call.set_caller(Caller::proven(name.to_string()));
            request.extensions_mut().insert(Impostor(claim.as_str().to_owned()));
        }
        Ok(())
    }
}
