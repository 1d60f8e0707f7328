//! Who comes in, and what they may do: the portal's door.
//!
//! Each request gets its [`Visitor`] here, and here alone it is asked whether the
//! role is enough: pages by [`rules`], a gateway's methods by [`Visitor::demand`].
//! What a page shows is none of this file's business.

mod denial;
mod role;
mod rules;
mod visitor;

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

pub(crate) use denial::Denial;
pub(crate) use role::{Area, Role};
pub(crate) use visitor::Visitor;

use rules::Need;

/// Lets a request in, or says why not.
pub(crate) async fn admit(mut request: Request, next: Next) -> Response {
    let visitor = Visitor::open();
    let allowed = match rules::need(request.method(), request.uri().path()) {
        Need::Nothing | Need::Login => Ok(()),
        Need::Role(Area::Products, role) => visitor.demand(role),
        Need::Role(area, role) => visitor.demand_in(area, role),
    };
    if let Err(failure) = allowed {
        return failure.into_response();
    }
    request.extensions_mut().insert(visitor);
    next.run(request).await
}
