//! Passwords: which are taken, and how they are kept.
//!
//! argon2id with 19 MiB, two passes and one lane, as OWASP recommends. Each costs that
//! memory while it is computed, so two are computed at most at once and some may wait; whoever
//! comes then is told to come again, and nothing is computed for them. They are told after
//! a pause: who guesses does not get to the next guess sooner by being refused.

use std::{sync::Arc, time::Duration};

use argon2::{
    ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version,
    password_hash::{Output, ParamsString, PasswordHash, SaltString},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::sleep,
};
use tracing::debug;

use super::Name;

/// Letters of the shortest password.
const SHORTEST: usize = 12;

/// Bytes of the longest one.
const LONGEST: usize = 1024;

/// Passwords that are computed at once, on half of the cores at most, and those that may wait for it.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// What whoever is refused waits for that, about; of those who do, so many at once. The next ones are told at once.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSING: usize = 256;

/// How far they are behind other work: a tenth of a core's time while that takes all.
const NICE: i32 = 10;

/// Memory in KiB, and passes.
const MEMORY: u32 = 19 * 1024;
const PASSES: u32 = 2;

/// Blocks of 1 KiB that are more than glibc ever keeps: its threshold grows to 32 MiB at most.
const ALWAYS_GIVEN_BACK: usize = 33 * 1024;

/// What is computed for a name that nobody has, so that the time tells nothing. No password fits it.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Beginnings that everybody tries first.
const COMMON: [&str; 9] =
    ["password", "passwort", "qwerty", "letmein", "administrator", "rundoo", "welcome", "iloveyou", "changeme"];

/// More wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub(crate) struct Busy;

/// Says why a password is not taken for this account.
pub(crate) fn judge(password: &str, name: &Name) -> Result<(), &'static str> {
    let letters: Vec<char> = password.to_lowercase().chars().collect();
    if letters.len() < SHORTEST {
        return Err("A password has 12 letters at least. A few words in a row are good.");
    }
    if password.len() > LONGEST {
        return Err("A password has 1,024 bytes at most.");
    }
    let mut different = letters.clone();
    different.sort_unstable();
    different.dedup();
    let steps = || letters.windows(2).map(|pair| i64::from(u32::from(pair[1])) - i64::from(u32::from(pair[0])));
    if different.len() < 5 || steps().filter(|step| step.abs() == 1).count() * 4 >= letters.len() * 3 {
        return Err("This password repeats itself. Take one that nobody guesses.");
    }
    let small = password.to_lowercase();
    let rest = small.replace(name.as_str(), "");
    if small.contains(name.as_str()) && rest.chars().count() < 8 {
        return Err("This password is little more than the name. Take one that nobody guesses.");
    }
    let rest = COMMON.iter().fold(small, |rest, common| rest.replace(common, ""));
    if rest.chars().filter(|letter| letter.is_alphabetic()).count() < 4 && rest.chars().count() < SHORTEST {
        return Err("This password is among the first that everybody tries. Take another.");
    }
    Ok(())
}

/// Computes passwords, few at once.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    seats: Arc<Semaphore>,
    places: Arc<Semaphore>,
    pauses: Arc<Semaphore>,
}

/// A place among those who wait for a password to be computed.
pub(crate) type Place = OwnedSemaphorePermit;

impl Hasher {
    pub(crate) fn new() -> Hasher {
        let room = |most| Arc::new(Semaphore::new(most));
        // Of two cores, one stays for everybody else.
        let seats = std::thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, AT_ONCE);
        Hasher { seats: room(seats), places: room(AT_ONCE + WAITING), pauses: room(PAUSING) }
    }

    /// Takes a place, before anything is done for who comes.
    pub(crate) async fn enter(&self) -> Result<Place, Busy> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        if let Ok(_pausing) = self.pauses.try_acquire() {
            // Not all at the same moment: they would come again together, and keep others waiting.
            sleep(PAUSE.mul_f64(0.5 + fastrand::f64())).await;
        }
        Err(Busy)
    }

    /// Whether a password is the one that is kept; for a name that nobody has it never is, and takes as long.
    pub(crate) async fn fits(&self, place: Place, kept: Option<String>, password: String) -> Result<bool, Busy> {
        self.compute(place, move || {
            // What is longer than any password is none, whatever the time tells of that.
            let password = if password.len() > LONGEST { "" } else { &password };
            is_of(password, kept.as_deref().unwrap_or(NOBODYS)).unwrap_or(false)
        })
        .await
    }

    /// What is kept of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Busy> {
        let place = self.enter().await?;
        self.compute(place, move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).expect("the system has random bytes");
            written(&password, &salt).expect("argon2 takes any password")
        })
        .await
    }

    /// Computes when it is its turn. The seat goes with the work: a caller who goes away frees nothing early.
    async fn compute<R: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Busy> {
        let seat = Arc::clone(&self.seats).acquire_owned().await.map_err(|_| Busy)?;
        let (done, result) = oneshot::channel();
        let working = std::thread::Builder::new().name("password".into()).spawn(move || {
            yield_to_others();
            let _gone = done.send(work());
            drop((seat, place));
        });
        working.map_err(|_| Busy)?;
        result.await.map_err(|_| Busy)
    }
}

/// Lets all other threads of the machine go first, for as long as this one lives: whoever guesses passwords keeps the
/// cores busy, and pages are not to wait for that.
fn yield_to_others() {
    if let Err(error) = rustix::process::nice(NICE) {
        debug!("could not give way to others: {error}");
    }
}

/// Whether what is kept is of this password. Outputs compare in constant time.
fn is_of(password: &str, kept: &str) -> argon2::password_hash::Result<bool> {
    let kept = PasswordHash::new(kept)?;
    let (Some(salt), Some(output)) = (kept.salt, kept.hash) else { return Ok(false) };
    let mut bytes = [0; 64];
    Ok(stretched(password, salt.decode_b64(&mut bytes)?, Params::try_from(&kept)?)? == output)
}

/// What is kept of a password, as a PHC string.
fn written(password: &str, salt: &[u8]) -> argon2::password_hash::Result<String> {
    let params = Params::new(MEMORY, PASSES, 1, None)?;
    let text = SaltString::encode_b64(salt)?;
    let kept = PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(text.as_salt()),
        hash: Some(stretched(password, salt, params)?),
    };
    Ok(kept.to_string())
}

fn stretched(password: &str, salt: &[u8], params: Params) -> argon2::password_hash::Result<Output> {
    // glibc keeps what is freed for each thread, unless it is this large: then the memory goes back at once.
    // What is not touched of it costs nothing.
    let mut memory = Vec::with_capacity(params.block_count().max(ALWAYS_GIVEN_BACK));
    memory.resize(params.block_count(), Block::default());
    let mut output = [0; 32];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut output, &mut memory)?;
    Output::new(&output)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_taken(password: &str) -> bool {
        judge(password, &"ann.smith".parse().unwrap()).is_ok()
    }

    #[test]
    fn passwords_that_everybody_tries_are_not_taken() {
        for silly in [
            "short",
            "aaaaaaaaaaaaaaaa",
            "abababababababab",
            "123456789012",
            "abcdefghijklmnop",
            "ann.smith1234",
            "password1234",
            "PasswordPassword1",
            "qwerty123456",
            "Administrator1",
        ] {
            assert!(!is_taken(silly), "{silly}");
        }
        assert!(!is_taken(&"correct horse".repeat(100)));
        for good in ["correct horse battery", "nails & 17 screws", "ann.smith likes hammers", "ein längerer Satz"] {
            assert!(is_taken(good), "{good}");
        }
    }

    #[tokio::test]
    async fn only_the_password_itself_fits() {
        let hasher = Hasher::new();
        let kept = hasher.hash("correct horse battery".into()).await.unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");

        let fits = async |kept, password: &str| {
            let place = hasher.enter().await?;
            hasher.fits(place, kept, password.into()).await
        };
        assert_eq!(fits(Some(kept.clone()), "correct horse battery").await, Ok(true));
        assert_eq!(fits(Some(kept), "correct horse batteri").await, Ok(false));
        assert!(PasswordHash::new(NOBODYS).is_ok(), "it is computed like any other");
        assert_eq!(fits(None, "").await, Ok(false));
        assert_eq!(fits(Some("damaged".into()), "").await, Ok(false));
    }

    #[tokio::test]
    async fn those_who_come_when_too_many_wait_are_told_so_and_nothing_is_computed() {
        let hasher = Hasher::new();
        let fits = async || {
            let place = hasher.enter().await?;
            hasher.fits(place, None, "wrong".into()).await
        };
        let all = (0..100).map(|_| fits());

        let answers = futures_util::future::join_all(all).await;

        let busy = answers.iter().filter(|answer| **answer == Err(Busy)).count();
        assert_eq!(busy, 100 - AT_ONCE - WAITING);
        assert_eq!(fits().await, Ok(false), "and all places are free again");
    }
}
