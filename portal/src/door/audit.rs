//! Who changed what: records that the audit page asks the log for.

use std::{
    net::IpAddr,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{Method, header};
use http_body::{Frame, SizeHint};
use mesh::Call;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Client, Name, Visitor};
use crate::gateway::{self, Called, Ending};

/// The target of these records, and the field by which the log finds them.
pub(crate) const TARGET: &str = "portal::audit";
pub(crate) const FIELD: &str = "audit";

/// Says what somebody did about accounts, sessions or tokens: `what` goes on after the name, as in "ann logged in".
pub(crate) fn say(actor: &Name, client: &Client, what: &str) {
    info!(target: TARGET, audit = true, actor = actor.as_str(), client.address = %client.address, "{actor} {what}");
}

/// Those who did not come in, as far as they are told: [`MOST_TOLD`] a second, and how many more there were.
///
/// Whoever guesses passwords would fill the log otherwise.
#[derive(Debug)]
pub(crate) struct Refused(Mutex<Told>);

#[derive(Debug)]
struct Told {
    since: Instant,
    told: u32,
    untold: u32,
}

/// Refusals that are told in a second.
const MOST_TOLD: u32 = 10;

impl Refused {
    pub(crate) fn none() -> Refused {
        Refused(Mutex::new(Told { since: Instant::now(), told: 0, untold: 0 }))
    }

    /// Says that somebody did not come in. The name is what was typed, if it can be one.
    pub(crate) fn say(&self, name: Option<&Name>, client: &Client, why: &str) {
        let Some(untold) = self.count(Instant::now()) else { return };
        let actor = name.map_or("unknown", Name::as_str);
        let more =
            if untold > 0 { format!("; {untold} more before that are not told one by one") } else { String::new() };
        warn!(
            target: TARGET, audit = true, actor, client.address = %client.address, untold,
            "{actor} did not come in: {why}{more}"
        );
    }

    /// How many were not told since the last that was; nothing when this one is not told either.
    fn count(&self, now: Instant) -> Option<u32> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now - told.since >= Duration::from_secs(1) {
            (told.since, told.told) = (now, 0);
        }
        if told.told == MOST_TOLD {
            told.untold = told.untold.saturating_add(1);
            return None;
        }
        told.told += 1;
        Some(std::mem::take(&mut told.untold))
    }
}

/// Where a request says that it is so far that it may change something. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Begun(Arc<OnceLock<Option<Called>>>);

impl Begun {
    /// A page has all that it was sent, and works with it.
    pub(crate) fn page(&self) {
        let _first_counts = self.0.set(None);
    }

    /// A method is about to be called.
    pub(crate) fn called(&self, called: &Called) {
        let _first_counts = self.0.set(Some(called.clone()));
    }

    pub(super) fn is(&self) -> bool {
        self.0.get().is_some()
    }
}

/// What a request is about to change.
#[derive(Debug)]
struct Change {
    path: String,
    method: Method,
}

/// A change on its way. Whatever ends it, it is told: by its answer, and where there is none, that it broke off.
pub(super) struct Pending {
    /// None once it is told.
    change: Option<Change>,
    actor: Name,
    address: IpAddr,
    token: Option<i64>,
    begun: Begun,
    call: Option<Call>,
}

/// Whether what is done there is told by the page itself, which knows more.
pub(super) fn tells_itself(path: &str) -> bool {
    let own = ["/login", "/logout", "/account", "/users", "/times"];
    own.iter().any(|own| path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

impl Pending {
    /// The change that a request asks for, if it is one and somebody is to be named.
    pub(super) fn of(
        (method, path): (&Method, &str),
        visitor: &Visitor,
        client: &Client,
        begun: &Begun,
    ) -> Option<Pending> {
        let change = Some(Change::of(method, path)?);
        let actor = visitor.name()?.clone();
        let (address, token, call) = (client.address, visitor.token(), Call::current());
        Some(Pending { change, actor, address, token, begun: begun.clone(), call })
    }

    /// Says what came of it, by the answer, which names a new product or what was called. Of an answer that goes on it
    /// is said at its end; of one that nobody understood, that it is not known.
    pub(super) fn settle(mut self, answer: Response) -> Response {
        let Some(change) = self.change.take() else { return answer };
        let status = answer.status();
        if status.is_success() || status.is_redirection() {
            return self.tell_done(change, answer);
        }
        // 499 is a call that broke off. Of a file that is refused in its middle the rows before may be in.
        let is_open = status.is_server_error() || status.as_u16() == 499 || change.path == IMPORTS;
        if is_open {
            self.begun(change).into_iter().for_each(|done| done.say(", and it is not known what came of it"));
        }
        answer
    }

    fn tell_done(self, change: Change, answer: Response) -> Response {
        let called = answer.extensions().get::<Called>();
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let Some(done) = self.done(change, called, location) else { return answer };
        match called.and_then(|called| called.ending.clone()) {
            None => {
                done.say("");
                answer
            }
            Some(ending) => {
                let call = self.call.clone();
                answer.map(|body| Body::new(Going { body, done, ending, call }))
            }
        }
    }

    /// What may have been done, if it came so far.
    fn begun(&self, change: Change) -> Option<Done> {
        let called = self.begun.0.get()?.as_ref();
        self.done(change, called, None)
    }

    fn done(&self, change: Change, called: Option<&Called>, location: Option<&str>) -> Option<Done> {
        if gateway::is_versioned(&change.path) && !called.is_some_and(|called| called.changes) {
            return None;
        }
        let id = product_id(&change.path).or_else(|| product_id(location?)).or(called.and_then(|called| called.id));
        let what = called.map_or_else(|| change.words(), |called| format!("called {}", called.method));
        let (actor, address, token) = (self.actor.clone(), self.address, self.token);
        Some(Done { actor, what, id, address, path: change.path, token })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(done) = self.change.take().and_then(|change| self.begun(change)) else { return };
        within(self.call.take(), || done.say(BROKE_OFF));
    }
}

/// How a change is told that had no end: its client left, or does not count any more.
const BROKE_OFF: &str = ", which broke off before its end";

/// Where files are sent to.
const IMPORTS: &str = "/imports";

/// Records belong to the request, also where its time is over.
fn within(call: Option<Call>, say: impl FnOnce()) {
    match call {
        Some(call) => call.sync_scope(say),
        None => say(),
    }
}

impl Change {
    /// Reads what a request is about to change; nothing for one that changes nothing.
    fn of(method: &Method, path: &str) -> Option<Change> {
        // What is called over the gateway is known by its contract, not by its verb.
        let is_called = gateway::is_versioned(path);
        (!tells_itself(path) && (is_called || !method.is_safe()))
            .then(|| Change { path: path.to_owned(), method: method.clone() })
    }

    /// What was done; a product's number follows when there is one.
    fn words(&self) -> String {
        let mut parts = self.path.trim_matches('/').split('/');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("products"), None, _) => "added product".into(),
            (Some("products"), Some("bulk"), _) => "changed several products".into(),
            (Some("products"), Some(_), Some("edit")) => "changed product".into(),
            (Some("products"), Some(_), Some("delete")) => "deleted product".into(),
            (Some("products"), Some(_), Some("undelete")) => "brought back product".into(),
            (Some("products"), Some(_), Some("history")) => "went back to an older version of product".into(),
            (Some("categories"), Some("rename"), _) => "renamed a category".into(),
            (Some("sample"), ..) => "loaded the sample".into(),
            (Some("imports"), None, _) => "sent a file to import".into(),
            (Some("imports"), Some(id), Some("commit")) => format!("applied import {id}"),
            (Some("imports"), Some(id), Some("cancel")) => format!("cancelled import {id}"),
            (Some("imports"), Some(id), Some("undo")) => format!("undid import {id}"),
            _ => format!("sent {} {}", self.method, self.path),
        }
    }
}

/// What somebody did.
#[derive(Debug)]
struct Done {
    actor: Name,
    what: String,
    /// The product's number, or that of what else it was.
    id: Option<i64>,
    address: IpAddr,
    path: String,
    token: Option<i64>,
}

impl Done {
    /// Says it; `how` follows, as in ", which ended early".
    fn say(&self, how: &str) {
        let Done { actor, what, id, address, path, token } = self;
        let of = id.map(|id| format!(" {id}")).unwrap_or_default();
        info!(
            target: TARGET, audit = true, actor = actor.as_str(), product.id = id, client.address = %address,
            http.path = path, token.id = token, "{actor} {what}{of}{how}"
        );
    }
}

/// An answer that goes on, of a call that changes something: what came of it is said when it is over.
struct Going {
    body: Body,
    done: Done,
    ending: Ending,
    call: Option<Call>,
}

impl http_body::Body for Going {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        let how = match self.ending.get() {
            Some(gateway::lines::OK) => String::new(),
            Some(code) => format!(", which ended with {code}"),
            None => BROKE_OFF.into(),
        };
        within(self.call.take(), || self.done.say(&how));
    }
}

/// The product in a page's address.
fn product_id(path: &str) -> Option<i64> {
    let path = path.split('?').next()?;
    path.strip_prefix("/v1").unwrap_or(path).strip_prefix("/products/")?.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_words() {
        let words = |path: &str| Change::of(&Method::POST, path).map(|change| change.words());
        assert_eq!(words("/products").as_deref(), Some("added product"));
        assert_eq!(words("/products/7/edit").as_deref(), Some("changed product"));
        assert_eq!(words("/imports/7/undo").as_deref(), Some("undid import 7"));
        assert!(words("/v1/products").is_some(), "its method says whether it changes anything");
        assert_eq!(words("/login"), None);
        assert_eq!(words("/users/ann/role"), None, "it tells more by itself");
        assert!(Change::of(&Method::GET, "/products/7").is_none());
    }

    #[test]
    fn a_flood_of_refusals_is_told_in_part_and_counted_in_whole() {
        let (refused, now) = (Refused::none(), Instant::now());
        let told = (0..100).filter(|_| refused.count(now).is_some()).count();
        assert_eq!(told, 10);
        assert_eq!(refused.count(now + Duration::from_secs(2)), Some(90));
        assert_eq!(refused.count(now + Duration::from_secs(2)), Some(0));
    }

    #[test]
    fn a_product_is_named_by_the_address_or_by_where_the_answer_leads() {
        assert_eq!(product_id("/products/7/edit"), Some(7));
        assert_eq!(product_id("/products/12?notice=added"), Some(12));
        assert_eq!(product_id("/v1/products/9"), Some(9));
        assert_eq!(product_id("/products/bulk"), None);
    }
}
