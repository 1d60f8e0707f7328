//! One's own account: password, sessions, API tokens.

use askama::Template;
use axum::{
    Extension, Form,
    extract::{
        Path, Query, State,
        rejection::{FormRejection, QueryRejection},
    },
    response::Response,
};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value as Json;

use super::{accounts, agent, moment, problem, time};
use crate::{
    cookie::Cookie,
    door::{
        Client, Door, Name, Visitor,
        accounts::{Accounts, Refusal, now},
        audit,
        scope::{Scope, Scopes},
        secret::Digest,
        store,
    },
    error::Failure,
    form::Problem,
    frame::{Frame, Nav, Notice},
    list::{self, Table},
    pages,
    time::Moment,
    visit::Visit,
};

#[derive(Deserialize)]
pub(super) struct Asked {
    notice: Option<Notice>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Passwords {
    present: String,
    password: String,
    again: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Ending {
    /// The handle of a session, or `others`.
    session: String,
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    frame: Frame,
    name: String,
    role: &'static str,
    sessions: Vec<Session>,
    tokens: Vec<Token>,
    scopes: [(Scope, bool); 4],
    label: String,
    days: String,
    /// A token that was just made: it is shown this once.
    made: Option<String>,
    problem: Option<Problem>,
}

struct Session {
    handle: String,
    begun: Option<Moment>,
    seen: Option<Moment>,
    address: String,
    agent: String,
    /// Whether it is the one that looks at the page.
    is_this: bool,
}

struct Token {
    id: i64,
    label: String,
    scopes: String,
    expires: Option<Moment>,
    used: Option<Moment>,
    /// Why it does not count any more.
    ended: Option<&'static str>,
}

/// What the form of a new token says.
#[derive(Default)]
struct Wanted {
    label: String,
    scopes: Vec<Scope>,
    days: String,
}

/// What there is to say beside the account itself.
#[derive(Default)]
struct Told {
    notice: Option<Notice>,
    problem: Option<Problem>,
    made: Option<String>,
    wanted: Wanted,
}

pub(super) async fn show(
    State(door): State<Door>,
    (visit, visitor): (Visit, Visitor),
    wanted: list::Wanted,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Failure> {
    if wanted == list::Wanted::Json {
        let (accounts, (name, own)) = (accounts(&door)?, visitor.session()?);
        return Ok(Table::together([
            table_of_sessions(accounts, name, own).await?,
            table_of_tokens(accounts, name).await?,
        ]));
    }
    page(&door, (&visit, &visitor), Told { notice: asked?.notice, ..Told::default() }).await
}

pub(super) async fn sessions(State(door): State<Door>, visitor: Visitor) -> Result<Response, Failure> {
    let (accounts, (name, own)) = (accounts(&door)?, visitor.session()?);
    table_of_sessions(accounts, name, own).await?.answer(list::Wanted::Csv).ok_or(Failure::NoSuchPage)
}

pub(super) async fn tokens(State(door): State<Door>, visitor: Visitor) -> Result<Response, Failure> {
    let (accounts, (name, _)) = (accounts(&door)?, visitor.session()?);
    table_of_tokens(accounts, name).await?.answer(list::Wanted::Csv).ok_or(Failure::NoSuchPage)
}

async fn table_of_sessions(accounts: &Accounts, name: &Name, own: &Digest) -> Result<Table, Failure> {
    let row = |session: Session| {
        let Session { handle, begun, seen, address, agent, is_this } = session;
        vec![handle.into(), time(begun), time(seen), address.into(), agent.into(), is_this.into()]
    };
    let sessions = accounts.store.sessions(Some(name)).await?;
    let rows = sessions.into_iter().map(|session| row(Session::of(session, own))).collect();
    Ok(Table { name: "sessions", columns: &["session", "begun", "seen", "address", "agent", "own"], rows })
}

async fn table_of_tokens(accounts: &Accounts, name: &Name) -> Result<Table, Failure> {
    let row = |token: Token| {
        let Token { id, label, scopes, expires, used, ended } = token;
        vec![id.into(), label.into(), scopes.into(), time(expires), time(used), ended.map_or(Json::Null, Json::from)]
    };
    let tokens = accounts.store.tokens(Some(name)).await?;
    let rows = tokens.into_iter().map(|token| row(Token::from(token))).collect();
    Ok(Table { name: "tokens", columns: &["id", "label", "scopes", "expires", "used", "ended"], rows })
}

pub(super) async fn change_password(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    headers: HeaderMap,
    form: Result<Form<Passwords>, FormRejection>,
) -> Result<Response, Failure> {
    let (accounts, (name, _)) = (accounts(&door)?, visitor.session()?);
    let Form(Passwords { present, password, again }) = form?;
    let changed = match password == again {
        true => accounts.change_password(name, (present, password), &client).await,
        false => Err(Refusal::Silly("The two new passwords differ.")),
    };
    match changed {
        Ok(account) => {
            audit::say(name, &client, "changed the password");
            let begun = accounts.begin(account, &client, agent(&headers)).await;
            let Ok(secret) = begun.inspect_err(|error| tracing::error!("a session could not begin: {error}")) else {
                return Ok(pages::see_other("/login"));
            };
            let mut response = pages::see_other("/account?notice=password");
            let (header, value) = Cookie::session(client.is_secure).set(&secret.session(), None);
            response.headers_mut().append(header, value);
            Ok(response)
        }
        Err(refusal) => {
            let mut problem = problem(refusal)?;
            if problem.status == StatusCode::UNAUTHORIZED {
                "The present password is wrong".clone_into(&mut problem.title);
                "Nothing was changed.".clone_into(&mut problem.text);
            }
            page(&door, (&visit, &visitor), Told { problem: Some(problem), ..Told::default() }).await
        }
    }
}

pub(super) async fn end_session(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    visitor: Visitor,
    form: Result<Form<Ending>, FormRejection>,
) -> Result<Response, Failure> {
    let (accounts, (name, own)) = (accounts(&door)?, visitor.session()?);
    let Form(Ending { session }) = form?;
    if session == "others" {
        accounts.store.end_all(name, Some(own)).await?;
    } else {
        let sessions = accounts.store.sessions(Some(name)).await?;
        for found in sessions.iter().filter(|found| found.digest.handle() == session) {
            accounts.store.end(&found.digest).await?;
        }
    }
    accounts.forget();
    audit::say(name, &client, "ended sessions of the own account");
    Ok(pages::see_other("/account?notice=ended"))
}

pub(super) async fn add_token(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    (visit, visitor): (Visit, Visitor),
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Result<Response, Failure> {
    let (accounts, (name, _)) = (accounts(&door)?, visitor.session()?);
    let mut wanted = Wanted::default();
    let Form(parts) = form?;
    for (key, value) in parts {
        match key.as_str() {
            "label" => wanted.label = value,
            "days" => wanted.days = value,
            "scope" => wanted.scopes.extend(value.parse::<Scope>()),
            _ => {}
        }
    }
    let made = match (Scopes::new(wanted.scopes.clone()), wanted.days.trim().parse()) {
        (None, _) => Err(Refusal::Silly("Say what the token is for: choose a scope at least.")),
        (_, Err(_)) => Err(Refusal::Silly("A token lives 1 to 366 days.")),
        (Some(scopes), Ok(days)) => accounts.add_token(name, (&wanted.label, scopes), days).await,
    };
    let told = match made {
        Ok((id, secret)) => {
            audit::say(name, &client, &format!("made API token {id}"));
            Told { made: Some(secret.token()), ..Told::default() }
        }
        Err(refusal) => Told { problem: Some(problem(refusal)?), wanted, ..Told::default() },
    };
    page(&door, (&visit, &visitor), told).await
}

pub(super) async fn revoke_token(
    State(door): State<Door>,
    Extension(client): Extension<Client>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    let (accounts, (name, _)) = (accounts(&door)?, visitor.session()?);
    let id = id.parse().map_err(|_| Failure::NoSuchPage)?;
    accounts.store.revoke(id, Some(name)).await?;
    accounts.forget();
    audit::say(name, &client, &format!("revoked API token {id}"));
    Ok(pages::see_other("/account?notice=revoked"))
}

async fn page(door: &Door, (visit, visitor): (&Visit, &Visitor), told: Told) -> Result<Response, Failure> {
    let (accounts, (name, own)) = (accounts(door)?, visitor.session()?);
    let sessions = accounts.store.sessions(Some(name)).await?;
    let tokens = accounts.store.tokens(Some(name)).await?;
    let Told { notice, problem, made, wanted } = told;
    let title = if problem.is_some() { "Error: Account" } else { "Account" };
    let account = Account {
        frame: Frame::new(visit, Nav::Elsewhere, title).with_notice(notice),
        name: name.to_string(),
        role: visitor.role().name(),
        sessions: sessions.into_iter().map(|session| Session::of(session, own)).collect(),
        tokens: tokens.into_iter().map(Token::from).collect(),
        scopes: Scope::ALL.map(|scope| (scope, wanted.scopes.contains(&scope))),
        label: wanted.label,
        days: if wanted.days.is_empty() { "90".into() } else { wanted.days },
        made,
        problem,
    };
    let status = account.problem.as_ref().map_or(StatusCode::OK, |problem| problem.status);
    Ok(pages::page(status, &account))
}

impl Session {
    fn of(session: store::Session, own: &Digest) -> Session {
        Session {
            is_this: session.digest == *own,
            handle: session.digest.handle(),
            begun: moment(session.begun),
            seen: moment(session.seen),
            address: session.address,
            agent: session.agent,
        }
    }
}

impl From<store::Token> for Token {
    fn from(token: store::Token) -> Token {
        let has_expired = token.expires <= now();
        Token {
            id: token.id,
            label: token.label,
            scopes: token.scopes.to_string(),
            expires: moment(token.expires),
            used: moment(token.used).filter(|_| token.used > 0),
            ended: if token.revoked { Some("revoked") } else { has_expired.then_some("expired") },
        }
    }
}
