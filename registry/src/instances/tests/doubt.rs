//! When an instance is doubted, held, asked, and when that is the end of it.

use super::*;
use crate::registration::{Probing, Terms};

#[test]
fn a_registry_that_was_paused_itself_punishes_nobody() {
    let mut world = World::warm();
    let incarnation = world.register("a", 1);
    world.beat("a", incarnation, 1);

    world.now.instant += Duration::from_secs(60);
    world.table.close(StreamId(1), world.now);
    assert_eq!(world.answer_probes(Finding::Refused), 0, "who gave the stream up waited in vain: nobody is asked");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.condition("a").2, SuspectReason::ConnectionLost, "it is suspicion, no more");

    assert_eq!(world.beat("a", incarnation, 2), None);
    assert!(world.is_ready("a"));
    world.pass(LEASE + TICK);
    assert_eq!(world.down_reason("a"), DownReason::LeaseExpired, "silence still counts");
}

#[test]
fn who_refuses_a_redial_after_its_stream_broke_is_down_at_once() {
    let mut world = World::warm();
    world.living(2);

    world.table.close(StreamId(1), world.now);
    assert!(world.is_ready("i1"), "until the redial says something");
    world.answer_probes(Finding::Refused);

    assert_eq!(world.down_reason("i1"), DownReason::ConnectionLost);
    assert!(world.is_ready("i2"));
}

#[test]
fn who_takes_the_redial_is_suspect_and_may_come_back() {
    let mut world = World::warm();
    let living = world.living(1);
    world.table.close(StreamId(1), world.now);

    world.answer_probes(Finding::Serving);
    assert_eq!(world.condition("i1").2, SuspectReason::ConnectionLost);

    world.beat("i1", living[0].1, 7);
    assert!(world.is_ready("i1"));
}

#[test]
fn a_redial_that_takes_long_does_not_hide_the_doubt() {
    let mut world = World::warm();
    world.living(1);

    world.table.close(StreamId(1), world.now);
    world.pass(Duration::from_millis(150));

    assert_eq!(world.condition("i1").2, SuspectReason::ConnectionLost);
}

#[test]
fn one_redial_stands_for_all_leases_of_a_process() {
    let mut world = World::warm();
    for service in ["x", "y"] {
        let key = Key::new(service, "a");
        let registration = Arc::new(Registration::sample(1, 5000));
        let incarnation = world.table.register(&key, &registration, world.now).unwrap().incarnation;
        world.table.beat(&Beat { key, incarnation, state: None, load: None }, StreamId(1), world.now);
    }

    world.table.close(StreamId(1), world.now);

    let probes = world.table.errands().probes;
    assert_eq!((probes.len(), probes[0].leases.len()), (1, 2));
}

#[test]
fn while_warming_nobody_goes_down_for_silence() {
    let mut world = World::new();
    let short = Terms { want: Some(Duration::from_secs(1)), ..Terms::default() };
    world.register_as("a", Registration { terms: short, ..Registration::sample(1, 1) }).unwrap();

    world.pass(LEASE - TICK);
    assert_eq!(world.condition("a").0, InstanceState::Ready);
    assert!(world.table.is_warming() && world.is_suspect("a"));

    world.pass(TICK * 2);
    assert_eq!(world.down_reason("a"), DownReason::LeaseExpired);
    assert!(!world.table.is_warming());
}

#[test]
fn two_that_lapse_together_are_dead_and_many_are_held() {
    for (silent, held) in [(2, false), (3, true)] {
        let mut world = World::warm();
        let living = world.living(4);
        let beating: Vec<(&str, u64)> = living.iter().skip(silent).map(|(id, n)| (id.as_str(), *n)).collect();

        world.pass_beating(7, &beating);

        let condition = world.table.entry(&key("i1")).unwrap().record.condition;
        assert_eq!((condition.held, condition.is_up()), (held, held), "{silent} of 4 are silent");
        assert_eq!(world.table.is_protected(), held);
        assert!(world.is_ready("i4"));
    }
}

#[test]
fn a_large_service_may_lose_its_fifteen_percent() {
    for (silent, held) in [(15, false), (16, true)] {
        let mut world = World::warm();
        let living = world.living(100);
        let beating: Vec<(&str, u64)> = living.iter().skip(silent).map(|(id, n)| (id.as_str(), *n)).collect();

        world.pass_beating(7, &beating);

        assert_eq!(world.table.is_protected(), held, "{silent} of 100 are silent");
    }
}

#[test]
fn held_leases_are_resolved_by_probes() {
    let mut world = World::warm();
    world.living(10);
    world.pass(LEASE + TICK);
    assert!(world.table.is_protected());

    let probes = world.table.errands().probes;
    assert_eq!(probes.len(), 10);
    for (n, probe) in probes.iter().enumerate() {
        assert_eq!(probe.purpose, Purpose::Held);
        let finding = if n < 5 { Finding::Refused } else { Finding::Serving };
        world.table.probed(probe, finding, world.now);
    }

    let down: Vec<u64> = (1..=10).filter(|n| !world.table.entry(&key(&format!("i{n}"))).unwrap().is_up()).collect();
    assert_eq!(down.len(), 5, "whoever refused is dead");
    let reasons: Vec<DownReason> = down.iter().map(|n| world.down_reason(&format!("i{n}"))).collect();
    assert_eq!(reasons, [DownReason::ProbeFailed; 5]);
}

#[test]
fn who_takes_connections_and_never_answers_is_dead_after_three_probes() {
    let mut world = World::warm();
    world.living(3);
    world.pass(LEASE + TICK);

    let mut asked = 0;
    for _ in 0..3 {
        asked += world.answer_probes(Finding::Silent);
        world.pass(Duration::from_secs(2));
    }

    assert_eq!(asked, 9);
    assert_eq!(world.down_reason("i1"), DownReason::ProbeFailed);
}

#[test]
fn a_network_that_is_gone_holds_everybody_for_long_but_not_for_ever() {
    let mut world = World::warm();
    world.living(10);

    for _ in 0..100 {
        world.pass(Duration::from_secs(1));
        world.answer_probes(Finding::Unreachable);
    }
    assert!((1..=10).all(|n| world.condition(&format!("i{n}")).0 == InstanceState::Ready));
    world.pass(LEASE * 20);

    assert!((1..=10).all(|n| world.down_reason(&format!("i{n}")) == DownReason::LeaseExpired));
    assert!(!world.table.is_protected());
}

#[test]
fn protection_ends_by_itself_when_they_are_back() {
    let mut world = World::warm();
    let living = world.living(10);
    world.pass(LEASE + TICK);
    assert!(world.table.is_protected());

    for (id, incarnation) in &living {
        world.beat(id, *incarnation, 50);
    }
    world.pass(TICK);

    assert!(!world.table.is_protected());
    assert!((1..=10).all(|n| world.is_ready(&format!("i{n}"))));
}

#[test]
fn proof_of_death_protects_nobody() {
    let mut world = World::warm();
    world.living(10);

    for stream in 1..=10 {
        world.table.close(StreamId(stream), world.now);
    }
    world.answer_probes(Finding::Refused);

    assert!((1..=10).all(|n| world.down_reason(&format!("i{n}")) == DownReason::ConnectionLost));
    assert!(!world.table.is_protected());
}

#[test]
fn a_probed_instance_is_ready_when_it_answered() {
    let mut world = World::warm();
    let probe = Some(Probing { service: String::new(), period: Duration::from_secs(1) });
    let granted = world.register_as("a", Registration { probe, ..Registration::sample(1, 1) }).unwrap();
    let beating = [("a", granted.incarnation)];
    assert_eq!(world.condition("a").0, InstanceState::Starting);

    world.pass(TICK);
    assert_eq!(world.answer_probes(Finding::Serving), 1);
    assert!(world.is_ready("a"));
    world.pass_beating(1, &beating);
    world.answer_probes(Finding::NotServing);
    assert_eq!(world.condition("a").0, InstanceState::NotReady);
    for _ in 0..3 {
        world.pass_beating(1, &beating);
        world.answer_probes(Finding::Silent);
    }

    assert_eq!(world.down_reason("a"), DownReason::ProbeFailed, "although it beats");
}
