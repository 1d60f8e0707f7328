//! Logging in, and out again.

use askama::Template;
use axum::{
    Extension, Form,
    extract::{
        Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::{agent, problem, retry_after};
use crate::{
    cookie::Cookie,
    door::{Client, Door, Visitor, accounts::Refusal, audit},
    error::Failure,
    form::Problem,
    frame::{Frame, Nav, Notice},
    pages,
    visit::Visit,
};

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    next: String,
    notice: Option<Notice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    name: String,
    password: String,
    next: String,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    frame: Frame,
    name: String,
    next: String,
    problem: Option<Problem>,
}

pub(super) async fn show(
    State(door): State<Door>,
    visit: Visit,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(Asked { next, notice }) = asked?;
    // Who is in already, or needs not log in, goes on.
    if !door.is_guarded() || visit.visitor.is_some() {
        return Ok(pages::see_other(own_page(&next)));
    }
    let frame = Frame::new(&visit, Nav::Elsewhere, "Log in").with_notice(notice);
    Ok(pages::page(StatusCode::OK, &Login { frame, name: String::new(), next, problem: None }))
}

pub(super) async fn enter(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    visit: Visit,
    headers: HeaderMap,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Failure> {
    let Form(Typed { name, password, next }) = form?;
    let Some(accounts) = door.accounts() else { return Ok(pages::see_other(own_page(&next))) };
    let refusal = match accounts.log_in((&name, password), &client, agent(&headers)).await {
        Ok((name, secret)) => {
            audit::say(&name, &client, "logged in");
            // Whoever was logged in here is no more: a session never changes hands.
            if let Some(Ok((_, before))) = visit.visitor.as_ref().map(Visitor::session) {
                accounts.store.end(before).await?;
                accounts.forget();
            }
            let mut response = pages::see_other(own_page(&next));
            let (header, value) = Cookie::session(client.is_secure).set(&secret.session(), None);
            response.headers_mut().append(header, value);
            return Ok(response);
        }
        Err(refusal) => refusal,
    };
    if matches!(refusal, Refusal::Wrong | Refusal::Wait(_)) {
        door.refused().say(name.parse().ok().as_ref(), &client, &refusal.to_string());
    }
    let retry_after = retry_after(&refusal);
    let problem = problem(refusal)?;
    let status = problem.status;
    let frame = Frame::new(&visit, Nav::Elsewhere, "Error: Log in");
    let mut response = pages::page(status, &Login { frame, name, next, problem: Some(problem) });
    if let Some(retry_after) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after);
    }
    Ok(response)
}

pub(super) async fn leave(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let (Some(accounts), Ok((name, digest))) = (door.accounts(), visitor.session()) else {
        return Ok(pages::see_other("/"));
    };
    accounts.store.end(digest).await?;
    accounts.forget();
    audit::say(name, &client, "logged out");
    let mut response = pages::see_other("/login?notice=loggedout");
    let (header, value) = Cookie::session(client.is_secure).set("", Some(0));
    response.headers_mut().append(header, value);
    Ok(response)
}

/// Where to go on: to a page of this portal only, whatever an address says.
fn own_page(next: &str) -> &str {
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_own = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login");
    if is_plain && is_own { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_leads_to_a_page_of_this_portal_only() {
        for own in ["/", "/products/7?x=y", "/search?q=%C3%A4&field=any"] {
            assert_eq!(own_page(own), own);
        }
        for foreign in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "/a\r\nb",
            "/\t/evil",
            "/login?next=/",
        ] {
            assert_eq!(own_page(foreign), "/", "{foreign}");
        }
    }
}
