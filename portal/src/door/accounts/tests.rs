//! Accounts in a file of their own, and a clock that is told.

use super::*;
use crate::{door::Area, edge::Peer, error::Failure};

const PASSWORD: &str = "correct horse battery";

struct Fixture {
    accounts: Accounts,
    _folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("below/accounts.db")).await.unwrap();
        let accounts = Accounts::new(store);
        accounts.add(&name("ann"), Role::Editor, PASSWORD.into()).await.unwrap();
        Fixture { accounts, _folder: folder }
    }

    async fn log_in(&self, name: &str, password: &str) -> Result<Digest, Refusal> {
        let logged_in = self.accounts.log_in((name, password.into()), &client(), "Firefox").await;
        logged_in.map(|(_, secret)| secret.digest())
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn client() -> Client {
    Client::of(Peer::NOBODY, &http::HeaderMap::new(), &[])
}

#[tokio::test]
async fn the_file_is_its_owners_alone_and_survives() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("accounts.db");
    std::fs::write(&path, "").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();

    let store = Store::open(&path).await.unwrap();
    store.add(&name("ann"), Role::Viewer, "kept", 7).await.unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    store.close().await;

    let again = Store::open(&path).await.unwrap();
    let ann = again.account(&name("ann")).await.unwrap().unwrap();
    assert_eq!((ann.role, ann.password.as_str(), ann.created), (Role::Viewer, "kept", 7));
}

#[tokio::test]
async fn a_password_opens_a_session_until_it_is_idle_or_old() {
    let fixture = Fixture::new().await;
    let digest = fixture.log_in(" Ann", PASSWORD).await.unwrap();

    let visitor = |at| fixture.accounts.in_session(digest, at);
    let ann = visitor(now()).await.unwrap().unwrap();
    assert_eq!(ann.name().map(Name::as_str), Some("ann"));
    assert_eq!(fixture.accounts.known(&digest), Some(ann));
    assert!(visitor(now() + IDLE + 1).await.unwrap().is_none(), "nobody used it");
    for hours in 1..24 * 7 {
        assert!(visitor(now() + hours * 3600 - 60).await.unwrap().is_some(), "{hours}");
    }
    assert!(visitor(now() + LONGEST).await.unwrap().is_none(), "it is a week old");
}

#[tokio::test]
async fn a_wrong_name_and_a_wrong_password_are_told_the_same_and_slow_the_next_try() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        assert!(matches!(fixture.log_in("ann", "wrong").await, Err(Refusal::Wrong)));
    }
    assert!(matches!(fixture.log_in("ann", PASSWORD).await, Err(Refusal::Wait(_))), "not even the right one now");
    for _ in 0..5 {
        assert!(matches!(fixture.log_in("nobody", "wrong").await, Err(Refusal::Wrong)));
    }
    assert!(matches!(fixture.log_in("ben", "wrong").await, Err(Refusal::Wait(_))), "the address is slowed too");
}

#[tokio::test]
async fn another_password_ends_all_sessions() {
    let fixture = Fixture::new().await;
    let old = fixture.log_in("ann", PASSWORD).await.unwrap();

    let next = || "battery horse correct".to_owned();
    let wrong = fixture.accounts.change_password(&name("ann"), ("wrong".into(), next()), &client()).await;
    assert!(matches!(wrong, Err(Refusal::Wrong)));
    let new = fixture.accounts.change_password(&name("ann"), (PASSWORD.into(), next()), &client()).await.unwrap();
    let new = fixture.accounts.begin(new, &client(), "").await.unwrap();

    assert!(fixture.accounts.in_session(old, now()).await.unwrap().is_none());
    assert!(fixture.accounts.in_session(new.digest(), now()).await.unwrap().is_some());
    assert!(matches!(fixture.log_in("ann", PASSWORD).await, Err(Refusal::Wrong)));
    let silly = fixture.accounts.set_password(&name("ann"), "short".into()).await;
    assert!(matches!(silly, Err(Refusal::Silly(_))));
}

#[tokio::test]
async fn a_password_that_changed_meanwhile_opens_nothing_and_is_not_replaced() {
    let fixture = Fixture::new().await;
    let next = || "another horse battery".to_owned();
    let account = fixture.accounts.store.account(&name("ann")).await.unwrap().unwrap();
    fixture.accounts.set_password(&name("ann"), next()).await.unwrap();

    // Both were judged by the old one, and had to wait.
    let late = fixture.accounts.begin(account.clone(), &client(), "").await;
    assert!(matches!(late, Err(Refusal::Wrong)));
    let late = fixture.accounts.store.set_password(&name("ann"), "of a thief", Some(&account.password)).await;
    assert!(matches!(late, Err(StoreError::Missing)));
    assert!(fixture.accounts.store.sessions(None).await.unwrap().is_empty());
    fixture.log_in("ann", &next()).await.unwrap();
}

#[tokio::test]
async fn nobody_is_shut_out_where_the_account_is_at_home() {
    let fixture = Fixture::new().await;
    fixture.log_in("ann", PASSWORD).await.unwrap();
    let stranger = Client { address: [192, 0, 2, 7].into(), is_secure: true };
    let next = || "another horse battery".to_owned();

    fixture.accounts.attempts.shut(&name("ann"));
    let elsewhere = fixture.accounts.log_in(("ann", PASSWORD.into()), &stranger, "").await;
    assert!(matches!(elsewhere, Err(Refusal::Wait(_))));
    // Neither does who took a session with them guess as often as they like.
    let stolen = fixture.accounts.change_password(&name("ann"), (PASSWORD.into(), next()), &stranger).await;
    assert!(matches!(stolen, Err(Refusal::Wait(_))));
    fixture.log_in("ann", PASSWORD).await.unwrap();

    // After a restart the sessions tell, while they last.
    fixture.accounts.attempts.shut(&name("ann"));
    fixture.accounts.attempts.forget_homes();
    fixture.log_in("ann", PASSWORD).await.unwrap();
    fixture.accounts.store.end_all(&name("ann"), None).await.unwrap();
    fixture.accounts.attempts.shut(&name("ann"));
    fixture.accounts.attempts.forget_homes();
    assert!(matches!(fixture.log_in("ann", PASSWORD).await, Err(Refusal::Wait(_))));
}

#[tokio::test]
async fn tokens_that_count_no_more_leave_room_for_others() {
    let fixture = Fixture::new().await;
    let add =
        async |days| fixture.accounts.add_token(&name("ann"), ("till", "products:read".parse().unwrap()), days).await;
    for _ in 0..MOST_TOKENS {
        add(366).await.unwrap();
    }
    assert!(matches!(add(1).await, Err(Refusal::Store(StoreError::Tokens(MOST_TOKENS)))));

    fixture.accounts.set_password(&name("ann"), "another horse battery".into()).await.unwrap();
    for _ in 0..3 {
        add(1).await.unwrap();
    }
    let tokens = fixture.accounts.store.tokens(None).await.unwrap();
    let live = tokens.iter().filter(|token| !token.revoked).count();
    assert_eq!((live, tokens.len()), (3, 103), "and those of a thief are still told apart from guesses");
}

#[tokio::test]
async fn a_token_counts_until_it_expires_or_is_revoked() {
    let fixture = Fixture::new().await;
    let scopes = || "products:write".parse::<Scopes>().unwrap();
    let (id, secret) = fixture.accounts.add_token(&name("ann"), ("till", scopes()), 90).await.unwrap();
    let by = |at| fixture.accounts.by_token(secret.digest(), at);

    let program = by(now()).await.unwrap();
    assert!(program.demand(Role::Editor).is_ok());
    assert!(matches!(program.demand_in(Area::Running, Role::Viewer), Err(Failure::Denied(Denial::Scope { .. }))));
    assert_eq!(by(now() + 90 * 86_400).await, Err(Denial::ExpiredToken));
    assert_eq!(fixture.accounts.by_token(Secret::new().digest(), now()).await, Err(Denial::UnknownToken));
    assert!(fixture.accounts.store.tokens(None).await.unwrap()[0].used > 0);

    let others = fixture.accounts.store.revoke(id, Some(&name("ben"))).await;
    assert!(matches!(others, Err(StoreError::Missing)), "a token of somebody else");
    fixture.accounts.store.revoke(id, Some(&name("ann"))).await.unwrap();
    assert_eq!(by(now()).await, Err(Denial::RevokedToken));
    for (label, days) in [("", 9), ("till", 0), ("till", 367)] {
        let silly = fixture.accounts.add_token(&name("ann"), (label, scopes()), days).await;
        assert!(matches!(silly, Err(Refusal::Silly(_))), "{label} {days}");
    }
}

#[tokio::test]
async fn the_last_administrator_stays_one() {
    let fixture = Fixture::new().await;
    let store = &fixture.accounts.store;
    assert!(!fixture.accounts.have_administrator().await.unwrap());
    store.set_role(&name("ann"), Role::Administrator).await.unwrap();

    assert!(matches!(store.set_role(&name("ann"), Role::Viewer).await, Err(StoreError::LastAdministrator)));
    assert!(matches!(store.remove(&name("ann")).await, Err(StoreError::LastAdministrator)));
    assert!(matches!(store.remove(&name("ben")).await, Err(StoreError::Missing)));
    assert!(matches!(store.add(&name("ann"), Role::Viewer, "", 0).await, Err(StoreError::Taken)));

    fixture.accounts.add(&name("ben"), Role::Administrator, PASSWORD.into()).await.unwrap();
    let session = fixture.log_in("ann", PASSWORD).await.unwrap();
    store.remove(&name("ann")).await.unwrap();
    assert!(fixture.accounts.in_session(session, now()).await.unwrap().is_none(), "its sessions went with it");
}
