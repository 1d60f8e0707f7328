//! What is true of the instance table.

use proto::registry::SuspectReason;

use super::*;

mod doubt;
mod random;

const LEASE: Duration = Duration::from_secs(6);
const TICK: Duration = Duration::from_millis(50);

/// A table and its clock, which only moves when it is told to.
struct World {
    table: Instances,
    now: Now,
}

impl World {
    /// A table that has warmed up.
    fn warm() -> Self {
        let mut world = Self::new();
        world.pass(LEASE);
        world
    }

    fn new() -> Self {
        let now = Now::read();
        let rules = Rules { lease: LEASE, most_beats: 20_000.0, first_incarnation: 1 };
        Self { table: Instances::new(rules, now), now }
    }

    /// Time passes while the registry runs.
    fn pass(&mut self, time: Duration) {
        let end = self.now.instant + time;
        while self.now.instant < end {
            self.now.instant += TICK;
            self.table.sweep(self.now);
        }
    }

    /// Time passes while these beat each second.
    fn pass_beating(&mut self, seconds: u32, beating: &[(&str, u64)]) {
        for _ in 0..seconds {
            self.pass(Duration::from_secs(1));
            for (id, incarnation) in beating {
                self.beat(id, *incarnation, 1);
            }
        }
    }

    fn register(&mut self, id: &str, boot_nonce: u64) -> u64 {
        self.register_as(id, Registration::sample(boot_nonce, port(id))).unwrap().incarnation
    }

    fn register_as(&mut self, id: &str, registration: Registration) -> Result<Granted, Error> {
        self.table.register(&key(id), &Arc::new(registration), self.now)
    }

    fn beat(&mut self, id: &str, incarnation: u64, stream: u64) -> Option<Order> {
        self.table.beat(&beat(id, incarnation), StreamId(stream), self.now)
    }

    /// Registers some that beat on a stream of their own, counted from 1.
    fn living(&mut self, count: u64) -> Vec<(String, u64)> {
        let ids = (1..=count).map(|n| (format!("i{n}"), n));
        ids.map(|(id, stream)| {
            let incarnation = self.register(&id, 1);
            self.beat(&id, incarnation, stream);
            (id, incarnation)
        })
        .collect()
    }

    /// Everybody who is asked answers in the same way.
    fn answer_probes(&mut self, finding: Finding) -> usize {
        let probes = self.table.errands().probes;
        probes.iter().for_each(|probe| self.table.probed(probe, finding, self.now));
        probes.len()
    }

    fn condition(&self, id: &str) -> (InstanceState, DownReason, SuspectReason) {
        let condition = self.table.entry(&key(id)).unwrap().record.condition;
        (condition.state, condition.down, condition.suspect)
    }

    fn is_ready(&self, id: &str) -> bool {
        self.condition(id) == (InstanceState::Ready, DownReason::Unspecified, SuspectReason::Unspecified)
    }

    fn is_suspect(&self, id: &str) -> bool {
        self.condition(id).2 != SuspectReason::Unspecified
    }

    fn down_reason(&self, id: &str) -> DownReason {
        self.condition(id).1
    }

    /// What happened since `revision`, as the kinds of events.
    fn kinds(&self, revision: u64) -> Vec<EventKind> {
        let kind = |change: &crate::changes::Change| match &change.what {
            What::Instance { kind, .. } => Some(*kind),
            _ => None,
        };
        self.table.changes().after(revision).unwrap().filter_map(kind).collect()
    }

    fn revision(&self) -> u64 {
        self.table.changes().revision()
    }
}

fn key(id: &str) -> Key {
    Key::new("productsvc", id)
}

fn port(id: &str) -> u16 {
    id.bytes().fold(1, |sum: u16, byte| sum.wrapping_mul(31).wrapping_add(u16::from(byte)))
}

fn beat(id: &str, incarnation: u64) -> Beat {
    Beat { key: key(id), incarnation, state: None, load: None }
}

#[test]
fn an_instance_that_beats_stays_up_without_any_event() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    let registered = world.revision();

    for _ in 0..30 {
        world.pass(Duration::from_secs(2));
        assert_eq!(world.beat("a", incarnation, 1), None);
    }

    assert_eq!(world.revision(), registered);
}

#[test]
fn a_silent_instance_is_suspect_and_then_down_when_its_lease_runs_out() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    world.beat("a", incarnation, 1);

    world.pass(Duration::from_millis(2300));
    assert!(world.is_ready("a"));
    world.pass(Duration::from_millis(150));
    assert_eq!(world.condition("a").2, SuspectReason::Silent);
    world.pass(Duration::from_millis(3500));
    assert_eq!(world.condition("a").0, InstanceState::Ready, "still listed");
    world.pass(Duration::from_millis(150));

    assert_eq!(world.down_reason("a"), DownReason::LeaseExpired);
}

#[test]
fn a_beat_clears_the_doubt() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    world.beat("a", incarnation, 1);
    world.pass(Duration::from_secs(3));
    let before = world.revision();

    world.beat("a", incarnation, 1);

    assert!(world.is_ready("a"));
    assert_eq!(world.kinds(before), [EventKind::Cleared]);
}

#[test]
fn the_late_end_of_an_old_stream_does_not_touch_the_living() {
    let mut world = World::warm();
    let old = world.register("a", 1);
    world.beat("a", old, 1);
    let new = world.register("a", 2);
    world.beat("a", new, 2);

    world.table.close(StreamId(1), world.now);
    assert_eq!(world.answer_probes(Finding::Refused), 0);
    assert_eq!(world.beat("a", old, 1), Some(Order::RegisterAgain), "a late beat of the dead");
    assert!(world.table.deregister(&key("a"), old, false, world.now).is_err());

    assert!(world.is_ready("a"));
    assert!(new > old);
}

#[test]
fn a_new_start_takes_the_old_one_down_as_superseded() {
    let mut world = World::warm();
    world.register("a", 1);
    let before = world.revision();

    world.register("a", 2);

    assert_eq!(world.kinds(before), [EventKind::WentDown, EventKind::Registered]);
    let down = world.table.changes().after(before).unwrap().next().unwrap().record().unwrap().condition;
    assert_eq!(down.down, DownReason::Superseded);
}

#[test]
fn an_address_belongs_to_who_is_beyond_doubt() {
    let mut world = World::warm();
    let taken = Registration::sample(1, 5000);
    let granted = world.register_as("a", taken.clone()).unwrap();
    world.beat("a", granted.incarnation, 1);

    let refused = world.register_as("b", taken.clone()).unwrap_err();
    assert!(matches!(refused, Error::AddressTaken { .. }), "{refused:?}");

    world.pass(Duration::from_secs(3));
    world.register_as("b", taken).unwrap();
    assert_eq!(world.down_reason("a"), DownReason::Superseded);
    assert!(world.is_ready("b"));
}

#[test]
fn registering_the_same_again_changes_nothing_and_renews() {
    let mut world = World::warm();
    let first = world.register_as("a", Registration::sample(1, 1)).unwrap();
    world.pass(Duration::from_secs(2));

    let again = world.register_as("a", Registration::sample(1, 1)).unwrap();

    assert_eq!(first, again);
    world.pass(Duration::from_secs(2));
    assert!(world.is_ready("a"));
}

#[test]
fn one_that_was_down_comes_back_with_a_new_incarnation() {
    let mut world = World::warm();
    let first = world.register("a", 1);
    world.pass(LEASE + TICK);

    assert_eq!(world.beat("a", first, 1), Some(Order::RegisterAgain));
    let again = world.register("a", 1);

    assert!(again > first);
    assert!(world.is_ready("a"));
}

#[test]
fn who_is_down_for_long_is_forgotten_and_its_service_is_not() {
    let mut world = World::warm();
    world.register("a", 1);
    world.pass(LEASE + TICK);

    world.pass(sweep::DOWN_REMEMBERED);

    assert!(world.table.entry(&key("a")).is_none());
    assert_eq!(world.table.count, 0);
    assert!(world.table.knows("productsvc"));
}

#[test]
fn an_operator_drains_and_undrains_and_the_process_hears_of_it() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    world.beat("a", incarnation, 1);

    world.table.drain(&key("a"), world.now).unwrap();
    assert_eq!(world.condition("a").0, InstanceState::Draining);
    assert_eq!(world.table.errands().orders, [(StreamId(1), key("a"), incarnation, Order::Drain)]);
    assert_eq!(world.beat("a", incarnation, 1), Some(Order::Drain), "until it obeys");
    let draining = Beat { state: Some(InstanceState::Draining), ..beat("a", incarnation) };
    assert_eq!(world.table.beat(&draining, StreamId(1), world.now), None);

    world.table.undrain(&key("a"), world.now).unwrap();
    assert_eq!(world.table.beat(&draining, StreamId(1), world.now), Some(Order::Undrain));
    let ready = Beat { state: Some(InstanceState::Ready), ..beat("a", incarnation) };
    assert_eq!(world.table.beat(&ready, StreamId(1), world.now), None);
    assert!(world.is_ready("a"));
}

#[test]
fn a_drained_process_stays_drained_with_another_registry() {
    let mut world = World::warm();
    let registration = Registration { state: InstanceState::Draining, ..Registration::sample(1, 1) };

    world.register_as("a", registration).unwrap();

    let condition = world.table.entry(&key("a")).unwrap().record.condition;
    assert!(condition.drained && condition.state == InstanceState::Draining);
}

#[test]
fn whom_an_operator_took_down_stays_so_until_undrain_or_its_next_start() {
    let mut world = World::warm();
    world.register("a", 1);
    world.table.remove(&key("a"), world.now).unwrap();
    assert_eq!(world.down_reason("a"), DownReason::Operator);

    let refused = world.register_as("a", Registration::sample(1, port("a"))).unwrap_err();
    assert_eq!(refused, Error::TakenDown(key("a")));
    world.table.undrain(&key("a"), world.now).unwrap();
    world.register("a", 1);
    assert!(world.is_ready("a"));

    world.table.remove(&key("a"), world.now).unwrap();
    world.register("a", 2);
    assert!(world.is_ready("a"));
}

#[test]
fn a_goodbye_drains_first_and_is_harmless_when_repeated() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);

    let draining = world.table.deregister(&key("a"), incarnation, true, world.now).unwrap();
    assert_eq!(world.condition("a").0, InstanceState::Draining);
    assert_eq!(world.beat("a", incarnation, 1), None, "it goes on beating");
    assert_eq!(world.condition("a").0, InstanceState::Draining);
    let down = world.table.deregister(&key("a"), incarnation, false, world.now).unwrap();
    let repeated = world.table.deregister(&key("a"), incarnation, false, world.now).unwrap();

    assert_eq!(world.down_reason("a"), DownReason::Deregistered);
    assert_eq!((down, repeated), (draining + 1, draining + 1));
}

#[test]
fn a_busy_registry_grants_longer_leases_and_tells_who_is_there() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    // 30 instances at most one beat a second each: 90 s for all of them.
    world.table.rules.most_beats = 1.0;
    for n in 0..29 {
        world.register(&format!("more{n}"), 1);
    }

    assert_eq!(world.beat("a", incarnation, 1), Some(Order::ChangeLease(Duration::from_secs(90))));
    assert_eq!(world.beat("a", incarnation, 1), None, "it is told once");
    world.pass(Duration::from_secs(20));
    assert!(world.is_ready("a"));
}

#[test]
fn what_is_required_and_not_ready_is_missing() {
    let mut world = World::warm();
    let needy = Registration { required_services: vec!["other".to_owned()], ..Registration::sample(1, 1) };
    world.register_as("a", needy).unwrap();
    let missing = |world: &World| world.table.missing(&key("a")).cloned().collect::<Vec<String>>();
    assert_eq!(missing(&world), ["other"]);

    let other = Key::new("other", "o");
    world.table.register(&other, &Arc::new(Registration::sample(1, 2)), world.now).unwrap();

    assert!(missing(&world).is_empty());
    assert!(world.table.get(&key("a")).unwrap().missing_services.is_empty());
}
