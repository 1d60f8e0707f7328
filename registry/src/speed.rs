//! How fast the table is by itself, without a network: for the benchmark only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::instances::{Instances, Now, Rules};
use crate::registration::{Key, Registration, Terms};

/// Instances that register again and again, as with a mesh of that size.
const INSTANCES: u16 = 10_000;

/// Accepted registrations a second, on one core, each of which changes the table: a new
/// start of a known instance, which takes the one before it down.
pub fn registrations_per_second(time: Duration) -> f64 {
    let now = Now::read();
    let rules = Rules { lease: Duration::from_secs(6), most_beats: 20_000.0, first_incarnation: 1 };
    let mut instances = Instances::new(rules, now);
    let keys: Vec<Key> = (0..INSTANCES).map(|n| Key::new("service", &format!("instance-{n:05}"))).collect();
    // What a request was parsed into: the table takes it as it is.
    let registrations = |boot_nonce: u64| -> Vec<Arc<Registration>> {
        (1..=INSTANCES).map(|n| Arc::new(registration(boot_nonce, n))).collect()
    };
    let (mut registered, mut elapsed, mut boot_nonce) = (0_u64, Duration::ZERO, 0);
    while elapsed < time {
        boot_nonce += 1;
        let registrations = registrations(boot_nonce);
        let began = Instant::now();
        for (key, registration) in keys.iter().zip(&registrations) {
            registered += u64::from(instances.register(key, registration, now).is_ok());
        }
        elapsed += began.elapsed();
    }
    registered as f64 / elapsed.as_secs_f64()
}

fn registration(boot_nonce: u64, port: u16) -> Registration {
    Registration {
        boot_nonce,
        address: ([127, 0, 0, 1], port).into(),
        version: "1.0.0".to_owned(),
        state: proto::registry::InstanceState::Ready,
        zone: "".into(),
        weight: 100,
        metadata: std::collections::BTreeMap::new(),
        required_services: Vec::new(),
        terms: Terms::default(),
        links: std::collections::BTreeMap::new(),
        probe: None,
    }
}
