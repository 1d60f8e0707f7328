//! Who may be connected: so many at once, not all of them from one address, and idle ones give way.
//!
//! A browser keeps connections open that it does not use, and so does who means harm. A connection
//! is *busy* from a request's head to the last byte of its answer, and *idle* otherwise, also before
//! its first request and while a head arrives. When all seats are taken, who has been idle longest
//! is sent away; a busy one never is.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mesh::Complaints;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::door::Network;

/// The seats of the portal. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Seats(Arc<Room>);

#[derive(Debug)]
struct Room {
    most: usize,
    /// What one address may have of them: it may be a proxy, or a whole shop behind one router.
    most_of_one: usize,
    taken: Mutex<Taken>,
    freed: Notify,
    complaints: Complaints,
}

#[derive(Debug, Default)]
struct Taken {
    seats: HashMap<u64, Sitting>,
    addresses: HashMap<Network, usize>,
    /// Who is idle, by when that began.
    idle: BTreeMap<u64, u64>,
    /// Counts seats and changes; it only rises.
    moment: u64,
}

#[derive(Debug)]
struct Sitting {
    address: Network,
    /// Its place among the idle ones; none while it is busy.
    idle: Option<u64>,
    leave: CancellationToken,
}

/// A seat that is taken; free again when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    id: u64,
    leave: CancellationToken,
}

/// Keeps a seat busy until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    room: Arc<Room>,
    id: u64,
}

impl Seats {
    pub(super) fn new(most: usize, most_of_one: usize) -> Seats {
        Seats(Arc::new(Room {
            most,
            most_of_one,
            taken: Mutex::default(),
            freed: Notify::new(),
            complaints: Complaints::default(),
        }))
    }

    /// A seat for somebody at this address; waits while everybody is busy. None when all that the
    /// address may have are busy.
    pub(super) async fn take(&self, address: Network) -> Option<Seat> {
        loop {
            let freed = self.0.freed.notified();
            {
                let mut taken = self.0.lock();
                if taken.addresses.get(&address).is_some_and(|count| *count >= self.0.most_of_one) {
                    let oldest = taken.oldest_of(address)?;
                    taken.send_away(oldest);
                }
                if taken.seats.len() >= self.0.most
                    && let Some(oldest) = taken.oldest()
                {
                    taken.send_away(oldest);
                }
                if taken.seats.len() < self.0.most {
                    return Some(self.sit_down(&mut taken, address));
                }
            }
            let most = self.0.most;
            self.0.complaints.warn(|more| warn!("all {most} connections are busy, the next ones wait{more}"));
            freed.await;
        }
    }

    /// Sends away who has been idle longest: there are no descriptors left. Whether there was somebody.
    pub(super) fn free_one(&self) -> bool {
        let mut taken = self.0.lock();
        let oldest = taken.oldest();
        oldest.into_iter().for_each(|id| taken.send_away(id));
        oldest.is_some()
    }

    fn sit_down(&self, taken: &mut Taken, address: Network) -> Seat {
        let (id, leave) = (taken.next(), CancellationToken::new());
        taken.seats.insert(id, Sitting { address, idle: None, leave: leave.clone() });
        *taken.addresses.entry(address).or_default() += 1;
        taken.rest(id);
        Seat { room: self.0.clone(), id, leave }
    }
}

impl Seat {
    /// Says that a request came.
    pub(super) fn busy(&self) -> Busy {
        self.room.lock().work(self.id);
        Busy { room: self.room.clone(), id: self.id }
    }

    /// Resolves when somebody else needs the seat.
    pub(super) async fn leave(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.lock().stand_up(self.id);
        self.room.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.room.lock().rest(self.id);
        // Who waits for a seat may have this one's.
        self.room.freed.notify_one();
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn next(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    fn rest(&mut self, id: u64) {
        let moment = self.next();
        let Some(sitting) = self.seats.get_mut(&id) else { return };
        sitting.idle = Some(moment);
        self.idle.insert(moment, id);
    }

    fn work(&mut self, id: u64) {
        let Some(sitting) = self.seats.get_mut(&id) else { return };
        if let Some(moment) = sitting.idle.take() {
            self.idle.remove(&moment);
        }
    }

    fn stand_up(&mut self, id: u64) {
        self.work(id);
        let Some(sitting) = self.seats.remove(&id) else { return };
        let left = self.addresses.get_mut(&sitting.address).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            self.addresses.remove(&sitting.address);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.idle.values().next().copied()
    }

    fn oldest_of(&self, address: Network) -> Option<u64> {
        self.idle.values().copied().find(|id| self.seats.get(id).is_some_and(|sitting| sitting.address == address))
    }

    /// Its seat is free now; its connection ends in a moment.
    fn send_away(&mut self, id: u64) {
        if let Some(sitting) = self.seats.get(&id) {
            sitting.leave.cancel();
        }
        self.stand_up(id);
    }
}

#[cfg(test)]
mod tests {
    use std::{net::IpAddr, time::Duration};

    use tokio::time::timeout;

    use super::*;

    fn at(last: u8) -> Network {
        Network::of(IpAddr::from([192, 0, 2, last]))
    }

    fn is_sent_away(seat: &Seat) -> bool {
        seat.leave.is_cancelled()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_one_gives_way_and_a_busy_one_never() {
        let seats = Seats::new(3, 9);
        let (first, second, third) =
            (seats.take(at(1)).await.unwrap(), seats.take(at(2)).await.unwrap(), seats.take(at(3)).await.unwrap());
        let working = first.busy();
        drop(second.busy());

        let fourth = seats.take(at(4)).await.unwrap();
        assert!(is_sent_away(&third), "the second was busy since");
        let fifth = seats.take(at(5)).await.unwrap();
        assert!(is_sent_away(&second) && !is_sent_away(&first));

        let work = [fourth.busy(), fifth.busy()];
        let waits = timeout(Duration::from_secs(1), seats.take(at(6))).await;
        assert!(waits.is_err(), "everybody is busy");
        let taking = seats.take(at(6));
        tokio::pin!(taking);
        assert!(timeout(Duration::from_secs(1), taking.as_mut()).await.is_err());
        drop(working);
        let _sixth = taking.await.unwrap();
        assert!(is_sent_away(&first));
        drop(work);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_take_all_seats() {
        let seats = Seats::new(9, 2);
        let (first, second) = (seats.take(at(1)).await.unwrap(), seats.take(at(1)).await.unwrap());

        let third = seats.take(at(1)).await.unwrap();
        assert!(is_sent_away(&first) && !is_sent_away(&second));
        let work = [second.busy(), third.busy()];
        assert!(seats.take(at(1)).await.is_none());
        assert!(seats.take(at(2)).await.is_some());
        drop((work, second));
        assert!(seats.take(at(1)).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_household_of_ipv6_is_one_address() {
        let seats = Seats::new(9, 2);
        let at = |address: &str| Network::of(address.parse().unwrap());
        let (first, second) =
            (seats.take(at("2001:db8::1")).await.unwrap(), seats.take(at("2001:db8::2")).await.unwrap());
        let work = [first.busy(), second.busy()];

        assert!(seats.take(at("2001:db8::3")).await.is_none());
        assert!(seats.take(at("2001:db8:0:1::3")).await.is_some());
        drop(work);
    }

    #[tokio::test]
    async fn everything_is_free_when_everybody_left() {
        let seats = Seats::new(2, 2);
        for _ in 0..100 {
            let seat = seats.take(at(1)).await.unwrap();
            let work = seat.busy();
            drop(seat);
            drop(work);
        }
        let taken = seats.0.lock();
        assert!(taken.seats.is_empty() && taken.addresses.is_empty() && taken.idle.is_empty(), "{taken:?}");
    }
}
