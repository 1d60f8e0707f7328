//! Refuses who claims to be another, and who may not call this method: PERMISSION_DENIED.
//!
//! Inside of the metrics, so that refusals count, and outside of everything that costs.

use http::Request;
use proto::mesh::ErrorReason;
use tonic::body::Body;
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};

use super::caller::Impostor;
use super::stage::Stage;
use crate::call::{Call, Caller};
use crate::complaints::Complaints;
use crate::policy::Policy;
use crate::refusal::Refusal;

/// Judges by who the certificate says that calls.
#[derive(Debug)]
pub struct Permits {
    /// None when whoever has a certificate may call everything.
    pub(super) policy: Option<Policy>,
    pub(super) complaints: Complaints,
}

impl Stage for Permits {
    const NAME: &'static str = "policy";
    type Value = ();
    type Escort = ();

    fn arrive(&self, request: &mut Request<Body>) -> Result<(), Status> {
        let Some(call) = request.extensions().get::<Call>() else { return Ok(()) };
        let caller = call.get::<Caller>().map_or("unknown", Caller::as_str);
        let method = request.uri().path().trim_start_matches('/');
        let (reason, message) = match (request.extensions().get::<Impostor>(), &self.policy) {
            (Some(Impostor(claim)), _) => (
                ErrorReason::CallerMismatch,
                format!("the caller says that it is {claim}, and its certificate is for {caller}"),
            ),
            (None, Some(policy)) if !policy.permits(caller, request.uri().path()) => {
                (ErrorReason::Policy, format!("{caller} may not call {method}: no rule of the policy allows it"))
            }
            _ => return Ok(()),
        };
        let peer = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
        let peer = peer.map(tracing::field::display);
        self.complaints.warn(|more| {
            // The call is not yet that of the task, and the record should have its ids.
            call.sync_scope(|| tracing::warn!(caller, method, peer, "refused a call: {message}{more}"));
        });
        Err(Refusal::new(Code::PermissionDenied, proto::mesh::DOMAIN, reason.as_str_name(), message).into_status())
    }
}
