//! Provides who calls.

use http::Request;
use tonic::Status;
use tonic::body::Body;

use super::stage::Stage;
use crate::call::{self, Call, Caller};

/// Reads the name that the caller gives itself.
#[derive(Debug)]
pub struct Named;

impl Stage for Named {
    const NAME: &'static str = "caller";
    type Value = Caller;
    type Escort = ();

    fn arrive(&self, request: &mut Request<Body>) -> Result<(), Status> {
        if let Some(call) = request.extensions().get::<Call>() {
            call.set_caller(call::read_caller(request.headers()));
        }
        Ok(())
    }
}
