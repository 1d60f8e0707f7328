//! Logging in and out, accounts, and who changed what.

mod account;
mod audit;
mod login;
mod users;

use std::time::Duration;

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse as _, Redirect, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value as Json;

use crate::{
    door::{
        Denial, Door,
        accounts::{Accounts, Refusal},
        hasher::Busy,
        store::StoreError,
    },
    error::Failure,
    form::Problem,
    pages::Site,
    time::Moment,
};

/// Where they are; which role each needs stands in `door/rules.rs`.
pub(super) fn routes() -> Router<Site> {
    Router::new()
        .route("/account", get(account::show))
        .route("/account/sessions.csv", get(account::sessions))
        .route("/account/tokens.csv", get(account::tokens))
        .route("/account/password", post(account::change_password))
        .route("/account/sessions", post(account::end_session))
        .route("/account/tokens", post(account::add_token))
        .route("/account/tokens/{id}/revoke", post(account::revoke_token))
        .route("/users", get(users::show).post(users::add))
        .route("/users.csv", get(users::show))
        .route("/users/{name}", get(users::ask))
        .route("/users/{name}/role", post(users::set_role))
        .route("/users/{name}/password", post(users::set_password))
        .route("/users/{name}/sessions", post(users::end_sessions))
        .route("/users/{name}/remove", post(users::remove))
        .route("/logout", get(async || Redirect::to("/")).post(login::leave))
        .layer(from_fn(to_its_end))
        .route("/login", get(login::show).post(login::enter))
        .route("/audit", get(audit::show))
        .route("/audit.csv", get(audit::show))
}

/// Goes on when nobody waits any more: what is changed of an account is told, and only its page does so.
async fn to_its_end(request: Request, next: Next) -> Response {
    let ended = mesh::spawn("page of an account", next.run(request)).await;
    ended.unwrap_or_else(|cause| Failure::Internal(format!("a page of an account failed: {cause}")).into_response())
}

/// The accounts. While the door is open nobody has one, and there is no such page.
fn accounts(door: &Door) -> Result<&Accounts, Failure> {
    door.accounts().ok_or(Failure::NoSuchPage)
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Missing => Failure::Denied(Denial::NoAccount),
            error => {
                tracing::error!("the accounts do not work: {error}");
                Failure::Denied(Denial::Away)
            }
        }
    }
}

/// What a form says of a refusal; what no form can mend is a failure.
fn problem(refusal: Refusal) -> Result<Problem, Failure> {
    let (status, title, text) = match refusal {
        Refusal::Wrong => {
            (StatusCode::UNAUTHORIZED, "The name or the password is wrong", "Type both again.".to_owned())
        }
        Refusal::Wait(wait) => {
            let seconds = whole_seconds(wait);
            let text = format!("Nothing was tried now. The next try may be in {}.", pause(seconds));
            (StatusCode::TOO_MANY_REQUESTS, "Too many tries went wrong", text)
        }
        Refusal::Silly(why) => (StatusCode::UNPROCESSABLE_ENTITY, "There is a problem", why.to_owned()),
        Refusal::Busy(Busy) => return Err(Failure::Denied(Denial::Busy)),
        Refusal::Store(StoreError::Taken) => {
            (StatusCode::CONFLICT, "There is a problem", "There is an account of this name already.".to_owned())
        }
        Refusal::Store(StoreError::LastAdministrator) => {
            let text = "Nobody would be an administrator any more. Make another one first.";
            (StatusCode::CONFLICT, "There is a problem", text.to_owned())
        }
        Refusal::Store(StoreError::Tokens(most)) => {
            let text = format!("There are {most} tokens that count. Revoke one that is not needed any more.");
            (StatusCode::CONFLICT, "There is a problem", text)
        }
        Refusal::Store(error) => return Err(error.into()),
    };
    Ok(Problem::new(status, title, text))
}

/// A wait in seconds: whoever waits so long does not come early.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// In words.
fn pause(seconds: u64) -> String {
    match seconds {
        1 => "a second".into(),
        ..120 => format!("{seconds} seconds"),
        _ => format!("{} minutes", seconds.div_ceil(60)),
    }
}

/// In how many seconds a refused try may be repeated, for the header.
fn retry_after(refusal: &Refusal) -> Option<HeaderValue> {
    match refusal {
        Refusal::Wait(wait) => Some(HeaderValue::from(whole_seconds(*wait))),
        _ => None,
    }
}

/// What a browser calls itself.
fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A time in a list for programs.
fn time(moment: Option<Moment>) -> Json {
    moment.map_or(Json::Null, |moment| moment.iso().into())
}

/// A time of the file of accounts.
fn moment(seconds: i64) -> Option<Moment> {
    Moment::read(Some(prost_types::Timestamp { seconds, nanos: 0 }))
}
