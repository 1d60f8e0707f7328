//! A watch that was cut for a while and comes back: what it lost, and what it was told again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proto::registry::{DeregisterRequest, RegisterRequest};

use crate::bench::measure::{Goal, Report};
use crate::bench::registry::node::{Client, Node};
use crate::bench::registry::rate::registration;
use crate::bench::registry::watcher::{Picture, Told, Watcher, key};

/// The service that changes.
const SERVICE: &str = "registering";

/// Instances that are there before, and all that ever are.
const BEFORE: u64 = 100;
const INSTANCES: u64 = 200;

/// Changes while the watch is cut: 1,000 in five seconds.
const CHANGES: u64 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

/// Changes after it came back.
const LATER: u64 = 100;

/// The instance that registers last of all, so that watchers know when they have heard everything.
const LAST: &str = "last";

pub(crate) async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let node = Node::start().await?;
    let mut changer = Changer { client: node.client().await?, living: BTreeMap::new(), next: 0 };
    for instance in 0..BEFORE {
        changer.register(instance).await?;
    }
    let mut witness = Watcher::begin(node.client().await?, &[SERVICE]).await?;
    let cut = Watcher::begin(node.client().await?, &[SERVICE]).await?;
    let (picture, place) = (cut.picture.clone(), (cut.epoch.clone(), cut.revision));
    drop(cut);
    let witness = ::mesh::spawn("witness", async move { hear(&mut witness).await.map(|told| (told, witness.picture)) });
    changer.change(CHANGES).await?;
    let mut resumed = Watcher::resume(node.client().await?, &[SERVICE], place.clone()).await?;
    resumed.picture = picture;
    let resumed = ::mesh::spawn("resumed", async move { hear(&mut resumed).await.map(|told| (told, resumed.picture)) });
    changer.change(LATER).await?;
    changer.last().await?;
    let ((all, truth), (told, picture)) = (witness.await??, resumed.await??);

    let changed: BTreeSet<_> = all.iter().flat_map(|told| told.changed.iter().map(key)).collect();
    report.add("watch_resume_changed", changed.len() as f64, "instances", Goal::Stated);
    report.add("watch_resume_lost", lost(&all, &told, (&truth, &picture)) as f64, "changes", Goal::AtMost(0.0));
    report.add("watch_resume_repeated", repeated(&told, place.1) as f64, "changes", Goal::AtMost(0.0));
    Ok(())
}

/// Everything that is told until the last change.
async fn hear(watcher: &mut Watcher) -> anyhow::Result<Vec<Told>> {
    let mut all = Vec::new();
    loop {
        let told = watcher.next().await?;
        let is_last = told.changed.iter().any(|instance| instance.instance_id == LAST);
        all.push(told);
        if is_last {
            return Ok(all);
        }
    }
}

/// Instances that changed and that the resumed watch was not told of, or that look different in the end.
fn lost(all: &[Told], told: &[Told], (truth, picture): (&Picture, &Picture)) -> usize {
    // A new picture instead of what changed is no resumption.
    if told.iter().any(|told| told.is_reset) {
        return all.len();
    }
    let changed =
        |told: &[Told]| -> BTreeSet<_> { told.iter().flat_map(|told| told.changed.iter().map(key)).collect() };
    let unheard = changed(all).difference(&changed(told)).count();
    let is_other = |name: &&(String, String)| truth.get(*name) != picture.get(*name);
    let names: BTreeSet<_> = truth.keys().chain(picture.keys()).collect();
    unheard + names.into_iter().filter(is_other).count()
}

/// Instances that were told twice at once, and revisions that did not rise.
fn repeated(told: &[Told], from: u64) -> usize {
    let mut reached = from;
    let mut repeated = 0;
    for told in told.iter().filter(|told| !told.changed.is_empty()) {
        let different: BTreeSet<_> = told.changed.iter().map(key).collect();
        repeated += told.changed.len() - different.len() + usize::from(told.revision <= reached);
        reached = told.revision;
    }
    repeated
}

/// Makes instances come, come back and go.
struct Changer {
    client: Client,
    living: BTreeMap<u64, u64>,
    next: u64,
}

impl Changer {
    async fn change(&mut self, count: u64) -> anyhow::Result<()> {
        for _ in 0..count {
            tokio::time::sleep(PAUSE).await;
            let instance = fastrand::u64(..INSTANCES);
            match self.living.remove(&instance) {
                // Half of those that are there leave, the others start anew.
                Some(incarnation) if fastrand::bool() => self.deregister(instance, incarnation).await?,
                _ => self.register(instance).await?,
            }
        }
        Ok(())
    }

    async fn register(&mut self, instance: u64) -> anyhow::Result<()> {
        self.next += 1;
        let request = RegisterRequest { boot_nonce: self.next, ..lasting(registration(instance)) };
        let granted = self.client.register(request).await?.into_inner();
        self.living.insert(instance, granted.incarnation);
        Ok(())
    }

    async fn deregister(&mut self, instance: u64, incarnation: u64) -> anyhow::Result<()> {
        let RegisterRequest { service, instance_id, .. } = registration(instance);
        self.client.deregister(DeregisterRequest { service, instance_id, incarnation, ..Default::default() }).await?;
        Ok(())
    }

    async fn last(&mut self) -> anyhow::Result<()> {
        let last = RegisterRequest { instance_id: LAST.into(), ..lasting(registration(INSTANCES)) };
        self.client.register(last).await?;
        Ok(())
    }
}

/// Nobody beats here: the lease outlives the measure.
fn lasting(request: RegisterRequest) -> RegisterRequest {
    RegisterRequest { time_to_live: harness::lease::longest(), ..request }
}
