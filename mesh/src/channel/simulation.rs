//! A channel in a world of its own: instances in memory, time that is paused, chance from a seed.
//!
//! The channel is the real one, down to HTTP/2; only the bytes travel in memory. A
//! minute of calls takes a moment, and each run is the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::*;
use crate::picture::{self, Painter, Rank, Seen};
use crate::refusal::Refusal;
use crate::stats::Stats;

mod behaviours;
mod world;

use world::{Act, World, descriptors};

/// A channel, the world behind it, and who paints the picture of it.
struct Play {
    world: World,
    channel: Channel,
    painter: Painter,
    stats: Arc<Stats>,
}

/// What callers saw of a number of calls.
#[derive(Debug, Default)]
struct Outcome {
    codes: HashMap<i32, usize>,
    latencies: Vec<Duration>,
}

impl Outcome {
    fn failed(&self) -> usize {
        self.codes.iter().filter(|(code, _)| **code != 0).map(|(_, count)| count).sum()
    }

    fn p99(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * 99 / 100]
    }
}

impl Play {
    /// Begins with instances that behave alike. The seed makes each run the same.
    fn begin(seed: u64, zone: &str, count: usize, act: Act) -> Self {
        fastrand::seed(seed);
        let (world, stats) = (World::default(), Arc::<Stats>::default());
        let (painter, viewer) = picture::canvas();
        let origin =
            Origin { zone: zone.to_owned(), stats: stats.clone(), ..Origin::of(Identity::new("test", "1.0.0")) };
        let keeper =
            Keeper { balancer: Arc::new(Balancer::new(Policy::Cheaper)), dial: world.dial(), zone: zone.to_owned() };
        let descriptors = descriptors();
        let target = Target { service: "specimen", descriptors: &descriptors };
        let painting = std::future::pending();
        let channel = Channel::kept_by(keeper, (target, &origin, Source::Registry), (viewer, painting));
        let play = Self { world, channel, painter, stats };
        for n in 0..count {
            play.world.set(n, act);
            play.list(n, Rank::Ready, (100, ""));
        }
        play
    }

    /// Lists an instance as the registry would.
    fn list(&self, n: usize, rank: Rank, (weight, zone): (u32, &str)) {
        let seen = Seen { address: World::address(n), rank, weight, zone: zone.to_owned() };
        self.painter.picture.send_modify(|picture| {
            picture.heard = Some(Instant::now());
            picture.instances.insert(n.to_string(), seen);
        });
    }

    fn unlist(&self, n: usize) {
        self.painter.picture.send_modify(|picture| drop(picture.instances.remove(&n.to_string())));
    }

    /// Makes one call; answers its code and how long it took.
    async fn call(channel: Channel, method: &'static str, message: &[u8]) -> (Status, Duration) {
        let began = Instant::now();
        let (status, _) = world::call(channel, method, message).await;
        (status, began.elapsed())
    }

    /// Makes calls at even times for a while, whatever becomes of those before.
    async fn traffic(&self, method: &'static str, (rate, time): (u32, Duration)) -> Outcome {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        let mut calls = Vec::new();
        let count = (f64::from(rate) * time.as_secs_f64()) as usize;
        for n in 0..count {
            ticks.tick().await;
            let channel = self.channel.clone();
            let message = world::message(&format!("write-{n}"));
            calls.push(crate::spawn("call", async move { Self::call(channel, method, &message).await }));
        }
        let mut seen = Outcome::default();
        for call in calls {
            let (status, took) = call.await.unwrap();
            *seen.codes.entry(status.code() as i32).or_default() += 1;
            seen.latencies.push(took);
        }
        seen
    }
}
