//! Who comes in, and what they may do: the portal's door.
//!
//! Each request gets its [`Visitor`] here, and here alone it is asked whether the
//! role is enough: pages by [`rules`], a gateway's methods by [`Visitor::demand`].
//! What a page shows is none of this file's business.

mod denial;
mod role;
mod rules;
mod visitor;

mod name;
pub(crate) mod password;
pub(crate) mod hasher;
pub(crate) mod scope;
pub(crate) mod secret;

pub(crate) mod accounts;
mod attempts;
pub(crate) mod store;

pub(crate) mod audit;
mod buckets;
mod client;
mod credential;
mod stay;

pub(crate) mod commands;
pub(crate) mod deeds;
mod settings;

use std::{net::IpAddr, sync::Arc};

use anyhow::Context as _;
use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use mesh::{App, Call, Complaints, call::Actor};
use tokio::time::Instant;
use tracing::info;

pub(crate) use client::{Client, Network};
pub(crate) use denial::Denial;
pub(crate) use name::Name;
pub(crate) use role::{Area, Role};
pub(crate) use visitor::Visitor;

pub(crate) use settings::{Login, Settings};

use accounts::Accounts;
use audit::{Begun, Pending};
use buckets::{Buckets, Key};
use credential::Credential;
use rules::Need;
use store::Store;

use crate::{config::Config, error::Failure, gateway, list::Wanted, query::link};

/// The door. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Door(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    /// Nothing while the door is open.
    accounts: Option<Accounts>,
    buckets: Option<Buckets>,
    proxies: Vec<IpAddr>,
    refused: audit::Refused,
    strangers: Complaints,
}

impl Door {
    /// The door that these settings ask for: the one place that says what must be there before pages are served.
    ///
    /// Where other machines reach them, or when it is asked for, somebody must be able to log in; and
    /// off this machine nobody may read along, unless `--insecure` says that something else sees to it.
    pub(crate) async fn open(app: &App, config: &Config, is_encrypted: bool) -> anyhow::Result<Door> {
        if !is_encrypted {
            app.check_exposure(config.http_listen)?;
        }
        let (settings, is_local) = (&config.door, config.http_listen.ip().is_loopback());
        let is_guarded = !is_local || settings.login != Login::Auto;
        let mut parts = Parts {
            accounts: None,
            buckets: settings.rate(is_guarded).map(Buckets::new),
            proxies: settings.trusted_proxy.iter().map(IpAddr::to_canonical).collect(),
            refused: audit::Refused::none(),
            strangers: Complaints::default(),
        };
        if !is_guarded {
            return Ok(Door(Arc::new(parts)));
        }
        let path = &settings.accounts.accounts;
        let could_not = || format!("could not use the accounts in {}", path.display());
        let accounts = Accounts::new(Store::open(path).await.with_context(could_not)?);
        let is_ready = accounts.have_administrator().await.with_context(could_not)?;
        anyhow::ensure!(
            is_ready,
            "nobody could log in at {}: make an administrator first, with `portal user add NAME --role administrator`",
            config.http_listen
        );
        info!("people log in; their accounts are in {}", path.display());
        parts.accounts = Some(accounts);
        Ok(Door(Arc::new(parts)))
    }

    /// A door through which everybody comes.
    #[cfg(test)]
    pub(crate) fn unlocked() -> Door {
        let (refused, strangers) = (audit::Refused::none(), Complaints::default());
        Door(Arc::new(Parts { accounts: None, buckets: None, proxies: Vec::new(), refused, strangers }))
    }

    /// The accounts; nothing while the door is open, for then nobody needs one.
    pub(crate) fn accounts(&self) -> Option<&Accounts> {
        self.0.accounts.as_ref()
    }

    /// Those who did not come in.
    pub(crate) fn refused(&self) -> &audit::Refused {
        &self.0.refused
    }

    /// What of somebody unknown comes to nothing, as far as it is told.
    pub(crate) fn strangers(&self) -> &Complaints {
        &self.0.strangers
    }

    /// Whether people log in.
    pub(crate) fn is_guarded(&self) -> bool {
        self.0.accounts.is_some()
    }

    /// Who comes without being asked: while the door is open, everybody.
    pub(crate) fn usual_visitor(&self) -> Option<Visitor> {
        (!self.is_guarded()).then(Visitor::open)
    }

    /// Where a request comes from.
    pub(crate) fn client(&self, request: &Request) -> Client {
        let peer = request.extensions().get().copied().unwrap_or(crate::edge::Peer::NOBODY);
        Client::of(peer, request.headers(), &self.0.proxies)
    }

    /// Closes the file of accounts.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Some(accounts) = self.accounts() {
            accounts.store.close().await;
        }
        Ok(())
    }

    /// Whose credential this is: nobody's when there is none, or it is of a session that has ended.
    async fn identify(&self, credential: Option<Credential>, client: &Client) -> Result<Option<Visitor>, Denial> {
        let Some(accounts) = self.accounts() else { return Ok(Some(Visitor::open())) };
        let Some(credential) = credential else { return Ok(None) };
        if let Some(known) = accounts.known(credential.digest()) {
            return Ok(Some(known));
        }
        // Guesses cost whoever makes them.
        self.limit(Key::Network(client.network()))?;
        self.whose(credential).await
    }

    /// The same for one that was let in before, which costs nothing.
    async fn whose(&self, credential: Credential) -> Result<Option<Visitor>, Denial> {
        let Some(accounts) = self.accounts() else { return Ok(Some(Visitor::open())) };
        if let Some(known) = accounts.known(credential.digest()) {
            return Ok(Some(known));
        }
        accounts.look_up(credential).await
    }

    /// Whether a credential still is this visitor's, whatever was looked up before.
    async fn still_is(&self, visitor: &Visitor, credential: Credential) -> Result<(), Denial> {
        let Some(accounts) = self.accounts() else { return Ok(()) };
        let found = accounts.look_up(credential).await?;
        if found.as_ref() == Some(visitor) { Ok(()) } else { Err(Denial::Ended) }
    }

    /// Takes from what a client may send, for a request that is refused before it gets here.
    pub(crate) fn take_from(&self, client: &Client) -> Result<(), Denial> {
        self.limit(Key::Network(client.network()))
    }

    fn limit(&self, key: Key) -> Result<(), Denial> {
        let Some(buckets) = &self.0.buckets else { return Ok(()) };
        buckets.take(key, Instant::now()).map_err(|seconds| Denial::TooMany { seconds })
    }

    /// Who may come in with this request; everybody where nothing is needed. With a refusal comes whose it is, where
    /// that is known.
    async fn judge(
        &self,
        need: Need,
        credential: Result<Option<Credential>, Denial>,
        client: &Client,
    ) -> Result<Option<Visitor>, (Failure, Option<Visitor>)> {
        let visitor = self.recognise(need, credential, client).await.map_err(|failure| (failure, None))?;
        match self.allows(need, visitor.as_ref(), client) {
            Ok(()) => Ok(visitor),
            Err(failure) => Err((failure, visitor)),
        }
    }

    /// Who asks; nobody where nothing is needed and nothing counts.
    async fn recognise(
        &self,
        need: Need,
        credential: Result<Option<Credential>, Denial>,
        client: &Client,
    ) -> Result<Option<Visitor>, Failure> {
        let visitor = match credential {
            Ok(credential) => self.identify(credential, client).await,
            Err(_) if !self.is_guarded() => Ok(Some(Visitor::open())),
            Err(denial) => Err(denial),
        };
        // Who sends a token that does not count may still see what is everybody's.
        match visitor {
            Err(denial @ (Denial::UnknownToken | Denial::ExpiredToken | Denial::RevokedToken)) => {
                self.limit(Key::Network(client.network())).map_err(Failure::Denied)?;
                if need == Need::Nothing { Ok(None) } else { Err(Failure::Denied(denial)) }
            }
            other => other.map_err(Failure::Denied),
        }
    }

    fn allows(&self, need: Need, visitor: Option<&Visitor>, client: &Client) -> Result<(), Failure> {
        let key = visitor.and_then(Visitor::key).unwrap_or(Key::Network(client.network()));
        self.limit(key).map_err(Failure::Denied)?;
        match (need, visitor) {
            (Need::Nothing, _) | (Need::Login, Some(_)) => Ok(()),
            (_, None) => Err(Failure::Denied(Denial::Login)),
            (Need::Role(Area::Products, role), Some(visitor)) => visitor.demand(role),
            (Need::Role(area, role), Some(visitor)) => visitor.demand_in(area, role),
        }
    }
}

/// Lets a request in, or says why not.
pub(crate) async fn admit(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let client = request.extensions().get().copied().unwrap_or_else(|| door.client(&request));
    let need = rules::need(request.method(), request.uri().path());
    let credential = Credential::read(request.headers(), &client);
    let visitor = match door.judge(need, credential.clone(), &client).await {
        Ok(visitor) => visitor,
        Err((Failure::Denied(Denial::Login), None))
            if is_for_people(request.method(), request.uri(), request.headers()) =>
        {
            let to = request.uri().path_and_query().map_or("/", |path| path.as_str());
            return Redirect::to(&link("/login", &[("next", to)])).into_response();
        }
        Err((failure, visitor)) => {
            let mut answer = failure.into_response();
            visitor.into_iter().for_each(|visitor| drop(answer.extensions_mut().insert(visitor)));
            return answer;
        }
    };
    let Some(visitor) = visitor else { return next.run(request).await };
    if let (Some(name), Some(call)) = (visitor.name(), Call::current()) {
        Actor::read(name.as_str()).into_iter().for_each(|actor| call.set_actor(actor));
    }
    request.extensions_mut().insert(visitor.clone());
    let begun = Begun::default();
    request.extensions_mut().insert(begun.clone());
    let pending = Pending::of((request.method(), request.uri().path()), &visitor, &client, &begun);
    let credential = credential.ok().flatten().filter(|_| door.is_guarded());
    let Some(credential) = credential else { return let_out(next.run(request).await, pending, visitor) };
    request.extensions_mut().insert(credential);
    // What changes an account may end the very session that asks for it.
    let is_kept = audit::tells_itself(request.uri().path());
    let lost = async {
        let denial = stay::lost(&door, credential, &visitor).await;
        if is_kept && begun.is() { std::future::pending().await } else { denial }
    };
    let answer = tokio::select! {
        biased;
        answer = next.run(request) => answer,
        denial = lost => return broken_off(denial, visitor),
    };
    let answer = let_out(answer, pending, visitor.clone());
    if stay::goes_on(&answer) { stay::while_counts(answer, (door, credential), visitor) } else { answer }
}

/// An answer on its way to who asked for it.
fn let_out(answer: Response, pending: Option<Pending>, visitor: Visitor) -> Response {
    let mut answer = match pending {
        Some(pending) => pending.settle(answer),
        None => answer,
    };
    // For the page of a failure, which is made further out.
    answer.extensions_mut().insert(visitor);
    answer
}

/// The answer to a request that goes on no more.
fn broken_off(denial: Denial, visitor: Visitor) -> Response {
    let mut answer = Failure::Denied(denial).into_response();
    // The rest of it is of no use to anybody.
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer.extensions_mut().insert(visitor);
    answer
}

/// Notes that a page has all that it was sent: the layer inside of what reads it.
///
/// What changes accounts, sessions and tokens outlasts whoever asks for it, and may have been a while on its way: it
/// is asked once more, and of the file itself, whether they still may.
pub(crate) async fn begin(State(door): State<Door>, request: Request, next: Next) -> Response {
    if audit::tells_itself(request.uri().path())
        && !request.method().is_safe()
        && let (Some(visitor), Some(credential)) = (request.extensions().get(), request.extensions().get())
        && let Err(denial) = door.still_is(visitor, Credential::clone(credential)).await
    {
        return broken_off(denial, Visitor::clone(visitor));
    }
    request.extensions().get::<Begun>().into_iter().for_each(Begun::page);
    next.run(request).await
}

/// Whether a page was asked for by who can be asked to log in; programs are told that they must.
fn is_for_people(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let is_for_programs = uri.path() == "/metrics" || gateway::is_versioned(uri.path());
    *method == Method::GET && !is_for_programs && Wanted::of(uri.path(), headers) == Wanted::Page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_sent_to_log_in_and_programs_are_told_to() {
        let is = |method: Method, path: &str| is_for_people(&method, &path.parse().unwrap(), &HeaderMap::new());
        assert!(is(Method::GET, "/") && is(Method::GET, "/products/7?x=y"));
        assert!(!is(Method::POST, "/products") && !is(Method::GET, "/metrics") && !is(Method::GET, "/v1/products"));
    }
}
