//! What commands did, told by the portal: commands have no log of their own.
//!
//! They note it in the file of accounts. One that is cut off right before that did its work and left no note.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Door,
    accounts::now,
    audit::TARGET,
    store::{Deed, Store, StoreError},
};

/// Who does what a command does. No account is called so: its name has a space.
const ACTOR: &str = "command line";

/// How often it is looked whether there is something to tell.
const EVERY: Duration = Duration::from_secs(2);

/// So many are told at a time.
const MOST: i64 = 100;

/// Seconds after which it is said when it was done: the portal did not run then.
const LONG_AGO: i64 = 60;

/// Notes what a command did, with the user who ran it.
pub(super) async fn note(store: &Store, what: &str) -> Result<(), StoreError> {
    let user = rustix::process::getuid().as_raw();
    store.note(&format!("{what} (user {user} of this machine)"), now()).await
}

/// Tells what commands did, soon after they did it, until the token.
pub(crate) async fn tell(door: Door, stop: CancellationToken) {
    let Some(accounts) = door.accounts() else { return };
    let mut last = 0;
    while !stop.is_cancelled() {
        if let Err(error) = tell_noted(&accounts.store, &mut last).await {
            warn!("could not read what commands did to the accounts: {error}");
        }
        tokio::select! {
            () = sleep(EVERY) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Each is told, then forgotten: twice when the portal dies in between, and never not at all. `last` is the last one that
/// was told, which may be there still: what cannot be forgotten now is not told again.
async fn tell_noted(store: &Store, last: &mut i64) -> Result<(), StoreError> {
    let say = |deed: &Deed| {
        if deed.id <= *last {
            return;
        }
        *last = deed.id;
        let done = Timestamp::from_second(deed.done).unwrap_or_default();
        let when = if now() - deed.done < LONG_AGO { String::new() } else { format!(", at {done}") };
        info!(target: TARGET, audit = true, actor = ACTOR, done.time = %done, "{ACTOR} {}{when}", deed.what);
    };
    store.tell(MOST, say).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_noted_is_told_once_and_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        let (store, another) = (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap());
        let mut told = Vec::new();
        for what in ["added account ann", "removed account bob", "revoked token 1"] {
            note(&store, what).await.unwrap();
        }

        store.tell(2, |deed| told.push(deed.what.clone())).await.unwrap();
        another.tell(MOST, |deed| told.push(deed.what.clone())).await.unwrap();

        assert!(told[0].starts_with("added account ann (user ") && told.len() == 3, "{told:?}");
        assert!(told[1].starts_with("removed account bob") && told[2].starts_with("revoked token 1"), "{told:?}");
        store.tell(MOST, |deed| panic!("told again: {deed:?}")).await.unwrap();
        let mut last = 0;
        note(&store, "added account cat").await.unwrap();
        tell_noted(&store, &mut last).await.unwrap();
        assert_eq!(last, 4, "numbers are not used again");
        store.close().await;
        another.close().await;
    }
}
