//! How many requests one client may send.
//!
//! A bucket of tokens for each client, in a bounded table. One that is full again says
//! nothing that a new one would not, and is forgotten first.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use super::{client::Network, secret::Digest};

/// Clients that are remembered.
const MOST: usize = 16_384;

/// Seconds of the rate that a client may send at once.
const BURST: f64 = 2.0;

/// Who counts as one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Session(Digest),
    Token(i64),
    Network(Network),
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of all clients.
#[derive(Debug)]
pub(crate) struct Buckets {
    rate: f64,
    table: Mutex<HashMap<Key, Bucket>>,
}

impl Buckets {
    /// For so many requests a second.
    pub(crate) fn new(rate: NonZeroU32) -> Buckets {
        Buckets { rate: rate.get().into(), table: Mutex::default() }
    }

    /// Takes a token, or says in how many seconds there is one.
    pub(crate) fn take(&self, key: Key, now: Instant) -> Result<(), u64> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if !table.contains_key(&key) && table.len() >= MOST {
            self.make_room(&mut table, now);
        }
        let bucket = table.entry(key).or_insert(Bucket { tokens: self.most(), at: now });
        *bucket = Bucket { tokens: self.now(bucket, now), at: now };
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        // The rate is 1 a second at least: it is a second at most.
        Err(1)
    }

    fn most(&self) -> f64 {
        self.rate * BURST
    }

    fn now(&self, bucket: &Bucket, now: Instant) -> f64 {
        (bucket.tokens + self.rate * now.saturating_duration_since(bucket.at).as_secs_f64()).min(self.most())
    }

    fn make_room(&self, table: &mut HashMap<Key, Bucket>, now: Instant) {
        table.retain(|_, bucket| self.now(bucket, now) < self.most());
        if table.len() >= MOST
            && let Some(quietest) = table.iter().min_by_key(|(_, bucket)| bucket.at).map(|(key, _)| *key)
        {
            table.remove(&quietest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use super::*;

    fn key(n: u32) -> Key {
        Key::Network(Network::of(IpAddr::from(n.to_be_bytes())))
    }

    fn buckets(rate: u32) -> Buckets {
        Buckets::new(NonZeroU32::new(rate).unwrap())
    }

    #[test]
    fn a_client_may_send_a_burst_and_then_its_rate() {
        let (buckets, start) = (buckets(10), Instant::now());
        let taken = |key, now| (0..100).filter(|_| buckets.take(key, now).is_ok()).count();

        assert_eq!(taken(key(1), start), 20);
        assert_eq!(taken(key(1), start + Duration::from_secs(1)), 10);
        assert_eq!(buckets.take(key(1), start + Duration::from_secs(1)), Err(1));
        assert_eq!(taken(key(2), start), 20, "others have their own");
        assert_eq!(taken(key(1), start + Duration::from_secs(99)), 20, "and nobody saves up more");
    }

    #[test]
    fn the_table_is_bounded() {
        let (buckets, now) = (buckets(1), Instant::now());
        for n in 0..u32::try_from(MOST).unwrap() + 100 {
            buckets.take(key(n), now).unwrap();
        }
        assert_eq!(buckets.table.lock().unwrap().len(), MOST);
        buckets.take(key(99_999), now + Duration::from_secs(5)).unwrap();
        assert_eq!(buckets.table.lock().unwrap().len(), 1, "those that are full again are forgotten");
    }
}
