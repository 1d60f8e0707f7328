//! Who computes passwords, and for whom.
//!
//! Each costs 19 MiB while it is computed, so two are computed at most at once and some may wait; whoever
//! comes then is told to come again, and nothing is computed for them. They are told after
//! a pause: who guesses does not get to the next guess sooner by being refused.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::sleep,
};
use tracing::{debug, error};

use super::{
    attempts::Standing,
    password::{self, Memory},
};

/// Passwords that are computed at once, on half of the cores at most, and those that may wait for it.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// Places that strangers do not take: whoever guesses is not to keep out who is known.
const KEPT_FREE: usize = 8;

/// What whoever is refused waits for that, about; of those who do, so many at once. The next ones are told at once.
const PAUSE: Duration = Duration::from_secs(1);
const PAUSING: usize = 256;

/// How far they are behind other work: a tenth of a core's time while that takes all.
const NICE: i32 = 10;

/// For how long the memory of one is kept for the next.
const KEPT: Duration = Duration::from_millis(100);

/// More wait than may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are being checked")]
pub(crate) struct Busy;

/// Computes passwords, few at once.
#[derive(Debug, Clone)]
pub(crate) struct Hasher {
    seats: Arc<Semaphore>,
    places: Arc<Semaphore>,
    kept_free: Arc<Semaphore>,
    pauses: Arc<Semaphore>,
    threads: Arc<OnceLock<Sender<Work>>>,
}

/// A place among those who wait for a password to be computed.
pub(crate) type Place = OwnedSemaphorePermit;

/// What a thread does when it is its turn.
type Work = Box<dyn FnOnce(&mut Memory) + Send>;

impl Hasher {
    pub(crate) fn new() -> Hasher {
        let room = |most| Arc::new(Semaphore::new(most));
        let (seats, places) = (room(at_once()), room(AT_ONCE + WAITING));
        Hasher { seats, places, kept_free: room(KEPT_FREE), pauses: room(PAUSING), threads: Arc::default() }
    }

    /// Whether strangers get no place now.
    pub(crate) fn is_full(&self) -> bool {
        self.places.available_permits() == 0
    }

    /// Takes a place, before anything is done for who comes.
    pub(crate) async fn enter(&self, standing: Standing) -> Result<Place, Busy> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        if standing == Standing::Known
            && let Ok(place) = Arc::clone(&self.kept_free).try_acquire_owned()
        {
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
        self.compute(place, move |memory| password::fits(kept.as_deref(), &password, memory)).await
    }

    /// What is kept of a password that somebody gives who is in already.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Busy> {
        let place = self.enter(Standing::Known).await?;
        self.compute(place, move |memory| password::hash(&password, memory)).await
    }

    /// Computes when it is its turn. The seat goes with the work: a caller who goes away frees nothing early.
    async fn compute<R: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce(&mut Memory) -> R + Send + 'static,
    ) -> Result<R, Busy> {
        let seat = Arc::clone(&self.seats).acquire_owned().await.map_err(|_| Busy)?;
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move |memory| {
            let _gone = done.send(work(memory));
            drop((seat, place));
        });
        self.threads()?.send(work).map_err(|_| Busy)?;
        result.await.map_err(|_| Busy)
    }

    /// Those who work. They start with the first password, and end with the hasher.
    fn threads(&self) -> Result<&Sender<Work>, Busy> {
        if let Some(threads) = self.threads.get() {
            return Ok(threads);
        }
        let started = start().map_err(|error| {
            error!("could not start a thread for passwords: {error}");
            Busy
        })?;
        Ok(self.threads.get_or_init(|| started))
    }
}

/// Of two cores, one stays for everybody else.
fn at_once() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, AT_ONCE)
}

/// Starts the threads that work, until nobody can send them anything.
fn start() -> io::Result<Sender<Work>> {
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..at_once() {
        let receiver = receiver.clone();
        thread::Builder::new().name("password".into()).spawn(move || work(&receiver))?;
    }
    Ok(sender)
}

/// Does what there is to do, for as long as there is a hasher. All other threads of the machine go first: whoever guesses
/// passwords keeps a core busy, and pages are not to wait for that. It is the same thread for all passwords, because the
/// scheduler gives a new one some milliseconds before others, however nice it is. What one was computed in is kept for
/// the next one that follows, because to get it from the system and to give it back costs everybody time.
fn work(receiver: &Mutex<Receiver<Work>>) {
    if let Err(error) = rustix::process::nice(NICE) {
        debug!("could not give way to others: {error}");
    }
    let mut memory = Memory::new();
    loop {
        // Who finds the other one waiting is not needed at once.
        let receiver = receiver.try_lock().unwrap_or_else(|_| {
            memory = Memory::new();
            receiver.lock().unwrap_or_else(PoisonError::into_inner)
        });
        let next = receiver.recv_timeout(KEPT).or_else(|_| {
            memory = Memory::new();
            receiver.recv()
        });
        drop(receiver);
        let Ok(next) = next else { return };
        next(&mut memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_come_when_too_many_wait_are_told_so_and_nothing_is_computed() {
        let hasher = Hasher::new();
        let fits = async || {
            let place = hasher.enter(Standing::Stranger).await?;
            hasher.fits(place, None, "wrong".into()).await
        };
        let all = (0..100).map(|_| fits());

        let answers = futures_util::future::join_all(all).await;

        let busy = answers.iter().filter(|answer| **answer == Err(Busy)).count();
        assert_eq!(busy, 100 - AT_ONCE - WAITING);
        assert_eq!(fits().await, Ok(false), "and all places are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_do_not_take_all_places() {
        let hasher = Hasher::new();
        let mut places = Vec::new();
        while !hasher.is_full() {
            places.push(hasher.enter(Standing::Stranger).await.unwrap());
        }

        assert!(hasher.enter(Standing::Stranger).await.is_err());
        for _ in 0..KEPT_FREE {
            places.push(hasher.enter(Standing::Known).await.unwrap());
        }
        assert!(hasher.enter(Standing::Known).await.is_err());
        drop(places);
        assert!(!hasher.is_full() && hasher.enter(Standing::Stranger).await.is_ok());
    }

    #[tokio::test]
    async fn what_was_hashed_fits() {
        let hasher = Hasher::new();
        let kept = hasher.hash("correct horse battery".into()).await.unwrap();
        let place = hasher.enter(Standing::Stranger).await.unwrap();
        assert_eq!(hasher.fits(place, Some(kept), "correct horse battery".into()).await, Ok(true));
    }
}
