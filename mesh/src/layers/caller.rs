//! Provides who calls, and for whom.

use std::sync::Arc;

use http::Request;
use tonic::Status;
use tonic::body::Body;

use super::stage::Stage;
use crate::call::{self, Call, Caller};

/// Reads the name that the caller gives itself, and for whom it calls if it is believed in that.
#[derive(Debug)]
pub struct Named {
    /// The services that are believed: those that know people.
    pub(crate) believed: Arc<[String]>,
}

impl Stage for Named {
    const NAME: &'static str = "caller";
    type Value = Caller;
    type Escort = ();

    fn arrive(&self, request: &mut Request<Body>) -> Result<(), Status> {
        if let Some(call) = request.extensions().get::<Call>() {
            let caller = call::read_caller(request.headers());
            if self.believed.iter().any(|service| !service.is_empty() && service == caller.service()) {
                call::read_actor(request.headers()).into_iter().for_each(|actor| call.set_actor(actor));
            }
            call.set_caller(caller);
        }
        Ok(())
    }
}
