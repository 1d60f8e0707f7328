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
    store::{Store, StoreError},
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
    let telling = async {
        loop {
            if let Err(error) = tell_noted(&accounts.store).await {
                warn!("could not read what commands did to the accounts: {error}");
            }
            sleep(EVERY).await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = stop.cancelled() => {}
    }
}

/// Each is told before it is forgotten: twice when the portal dies in between, and never not at all.
async fn tell_noted(store: &Store) -> Result<(), StoreError> {
    for deed in store.deeds(MOST).await? {
        let done = Timestamp::from_second(deed.done).unwrap_or_default();
        let when = if now() - deed.done < LONG_AGO { String::new() } else { format!(", at {done}") };
        info!(target: TARGET, audit = true, actor = ACTOR, done.time = %done, "{ACTOR} {}{when}", deed.what);
        store.told(deed.id).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_noted_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("accounts.db")).await.unwrap();
        note(&store, "added account ann").await.unwrap();
        note(&store, "removed account bob").await.unwrap();
        let noted = store.deeds(MOST).await.unwrap();
        assert!(noted[0].what.starts_with("added account ann (user ") && noted.len() == 2, "{noted:?}");

        tell_noted(&store).await.unwrap();

        assert!(store.deeds(MOST).await.unwrap().is_empty());
        store.close().await;
    }
}
