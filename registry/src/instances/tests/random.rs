//! Random sequences of everything that can happen, against what must stay true.

use std::collections::{BTreeMap, HashMap};

use prost::Message as _;
use proto::registry::watch_response::Event;
use proto::registry::{Instance, WatchResponse};

use super::*;
use crate::feed::{Feed, Followed};

const IDS: u8 = 6;
const STREAMS: u64 = 4;

/// A watcher as a client is one: it knows only what it was sent.
#[derive(Default)]
struct Watch {
    known: BTreeMap<String, Instance>,
    arriving: Option<BTreeMap<String, Instance>>,
    parts: Vec<Instance>,
    position: Option<u64>,
    /// The highest incarnation that was told of each instance.
    newest: HashMap<String, u64>,
}

impl Watch {
    /// Reads everything that is new, as it comes over the wire.
    fn read(&mut self, feed: &Feed, followed: &Followed, table: &Instances) {
        let batch = feed.batch(followed, self.position, |tell| tell(table));
        assert!(batch.revision >= self.position.unwrap_or_default(), "revisions never fall");
        for message in &batch.messages {
            self.apply(WatchResponse::decode(message.encode_to_vec().as_slice()).unwrap());
        }
        self.position = Some(batch.revision);
    }

    fn apply(&mut self, message: WatchResponse) {
        let before = self.position.unwrap_or_default();
        match message.event.unwrap() {
            Event::Reset(_) => self.arriving = Some(BTreeMap::new()),
            Event::Snapshot(snapshot) => {
                let arriving = self.arriving.as_mut().unwrap();
                arriving
                    .extend(snapshot.instances.into_iter().map(|instance| (instance.instance_id.clone(), instance)));
            }
            Event::SnapshotEnd(_) => self.known = self.arriving.take().unwrap(),
            Event::Delta(delta) => {
                assert_eq!(delta.from_revision, before, "a change follows what was known");
                self.parts.extend(delta.changed);
                if !delta.more {
                    assert!(message.revision > before, "revisions rise strictly");
                    std::mem::take(&mut self.parts).into_iter().for_each(|instance| self.change(instance));
                }
            }
            Event::Bookmark(_) => assert!(message.revision >= before),
        }
    }

    fn change(&mut self, instance: Instance) {
        let newest = self.newest.entry(instance.instance_id.clone()).or_default();
        assert!(instance.incarnation >= *newest, "nothing is told of the dead after the living");
        *newest = instance.incarnation;
        if instance.state() == InstanceState::Down {
            self.known.remove(&instance.instance_id);
        } else {
            self.known.insert(instance.instance_id.clone(), instance);
        }
    }
}

/// What a client of the table knows.
#[derive(Default)]
struct Clients {
    living: HashMap<String, u64>,
    dead: Vec<(String, u64)>,
    probes: Vec<Probe>,
}

fn happen(world: &mut World, clients: &mut Clients, random: &mut fastrand::Rng) {
    let id = format!("i{}", random.u8(..IDS));
    let stream = random.u64(..STREAMS);
    let living = clients.living.get(&id).copied();
    match random.u8(..11) {
        0 | 1 => {
            let nonce = random.u64(1..4);
            // Two of them share an address, so that they supersede each other.
            let port = u16::from(random.u8(..IDS)) + 1;
            if let Ok(granted) = world.register_as(&id, Registration::sample(nonce, port)) {
                let before = clients.living.insert(id.clone(), granted.incarnation);
                let dead = before.filter(|before| *before != granted.incarnation);
                clients.dead.extend(dead.map(|incarnation| (id, incarnation)));
            }
        }
        2 | 3 => {
            let state = random.choice([None, Some(InstanceState::Ready), Some(InstanceState::NotReady)]).flatten();
            if let Some(incarnation) = living {
                let beat = Beat { state, ..beat(&id, incarnation) };
                world.table.beat(&beat, StreamId(stream), world.now);
            }
        }
        4 => world.table.close(StreamId(stream), world.now),
        5 => drop(living.map(|incarnation| {
            let drain = random.bool();
            world.table.deregister(&key(&id), incarnation, drain, world.now)
        })),
        6 => {
            let finding = [Finding::Refused, Finding::Silent, Finding::Serving, Finding::Unreachable];
            clients.probes.append(&mut world.table.errands().probes);
            if !clients.probes.is_empty() {
                let probe = clients.probes.swap_remove(random.usize(..clients.probes.len()));
                world.table.probed(&probe, *random.choice(&finding).unwrap(), world.now);
            }
        }
        7 => drop(world.table.drain(&key(&id), world.now)),
        8 => drop(world.table.undrain(&key(&id), world.now)),
        9 => world.now.instant += Duration::from_millis(random.u64(..5000)),
        _ => world.pass(Duration::from_millis(random.u64(..3000))),
    }
    // Whatever is late from the dead changes nothing.
    if let Some((id, incarnation)) = random.choice(&clients.dead).cloned() {
        let before = world.revision();
        let after_pause = |world: &World| world.kinds(before).is_empty();
        assert_eq!(world.beat(&id, incarnation, stream), Some(Order::RegisterAgain));
        assert!(world.table.deregister(&key(&id), incarnation, random.bool(), world.now).is_err());
        assert!(after_pause(world), "an event for a dead incarnation");
    }
}

#[test]
fn no_sequence_of_events_confuses_the_table_or_a_watcher() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let mut clients = Clients::default();
        let followed: Followed = Arc::from([Arc::from("productsvc")]);
        let feed = Feed::new("epoch");
        // One reads always, one sometimes; a third begins anew now and then, as after a cut.
        let (mut eager, mut lazy, mut cut) = (Watch::default(), Watch::default(), Watch::default());
        let mut told = 0;
        for _ in 0..200 {
            happen(&mut world, &mut clients, &mut random);
            feed.renew();
            eager.read(&feed, &followed, &world.table);
            if random.u8(..10) == 0 {
                lazy.read(&feed, &followed, &world.table);
            }
            if random.u8(..10) == 0 {
                cut = if random.bool() { Watch::default() } else { Watch { parts: Vec::new(), ..cut } };
                cut.read(&feed, &followed, &world.table);
            }
            let revisions: Vec<u64> =
                world.table.changes().after(told).unwrap().map(|change| change.revision).collect();
            assert!(revisions.iter().copied().eq(told + 1..=world.revision()), "no revision is left out");
            told = world.revision();
        }
        feed.renew();
        let up = world.table.up(&followed);
        let up: BTreeMap<String, Instance> =
            up.iter().map(|record| (record.key.instance.to_string(), record.instance())).collect();
        for (name, mut watch) in [("eager", eager), ("lazy", lazy), ("cut", cut)] {
            watch.read(&feed, &followed, &world.table);
            assert_eq!(watch.known, up, "the {name} watcher has the table's content, seed {seed}");
        }
    }
}

#[test]
fn a_restarted_table_mints_higher_incarnations_and_is_rebuilt_by_registrations() {
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let mut clients = Clients::default();
        (0..100).for_each(|_| happen(&mut world, &mut clients, &mut random));
        let highest = world.table.next_incarnation;
        let before = std::mem::take(&mut clients.living);

        let rules = Rules { first_incarnation: highest + 1000, ..world.table.rules };
        world.table = Instances::new(rules, world.now);
        for (id, old) in before {
            assert_eq!(world.beat(&id, old, 1), Some(Order::RegisterAgain), "it asks them back");
            let new = world.register(&id, 1);
            assert!(new > old);
        }
        (0..100).for_each(|_| happen(&mut world, &mut clients, &mut random));
    }
}
