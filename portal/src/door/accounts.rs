//! Accounts at work: who a cookie or a token belongs to, logging in, and what is changed of them.
//!
//! What was looked up is believed for [`KEPT`], so that a page costs no reading of the file
//! and whatever is revoked, here or by a command, stops counting within a second.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::{error, warn};

use super::{
    Denial, Name, Role, Visitor,
    attempts::{Attempts, Standing},
    client::{Client, Network},
    credential::Credential,
    hasher::{Busy, Hasher},
    password,
    scope::Scopes,
    secret::{Digest, Secret},
    store::{Account, Session, Store, StoreError, Token},
};

/// For how long what was looked up is believed.
const KEPT: Duration = Duration::from_millis(900);

/// What is kept of lookups; beyond it all is looked up anew.
const MOST_KEPT: usize = 4096;

/// A session ends when nobody used it for so long, and in any case after so long: 12 hours and 7 days.
const IDLE: i64 = 12 * 3600;
const LONGEST: i64 = 7 * 86_400;

/// That somebody was seen is written once in so many seconds.
const SEEN_EVERY: i64 = 60;

/// Letters of a browser's name that are kept.
const AGENT: usize = 120;

/// Letters of a token's label.
const LABEL: usize = 64;

/// Tokens of one account that count; as many that do not are remembered.
const MOST_TOKENS: i64 = 100;

/// For how long somebody is told that a token has expired, and not that it never was.
const REMEMBERED: i64 = 90 * 86_400;

/// Days that a token may live.
pub(crate) const DAYS: std::ops::RangeInclusive<i64> = 1..=366;

/// Why somebody did not come in, or something of an account was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the name or the password is wrong")]
    Wrong,
    #[error("too many tries")]
    Wait(Duration),
    #[error("{0}")]
    Silly(&'static str),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts of this portal.
#[derive(Debug)]
pub(crate) struct Accounts {
    pub(crate) store: Store,
    hasher: Hasher,
    attempts: Attempts,
    kept: Mutex<HashMap<Digest, (Instant, Visitor)>>,
}

impl Accounts {
    pub(crate) fn new(store: Store) -> Accounts {
        Accounts { store, hasher: Hasher::new(), attempts: Attempts::none(), kept: Mutex::default() }
    }

    /// Whether there is somebody who can do everything.
    pub(crate) async fn have_administrator(&self) -> Result<bool, StoreError> {
        Ok(self.store.accounts().await?.iter().any(|account| account.role == Role::Administrator))
    }

    /// What was looked up a moment ago.
    pub(crate) fn known(&self, digest: &Digest) -> Option<Visitor> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(digest).filter(|(at, _)| at.elapsed() < KEPT).map(|(_, visitor)| visitor.clone())
    }

    fn keep(&self, digest: Digest, visitor: &Visitor) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(digest, (Instant::now(), visitor.clone()));
    }

    /// Believes nothing that was looked up before: something was changed here.
    pub(crate) fn forget(&self) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Whose credential this is, by the file itself.
    pub(super) async fn look_up(&self, credential: Credential) -> Result<Option<Visitor>, Denial> {
        match credential {
            Credential::Session(digest) => self.in_session(digest, now()).await,
            Credential::Token(digest) => self.by_token(digest, now()).await.map(Some),
        }
    }

    /// Whose session this is; nobody's when it has ended.
    pub(crate) async fn in_session(&self, digest: Digest, now: i64) -> Result<Option<Visitor>, Denial> {
        let Some(session) = self.store.session(&digest).await.map_err(away)? else { return Ok(None) };
        if !session.counts(now) {
            return Ok(None);
        }
        if now >= session.seen + SEEN_EVERY {
            noted(self.store.see(&digest, now).await);
        }
        let visitor = Visitor::logged_in(session.account.name, session.account.role, digest);
        self.keep(digest, &visitor);
        Ok(Some(visitor))
    }

    /// Whose token this is.
    pub(crate) async fn by_token(&self, digest: Digest, now: i64) -> Result<Visitor, Denial> {
        let token = self.store.token(&digest).await.map_err(away)?.ok_or(Denial::UnknownToken)?;
        let (id, who) = (token.id, token.account.name.clone());
        let denial = match &token {
            token if token.revoked => Denial::RevokedToken,
            token if now >= token.expires => Denial::ExpiredToken,
            _ => {
                if now >= token.used + SEEN_EVERY {
                    noted(self.store.use_token(id, now).await);
                }
                let visitor = Visitor::program(who, token.account.role, (id, token.scopes));
                self.keep(digest, &visitor);
                return Ok(visitor);
            }
        };
        warn!(actor = who.as_str(), token.id = id, "refused a token of {who}: {denial}");
        Err(denial)
    }

    /// Checks a password, and begins a session when it is right.
    pub(crate) async fn log_in(
        &self,
        (name, password): (&str, String),
        client: &Client,
        agent: &str,
    ) -> Result<(Name, Secret), Refusal> {
        let account = self.prove(name.parse().ok(), password, client).await?;
        let name = account.name.clone();
        Ok((name, self.begin(account, client, agent).await?))
    }

    /// Gives another password to who knows the present one, and ends all sessions; answers the account, which may
    /// [begin](Self::begin) another.
    pub(crate) async fn change_password(
        &self,
        name: &Name,
        (present, next): (String, String),
        client: &Client,
    ) -> Result<Account, Refusal> {
        password::judge(&next, name).map_err(Refusal::Silly)?;
        let account = self.prove(Some(name.clone()), present, client).await?;
        match self.replace_password(name, next, Some(&account.password)).await {
            Ok(password) => Ok(Account { password, ..account }),
            // It has another one since it was looked up, or is gone.
            Err(Refusal::Store(StoreError::Missing)) => Err(Refusal::Wrong),
            Err(refusal) => Err(refusal),
        }
    }

    /// Whether the account is known at this address: it logged in from there not long ago, or is still.
    async fn standing(&self, name: Option<&Name>, client: &Client) -> Result<Standing, StoreError> {
        let (network, now) = (client.network(), Instant::now());
        let Some(name) = name else { return Ok(Standing::Stranger) };
        let is_shut = self.attempts.is_shut(name, now);
        if (is_shut || self.hasher.is_full()) && self.attempts.knows(name, network) {
            return Ok(Standing::Known);
        }
        // The file is not asked for who has to wait in any case, nor because many come.
        if !is_shut || self.attempts.waits(network, now) {
            return Ok(Standing::Stranger);
        }
        let time = self::now();
        let is_here = |session: &Session| {
            let is_at = |address| Network::of(address) == network;
            session.counts(time) && session.address.parse().is_ok_and(is_at)
        };
        let is_known = self.store.sessions(Some(name)).await?.iter().any(is_here);
        Ok(if is_known { Standing::Known } else { Standing::Stranger })
    }

    /// The account whose password this is. Everything that goes wrong takes as long, and says the same.
    async fn prove(&self, name: Option<Name>, password: String, client: &Client) -> Result<Account, Refusal> {
        let standing = self.standing(name.as_ref(), client).await?;
        let who = (name.clone(), standing);
        let attempt = self.attempts.begin(who, client.network(), Instant::now()).map_err(Refusal::Wait)?;
        let place = self.hasher.enter(standing).await?;
        let account = match &name {
            Some(name) => self.store.account(name).await?,
            None => None,
        };
        let kept = account.as_ref().map(|account| account.password.clone());
        match (self.hasher.fits(place, kept, password).await?, account) {
            (true, Some(account)) => {
                attempt.succeeded();
                Ok(account)
            }
            _ => {
                attempt.failed();
                Err(Refusal::Wrong)
            }
        }
    }

    /// Begins a session.
    pub(crate) async fn begin(&self, account: Account, client: &Client, agent: &str) -> Result<Secret, Refusal> {
        let (secret, now) = (Secret::new(), now());
        let agent = agent.chars().filter(|letter| !letter.is_control()).take(AGENT).collect();
        let (digest, address) = (secret.digest(), client.address.to_string());
        let session = Session { digest, account, begun: now, seen: now, address, agent };
        self.store.forget(now - LONGEST, now - IDLE, now - REMEMBERED).await?;
        match self.store.begin(&session).await {
            // It has another password since it was looked up, or is gone.
            Err(StoreError::Missing) => return Err(Refusal::Wrong),
            begun => begun?,
        }
        Ok(secret)
    }

    /// Adds an account.
    pub(crate) async fn add(&self, name: &Name, role: Role, password: String) -> Result<(), Refusal> {
        password::judge(&password, name).map_err(Refusal::Silly)?;
        let kept = self.hasher.hash(password).await?;
        Ok(self.store.add(name, role, &kept, now()).await?)
    }

    /// Gives another password, without asking for the present one; ends all sessions.
    pub(crate) async fn set_password(&self, name: &Name, password: String) -> Result<(), Refusal> {
        password::judge(&password, name).map_err(Refusal::Silly)?;
        self.replace_password(name, password, None).await.map(drop)
    }

    /// Answers what is kept of the new one.
    async fn replace_password(&self, name: &Name, next: String, present: Option<&str>) -> Result<String, Refusal> {
        let kept = self.hasher.hash(next).await?;
        self.store.set_password(name, &kept, present).await?;
        self.forget();
        Ok(kept)
    }

    /// Makes a token; its secret is told this once.
    pub(crate) async fn add_token(
        &self,
        name: &Name,
        (label, scopes): (&str, Scopes),
        days: i64,
    ) -> Result<(i64, Secret), Refusal> {
        let account = self.store.account(name).await?.ok_or(StoreError::Missing)?;
        if !DAYS.contains(&days) {
            return Err(Refusal::Silly("A token lives 1 to 366 days."));
        }
        let label: String = label.trim().chars().filter(|letter| !letter.is_control()).take(LABEL).collect();
        if label.is_empty() {
            return Err(Refusal::Silly("Say what the token is for, so that you know it again."));
        }
        let (secret, created) = (Secret::new(), now());
        let expires = created + days * 86_400;
        let token = Token { id: 0, account, label, scopes, created, expires, used: 0, revoked: false };
        Ok((self.store.add_token(&secret.digest(), &token, MOST_TOKENS).await?, secret))
    }
}

impl Session {
    /// Whether it has not ended by itself.
    fn counts(&self, now: i64) -> bool {
        now < self.begun + LONGEST && now < self.seen + IDLE
    }
}

/// The clock of the file.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// That somebody was seen is not worth sending them away, while the file cannot be written.
fn noted(seen: Result<(), StoreError>) {
    if let Err(error) = seen {
        warn!("could not note in the accounts that somebody was seen: {error}");
    }
}

fn away(error: StoreError) -> Denial {
    error!("the accounts cannot be read: {error}");
    Denial::Away
}

#[cfg(test)]
mod tests;
