//! What is true of the instance table.

use super::*;

const LEASE: Duration = Duration::from_secs(6);

fn table() -> Instances {
    Instances::new(LEASE, 1)
}

fn key(id: &str) -> Key {
    Key { service: "productsvc".to_owned(), instance: id.to_owned() }
}

fn registration(boot_nonce: u64) -> Registration {
    Registration::sample(boot_nonce)
}

fn beat(id: &str, incarnation: u64) -> Beat {
    Beat { key: key(id), incarnation, state: None }
}

fn later(now: Now, seconds: u64) -> Now {
    Now { instant: now.instant + Duration::from_secs(seconds), ..now }
}

fn state(table: &Instances, id: &str) -> (InstanceState, DownReason) {
    let (_, instance) = table.list(None).find(|(listed, _)| **listed == key(id)).unwrap();
    (instance.state(), instance.down_reason())
}

#[test]
fn an_instance_that_beats_stays_up() {
    let (mut table, now) = (table(), Now::read());
    let granted = table.register(key("a"), registration(1), now).unwrap();

    for seconds in (2..60).step_by(2) {
        assert!(table.beat(&beat("a", granted.incarnation), StreamId(1), later(now, seconds)));
        assert!(table.expire(later(now, seconds + 1)).is_empty());
    }
}

#[test]
fn a_silent_instance_goes_down_when_its_lease_runs_out() {
    let (mut table, now) = (table(), Now::read());
    table.register(key("a"), registration(1), now).unwrap();

    assert!(table.expire(later(now, 5)).is_empty());
    assert_eq!(table.expire(later(now, 6)).len(), 1);

    assert_eq!(state(&table, "a"), (InstanceState::Down, DownReason::LeaseExpired));
}

#[test]
fn a_registry_that_was_paused_itself_punishes_nobody() {
    let (mut table, now) = (table(), Now::read());
    let granted = table.register(key("a"), registration(1), now).unwrap();
    table.beat(&beat("a", granted.incarnation), StreamId(1), now);
    table.expire(now);

    assert!(table.close(StreamId(1), later(now, 60)).is_empty(), "whoever gave the stream up has waited in vain");
    assert!(table.expire(later(now, 60)).is_empty(), "it was the registry that was away");

    assert!(table.expire(later(now, 61)).is_empty());
    assert_eq!(
        (62..80).filter(|seconds| !table.expire(later(now, *seconds)).is_empty()).count(),
        1,
        "silence still counts"
    );
}

#[test]
fn a_broken_stream_takes_its_instances_down_at_once() {
    let (mut table, now) = (table(), Now::read());
    for id in ["a", "b"] {
        let granted = table.register(key(id), registration(1), now).unwrap();
        table.beat(&beat(id, granted.incarnation), StreamId(if id == "a" { 1 } else { 2 }), now);
    }

    table.close(StreamId(1), now);

    assert_eq!(state(&table, "a"), (InstanceState::Down, DownReason::ConnectionLost));
    assert_eq!(state(&table, "b").0, InstanceState::Ready);
}

#[test]
fn the_late_end_of_an_old_stream_does_not_touch_the_living() {
    let (mut table, now) = (table(), Now::read());
    let old = table.register(key("a"), registration(1), now).unwrap();
    table.beat(&beat("a", old.incarnation), StreamId(1), now);
    let new = table.register(key("a"), registration(2), now).unwrap();
    table.beat(&beat("a", new.incarnation), StreamId(2), now);

    assert!(table.close(StreamId(1), now).is_empty());
    assert!(!table.beat(&beat("a", old.incarnation), StreamId(1), now), "a late beat of the dead");
    assert!(table.deregister(&key("a"), old.incarnation, now).is_err());

    assert_eq!(state(&table, "a").0, InstanceState::Ready);
    assert!(new.incarnation > old.incarnation);
}

#[test]
fn registering_the_same_again_changes_nothing() {
    let (mut table, now) = (table(), Now::read());
    let first = table.register(key("a"), registration(1), now).unwrap();

    let again = table.register(key("a"), registration(1), later(now, 5)).unwrap();

    assert_eq!(first, again);
    assert!(table.expire(later(now, 7)).is_empty(), "it renewed the lease");
}

#[test]
fn one_that_was_down_comes_back_with_a_new_incarnation() {
    let (mut table, now) = (table(), Now::read());
    let first = table.register(key("a"), registration(1), now).unwrap();
    table.expire(later(now, 6));

    assert!(!table.beat(&beat("a", first.incarnation), StreamId(1), later(now, 7)), "register again");
    let again = table.register(key("a"), registration(1), later(now, 7)).unwrap();

    assert!(again.incarnation > first.incarnation);
    assert_eq!(state(&table, "a").0, InstanceState::Ready);
}

#[test]
fn revisions_rise_by_one_with_each_change() {
    let (mut table, now) = (table(), Now::read());

    let registered = table.register(key("a"), registration(1), now).unwrap();
    let gone = table.deregister(&key("a"), registered.incarnation, now).unwrap();
    let repeated = table.deregister(&key("a"), registered.incarnation, now).unwrap();

    assert_eq!((registered.revision, gone, repeated), (1, 2, 2));
}

#[test]
fn who_is_down_for_long_is_forgotten() {
    let (mut table, now) = (table(), Now::read());
    table.register(key("a"), registration(1), now).unwrap();
    table.expire(later(now, 6));

    table.expire(later(now, 6 + DOWN_REMEMBERED.as_secs()));

    assert_eq!(table.list(None).count(), 0);
    assert!(table.knows("productsvc"));
}

/// Random sequences of everything that can happen, against what must stay true.
#[test]
fn no_sequence_of_events_confuses_the_table() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut table, mut now) = (table(), Now::read());
        let mut living: std::collections::HashMap<String, u64> = std::collections::HashMap::new();
        let mut watched: BTreeMap<String, Arc<Instance>> = BTreeMap::new();
        let mut applied = 0;
        for _ in 0..300 {
            let id = format!("i{}", random.u8(..5));
            now = later(now, random.u64(..3));
            match random.u8(..5) {
                0 => drop(living.insert(
                    id.clone(),
                    table.register(key(&id), registration(random.u64(1..3)), now).unwrap().incarnation,
                )),
                1 => drop(
                    living
                        .get(&id)
                        .map(|incarnation| table.beat(&beat(&id, *incarnation), StreamId(random.u64(..3)), now)),
                ),
                2 => drop(table.close(StreamId(random.u64(..3)), now)),
                3 => drop(living.get(&id).map(|incarnation| table.deregister(&key(&id), *incarnation, now))),
                _ => drop(table.expire(now)),
            }
            if random.bool() {
                let before = applied;
                for (_, changed) in table.changes().since(applied).unwrap() {
                    watched.insert(changed.instance_id.clone(), changed);
                }
                applied = table.changes().revision();
                assert!(applied >= before);
            }
        }
        for (_, changed) in table.changes().since(applied).unwrap() {
            watched.insert(changed.instance_id.clone(), changed);
        }

        watched.retain(|_, instance| instance.state() != InstanceState::Down);
        let up: BTreeMap<String, Arc<Instance>> =
            table.up().map(|instance| (instance.instance_id.clone(), instance.clone())).collect();
        assert_eq!(watched, up, "a watcher that applied every change has the table's content, seed {seed}");
    }
}
