//! Failed logins, counted by account and by address: each further one takes longer.
//!
//! An attempt counts when it begins, so that many at once are not many guesses. What is
//! refused here is not counted, or nobody could ever come in again. An account is shut for
//! a minute at most, and not at all where it logged in before: whoever knows a name could
//! shut it out otherwise, taking each opening for another guess. It is all in memory and
//! bounded, and forgotten an hour after the last failure.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Name, client::Network};

/// Accounts, and addresses, that are remembered; of more, the one that is quiet the longest is forgotten.
const MOST: usize = 10_000;

/// After how long a failure is forgotten.
const MEMORY: Duration = Duration::from_secs(3600);

/// How failures become a pause.
#[derive(Debug)]
struct Slope {
    /// Failures that cost nothing: people mistype.
    free: u32,
    longest: Duration,
}

const ACCOUNTS: Slope = Slope { free: 5, longest: Duration::from_secs(60) };
const ADDRESSES: Slope = Slope { free: 10, longest: Duration::from_secs(900) };

impl Slope {
    /// 1 s, 2 s, 4 s, and so on.
    fn pause(&self, failures: u32) -> Duration {
        match failures.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1 << beyond.min(20)).min(self.longest),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    failures: u32,
    last: Instant,
}

#[derive(Debug)]
struct Tallies<K> {
    slope: Slope,
    table: HashMap<K, Tally>,
}

impl<K: Clone + Eq + Hash> Tallies<K> {
    /// How long to wait still.
    fn wait(&self, key: &K, now: Instant) -> Duration {
        let Some(tally) = self.table.get(key).filter(|tally| now - tally.last < MEMORY) else { return Duration::ZERO };
        (tally.last + self.slope.pause(tally.failures)).saturating_duration_since(now)
    }

    /// Counts one more; answers how it was before.
    fn count(&mut self, key: &K, now: Instant) -> Tally {
        if !self.table.contains_key(key) && self.table.len() >= MOST {
            self.make_room(now);
        }
        let tally = self.table.entry(key.clone()).or_insert(Tally { failures: 0, last: now });
        let before = *tally;
        let failures = if now - tally.last < MEMORY { tally.failures } else { 0 };
        *tally = Tally { failures: failures.saturating_add(1), last: now };
        before
    }

    /// Counts one less, which began then. The pause is that of the last one that counts.
    fn take_back(&mut self, key: &K, (before, began): (Tally, Instant)) {
        if let Some(tally) = self.table.get_mut(key) {
            tally.failures = tally.failures.saturating_sub(1);
            if tally.last == began {
                tally.last = before.last;
            }
        }
    }

    fn make_room(&mut self, now: Instant) {
        self.table.retain(|_, tally| now - tally.last < MEMORY);
        if self.table.len() >= MOST
            && let Some(quietest) = self.table.iter().min_by_key(|(_, tally)| tally.last).map(|(key, _)| key.clone())
        {
            self.table.remove(&quietest);
        }
    }
}

/// Whether an account has logged in from where somebody tries to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has: there it does not wait for what others try elsewhere, but for what is tried at this address.
    Known,
    Stranger,
}

/// All failed logins that are remembered.
#[derive(Debug)]
pub(crate) struct Attempts(Mutex<Remembered>);

#[derive(Debug)]
struct Remembered {
    accounts: Tallies<Name>,
    networks: Tallies<Network>,
    /// Who logged in from where, and how many did before.
    homes: HashMap<(Name, Network), u64>,
    logins: u64,
}

impl Remembered {
    fn at_home(&mut self, name: Name, network: Network) {
        self.logins += 1;
        self.homes.insert((name, network), self.logins);
        if self.homes.len() > MOST
            && let Some(oldest) = self.homes.iter().min_by_key(|(_, login)| **login).map(|(home, _)| home.clone())
        {
            self.homes.remove(&oldest);
        }
    }
}

impl Attempts {
    pub(crate) fn none() -> Attempts {
        Attempts(Mutex::new(Remembered {
            accounts: Tallies { slope: ACCOUNTS, table: HashMap::new() },
            networks: Tallies { slope: ADDRESSES, table: HashMap::new() },
            homes: HashMap::new(),
            logins: 0,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As if many had failed elsewhere.
    #[cfg(test)]
    pub(crate) fn shut(&self, name: &Name) {
        self.lock().accounts.table.insert(name.clone(), Tally { failures: 9, last: Instant::now() });
    }

    /// As if the portal had started anew.
    #[cfg(test)]
    pub(crate) fn forget_homes(&self) {
        self.lock().homes.clear();
    }

    /// Whether an address waits, whoever is tried.
    pub(crate) fn waits(&self, network: Network, now: Instant) -> bool {
        !self.lock().networks.wait(&network, now).is_zero()
    }

    /// Whether strangers to an account wait.
    pub(crate) fn is_shut(&self, name: &Name, now: Instant) -> bool {
        !self.lock().accounts.wait(name, now).is_zero()
    }

    /// Whether an account logged in from there since the portal started.
    pub(crate) fn knows(&self, name: &Name, network: Network) -> bool {
        self.lock().homes.contains_key(&(name.clone(), network))
    }

    /// Counts an attempt, or says how long to wait before there may be one.
    pub(crate) fn begin(
        &self,
        (name, standing): (Option<Name>, Standing),
        network: Network,
        now: Instant,
    ) -> Result<Attempt<'_>, Duration> {
        let Remembered { accounts, networks, .. } = &mut *self.lock();
        let waiting = name.as_ref().filter(|_| standing == Standing::Stranger);
        let of_name = waiting.map_or(Duration::ZERO, |name| accounts.wait(name, now));
        let wait = networks.wait(&network, now).max(of_name);
        if !wait.is_zero() {
            return Err(wait);
        }
        let network = (network, networks.count(&network, now));
        let name = name.map(|name| {
            let before = accounts.count(&name, now);
            (name, before)
        });
        Ok(Attempt { attempts: self, name, network, began: now, is_over: false })
    }
}

/// An attempt that has begun. Who lets go of it before it is over has tried nothing: the portal was too busy, or the
/// client did not wait and learned nothing.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    attempts: &'a Attempts,
    /// Each with how it was before.
    name: Option<(Name, Tally)>,
    network: (Network, Tally),
    began: Instant,
    is_over: bool,
}

impl Attempt<'_> {
    /// It went wrong, and stays counted.
    pub(crate) fn failed(mut self) {
        self.is_over = true;
    }

    /// It went well: the account begins anew, the address only has this one back.
    pub(crate) fn succeeded(mut self) {
        self.is_over = true;
        let remembered = &mut *self.attempts.lock();
        let (network, before) = &self.network;
        if let Some((name, _)) = &self.name {
            remembered.accounts.table.remove(name);
            remembered.at_home(name.clone(), *network);
        }
        remembered.networks.take_back(network, (*before, self.began));
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let Remembered { accounts, networks, .. } = &mut *self.attempts.lock();
            let (network, before) = &self.network;
            networks.take_back(network, (*before, self.began));
            if let Some((name, before)) = &self.name {
                accounts.take_back(name, (*before, self.began));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Standing::Stranger, *};

    fn network(n: u32) -> Network {
        Network::of(IpAddr::from(n.to_be_bytes()))
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn an_account_is_slower_with_each_failure_and_never_shut_for_more_than_a_minute() {
        let (attempts, ann, mut now) = (Attempts::none(), name("ann"), Instant::now());
        let mut waits = Vec::new();
        for n in 0..14 {
            // From everywhere, so that no address is slowed.
            let attempt = attempts.begin((Some(ann.clone()), Stranger), network(n), now).or_else(|wait| {
                waits.push(wait.as_secs());
                now += wait;
                attempts.begin((Some(ann.clone()), Stranger), network(n), now)
            });
            attempt.unwrap().failed();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        attempts.begin((Some(ann.clone()), Stranger), network(98), now + ACCOUNTS.longest).unwrap().succeeded();
        assert!(attempts.begin((Some(ann), Stranger), network(99), now).is_ok());
    }

    #[test]
    fn nobody_waits_at_home_for_what_others_try_elsewhere() {
        let (attempts, ann, now) = (Attempts::none(), name("ann"), Instant::now());
        attempts.begin((Some(ann.clone()), Stranger), network(7), now).unwrap().succeeded();
        for n in 20..25 {
            attempts.begin((Some(ann.clone()), Stranger), network(n), now).unwrap().failed();
        }
        assert!(attempts.is_shut(&ann, now) && attempts.begin((Some(ann.clone()), Stranger), network(7), now).is_err());
        assert!(attempts.knows(&ann, network(7)) && !attempts.knows(&ann, network(8)));
        assert!(!attempts.knows(&name("bob"), network(7)));
        for _ in 0..10 {
            attempts.begin((Some(ann.clone()), Standing::Known), network(7), now).unwrap().failed();
        }
        assert!(attempts.begin((Some(ann), Standing::Known), network(7), now).is_err(), "an address is an address");
    }

    #[test]
    fn an_address_is_slowed_whatever_names_it_tries() {
        let (attempts, now) = (Attempts::none(), Instant::now());
        for n in 0..10 {
            attempts.begin((Some(name(&format!("user{n}"))), Stranger), network(1), now).unwrap().failed();
        }
        let wait = |n, now| attempts.begin((None, Stranger), network(n), now).err();
        assert_eq!(wait(1, now), Some(Duration::from_secs(1)));
        assert_eq!(wait(2, now), None, "others are not");
        assert_eq!(wait(1, now + Duration::from_secs(3600)), None, "and it is forgotten");
    }

    #[test]
    fn what_was_not_tried_does_not_count() {
        let (attempts, now) = (Attempts::none(), Instant::now());
        for _ in 0..100 {
            drop(attempts.begin((Some(name("ann")), Stranger), network(1), now).unwrap());
        }
        for n in 0..5 {
            attempts.begin((Some(name("bob")), Stranger), network(n), now).unwrap().failed();
        }
        let later = now + Duration::from_secs(2);
        drop(attempts.begin((Some(name("bob")), Stranger), network(9), later).unwrap());
        assert!(
            attempts.begin((Some(name("bob")), Stranger), network(9), later).is_ok(),
            "nor does it begin a pause anew"
        );
    }

    #[test]
    fn the_tables_are_bounded_and_forget_the_quietest() {
        let (attempts, mut now) = (Attempts::none(), Instant::now());
        for n in 0..u32::try_from(MOST).unwrap() + 500 {
            now += Duration::from_millis(1);
            attempts.begin((Some(name(&format!("n{n}"))), Stranger), network(n), now).unwrap().failed();
        }
        let Remembered { accounts, networks, .. } = &*attempts.lock();
        assert_eq!((accounts.table.len(), networks.table.len()), (MOST, MOST));
        assert!(!accounts.table.contains_key(&name("n0")) && accounts.table.contains_key(&name("n10400")));
    }
}
