//! All accounts, for administrators: who there is, and what they may.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Extension, Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use super::{accounts, moment, problem, time};
use crate::{
    door::{
        Client, Denial, Door, Name, Role, Visitor,
        accounts::{Accounts, Refusal},
        audit,
    },
    error::Failure,
    form::Problem,
    frame::{Frame, Nav, Notice},
    list::{Table, Wanted},
    pages,
    query::link,
    time::Moment,
    visit::Visit,
};

#[derive(Deserialize)]
pub(super) struct Asked {
    notice: Option<Notice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    name: String,
    role: String,
    password: String,
}

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    frame: Frame,
    users: Vec<User>,
    roles: [Role; 3],
    name: String,
    role: Role,
    problem: Option<Problem>,
}

#[derive(Template)]
#[template(path = "user.html")]
struct One {
    frame: Frame,
    user: User,
    roles: [Role; 3],
    /// What they did.
    audit: String,
    problem: Option<Problem>,
}

struct User {
    name: String,
    role: Role,
    created: Option<Moment>,
    seen: Option<Moment>,
    sessions: usize,
    tokens: usize,
}

pub(super) async fn show(
    State(door): State<Door>,
    visit: Visit,
    wanted: Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    let accounts = accounts(&door)?;
    if wanted != Wanted::Page
        && let Some(list) = table(users(accounts).await?).answer(wanted)
    {
        return Ok(list);
    }
    let frame = Frame::new(&visit, Nav::Users, "Users").with_notice(asked?.notice);
    list(accounts, frame, (String::new(), Role::Viewer), None).await
}

fn table(users: Vec<User>) -> Table {
    let row = |user: User| {
        let User { name, role, created, seen, sessions, tokens } = user;
        vec![name.into(), role.name().into(), time(created), time(seen), sessions.into(), tokens.into()]
    };
    let columns = &["name", "role", "created", "seen", "sessions", "tokens"];
    Table { name: "users", columns, rows: users.into_iter().map(row).collect() }
}

pub(super) async fn add(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Failure> {
    let accounts = accounts(&door)?;
    let Form(Typed { name: typed, role, password }) = form?;
    let role = role.parse().map_err(Failure::BadRequest)?;
    let refusal = match typed.parse::<Name>() {
        Err(why) => Refusal::Silly(why),
        Ok(name) => match accounts.add(&name, role, password).await {
            Ok(()) => {
                say(&visitor, &client, &format!("added account {name} as {role}"));
                return Ok(pages::see_other(&format!("{}?notice=user", user_link(&name))));
            }
            Err(refusal) => refusal,
        },
    };
    let frame = Frame::new(&visit, Nav::Users, "Error: Users");
    list(accounts, frame, (typed, role), Some(problem(refusal)?)).await
}

pub(super) async fn ask(
    State(door): State<Door>,
    visit: Visit,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    one(accounts(&door)?, &visit, &read(&name)?, (asked?.notice, None)).await
}

pub(super) async fn set_role(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    Path(name): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Failure> {
    let (accounts, name, Form(Typed { role, .. })) = (accounts(&door)?, read(&name)?, form?);
    let role: Role = role.parse().map_err(Failure::BadRequest)?;
    let done = accounts.store.set_role(&name, role).await.map_err(Refusal::from);
    let what = format!("made account {name} a {role}");
    finish(accounts, &visit, &name, (done, &|| say(&visitor, &client, &what))).await
}

pub(super) async fn set_password(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    Path(name): Path<String>,
    form: Result<Form<Typed>, FormRejection>,
) -> Result<Response, Failure> {
    let (accounts, name, Form(Typed { password, .. })) = (accounts(&door)?, read(&name)?, form?);
    let done = accounts.set_password(&name, password).await;
    let what = format!("gave account {name} another password");
    finish(accounts, &visit, &name, (done, &|| say(&visitor, &client, &what))).await
}

pub(super) async fn end_sessions(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    visitor: Visitor,
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let (accounts, name) = (accounts(&door)?, read(&name)?);
    accounts.store.end_all(&name, None).await?;
    accounts.forget();
    say(&visitor, &client, &format!("ended all sessions of account {name}"));
    Ok(pages::see_other(&format!("{}?notice=ended", user_link(&name))))
}

pub(super) async fn remove(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    Path(name): Path<String>,
) -> Result<Response, Failure> {
    let (accounts, name) = (accounts(&door)?, read(&name)?);
    match accounts.store.remove(&name).await.map_err(Refusal::from) {
        Ok(()) => {
            accounts.forget();
            say(&visitor, &client, &format!("removed account {name}"));
            Ok(pages::see_other("/users?notice=removed"))
        }
        Err(refusal) => one(accounts, &visit, &name, (None, Some(problem(refusal)?))).await,
    }
}

/// Shows the account again, with what came of a change.
async fn finish(
    accounts: &Accounts,
    visit: &Visit,
    name: &Name,
    (done, say): (Result<(), Refusal>, &(dyn Fn() + Sync)),
) -> Result<Response, Failure> {
    match done {
        Ok(()) => {
            accounts.forget();
            say();
            Ok(pages::see_other(&format!("{}?notice=user", user_link(name))))
        }
        Err(refusal) => one(accounts, visit, name, (None, Some(problem(refusal)?))).await,
    }
}

async fn list(
    accounts: &Accounts,
    frame: Frame,
    (name, role): (String, Role),
    problem: Option<Problem>,
) -> Result<Response, Failure> {
    let users = users(accounts).await?;
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &Users { frame, users, roles: Role::ALL, name, role, problem }))
}

async fn one(
    accounts: &Accounts,
    visit: &Visit,
    name: &Name,
    (notice, problem): (Option<Notice>, Option<Problem>),
) -> Result<Response, Failure> {
    let found = users(accounts).await?.into_iter().find(|user| user.name == name.as_str());
    let user = found.ok_or(Failure::Denied(Denial::NoAccount))?;
    let title = format!("{}Account {name}", if problem.is_some() { "Error: " } else { "" });
    let frame = Frame::behind(visit, Nav::Users, title).with_notice(notice);
    let audit = link("/audit", &[("actor", name.as_str()), ("since", "30d")]);
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &One { frame, user, roles: Role::ALL, audit, problem }))
}

async fn users(accounts: &Accounts) -> Result<Vec<User>, Failure> {
    let mut sessions: HashMap<i64, (usize, i64)> = HashMap::new();
    for session in accounts.store.sessions(None).await? {
        let of = sessions.entry(session.account.id).or_default();
        *of = (of.0 + 1, of.1.max(session.seen));
    }
    let mut tokens: HashMap<i64, usize> = HashMap::new();
    for token in accounts.store.tokens(None).await?.iter().filter(|token| !token.revoked) {
        *tokens.entry(token.account.id).or_default() += 1;
    }
    let user = |account: crate::door::store::Account| {
        let (open, seen) = sessions.get(&account.id).copied().unwrap_or_default();
        User {
            name: account.name.to_string(),
            role: account.role,
            created: moment(account.created),
            seen: moment(seen).filter(|_| open > 0),
            sessions: open,
            tokens: tokens.get(&account.id).copied().unwrap_or_default(),
        }
    };
    Ok(accounts.store.accounts().await?.into_iter().map(user).collect())
}

impl User {
    fn link(&self) -> String {
        format!("/users/{}", self.name)
    }
}

/// Every letter of a name is plain in an address.
fn user_link(name: &Name) -> String {
    format!("/users/{name}")
}

fn read(name: &str) -> Result<Name, Failure> {
    name.parse().map_err(|_| Failure::Denied(Denial::NoAccount))
}

fn say(visitor: &Visitor, client: &Client, what: &str) {
    visitor.name().into_iter().for_each(|actor| audit::say(actor, client, what));
}
