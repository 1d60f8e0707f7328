//! What a channel does when instances are slow, fail, vanish, come back, or are not there at all.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn slow(times: u32) -> Act {
    Act { latency: Act::quick().latency * times, ..Act::quick() }
}

fn failing(code: Code) -> Act {
    Act { latency: Duration::from_micros(100), code, ..Act::quick() }
}

#[tokio::test(start_paused = true)]
async fn one_slow_instance_of_three_is_hardly_noticed() {
    for seed in 0..3 {
        let play = Play::begin(seed, "", 3, Act::quick());
        let healthy = play.traffic("Read", (300, SECOND * 2)).await;
        play.world.set(1, slow(20));
        play.traffic("Read", (300, SECOND)).await;
        play.world.take_log();

        let seen = play.traffic("Read", (300, SECOND * 8)).await;

        assert_eq!(seen.failed(), 0);
        assert!(seen.p99() * 2 <= healthy.p99() * 3, "{:?} and {:?}", seen.p99(), healthy.p99());
        assert!(play.world.asked(1) < 24, "the slow one got {}", play.world.asked(1));
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_refuses_connections_costs_nothing() {
    let play = Play::begin(1, "", 2, Act::quick());
    play.world.set(0, Act { listens: false, ..Act::quick() });

    for method in ["Read", "Once"] {
        assert_eq!(play.traffic(method, (200, SECOND * 4)).await.failed(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fast_failure_does_not_look_like_a_fast_server() {
    for code in [Code::Internal, Code::Unavailable] {
        let play = Play::begin(2, "", 3, Act::quick());
        play.world.set(0, failing(code));

        let seen = play.traffic("Once", (200, SECOND * 10)).await;

        // It is ejected after five failures, and tried by nobody who could not repeat.
        assert!(seen.failed() <= 10, "{} failed", seen.failed());
        let peer = play.stats.peers().into_iter().find(|peer| peer.address == World::address(0).to_string()).unwrap();
        assert!(peer.ejected || peer.failed < 5, "{peer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_ejected_comes_back_through_one_probe() {
    // The other one is so slow that who fails at once is called again and again.
    let play = Play::begin(3, "", 2, slow(1000));
    play.world.set(0, failing(Code::Internal));
    play.traffic("Read", (50, SECOND * 10)).await;
    let peers = play.stats.peers();
    assert_eq!(peers.iter().filter(|peer| peer.ejected).count(), 1, "{peers:?}");
    play.world.take_log();

    (0..2).for_each(|n| play.world.set(n, Act::quick()));
    let seen = play.traffic("Read", (50, SECOND * 90)).await;

    assert_eq!(seen.failed(), 0);
    assert!(play.stats.peers().iter().all(|peer| !peer.ejected));
    assert!(play.world.asked(0) > 500, "it got {}", play.world.asked(0));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_every_call_gets_hardly_more_load_than_it_had() {
    let play = Play::begin(4, "", 2, failing(Code::Unavailable));
    let time = SECOND * 10;

    let seen = play.traffic("Read", (1000, time)).await;

    let asked = play.world.asked(0) + play.world.asked(1);
    assert_eq!(seen.failed(), 10_000);
    assert!(asked <= 10_000 * 115 / 100, "{asked}");
    assert!(play.world.take_log().attempts.contains("1"), "an attempt says how many there were");
    let retries: u64 = play.stats.outbound().iter().map(|calls| calls.retries).sum();
    assert_eq!(retries as usize, asked - 10_000);
}

#[tokio::test(start_paused = true)]
async fn a_kill_loses_no_read_and_no_write_with_a_request_id() {
    for seed in 0..3 {
        let play = Play::begin(seed, "", 3, slow(10));
        let killer = async {
            tokio::time::sleep(SECOND * 2).await;
            play.world.kill(seed as usize % 3);
            tokio::time::sleep(SECOND).await;
            play.unlist(seed as usize % 3);
        };

        let (reads, writes, ()) =
            tokio::join!(play.traffic("Read", (300, SECOND * 4)), play.traffic("Write", (300, SECOND * 4)), killer);

        assert_eq!((reads.failed(), writes.failed()), (0, 0), "{reads:?} {writes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_nothing_names_is_never_sent_twice() {
    let play = Play::begin(6, "", 2, slow(20));
    let anonymous = world::message("");
    let mut calls = Vec::new();
    for method in ["Once", "Write"] {
        for _ in 0..20 {
            let (channel, message) = (play.channel.clone(), anonymous.clone());
            calls.push(crate::spawn("call", async move { Play::call(channel, method, &message).await.0 }));
        }
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    play.world.kill(0);
    play.world.kill(1);

    let mut lost = 0;
    for call in calls {
        lost += usize::from(call.await.unwrap().code() == Code::Unavailable);
    }
    assert_eq!((lost, play.world.take_log().messages.len()), (40, 40));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_set_breaks_no_call_in_flight() {
    let play = Play::begin(7, "", 4, slow(50));
    let changes = async {
        for n in 0..40 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            match n % 2 {
                0 => play.unlist(n % 4),
                _ => play.list((n - 1) % 4, Rank::Ready, (100, "")),
            }
        }
    };

    let (seen, once, ()) =
        tokio::join!(play.traffic("Read", (100, SECOND * 4)), play.traffic("Once", (100, SECOND * 4)), changes);

    assert_eq!((seen.failed(), once.failed()), (0, 0));
    assert_eq!(play.stats.outbound().iter().map(|calls| calls.retries).sum::<u64>(), 0, "none was even repeated");
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_said_within_a_second_in_words() {
    let play = Play::begin(8, "", 1, Act::quick());
    play.unlist(0);
    tokio::time::sleep(SECOND * 3).await;

    let (status, took) = Play::call(play.channel.clone(), "Read", &world::message("")).await;

    assert_eq!((status.code(), Refusal::reason(&status).as_deref()), (Code::Unavailable, Some("NO_INSTANCE")));
    assert!(status.message().contains("specimen") && status.message().contains("listed none, 3.0 s ago"), "{status}");
    assert!(took < SECOND);

    play.list(0, Rank::Ready, (100, ""));
    play.world.set(0, Act { listens: false, ..Act::quick() });
    tokio::time::sleep(SECOND).await;
    let (status, took) = Play::call(play.channel.clone(), "Read", &world::message("")).await;
    assert!(status.message().contains("none can be reached") && took < SECOND, "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_is_waited_for_while_none_has_failed() {
    let play = Play::begin(10, "", 1, Act { accepts_after: SECOND * 9 / 10, ..Act::quick() });
    let (status, took) = Play::call(play.channel.clone(), "Once", &world::message("")).await;
    assert_eq!(status.code(), Code::Ok, "{status}");
    assert!(took >= SECOND * 9 / 10);

    let play = Play::begin(11, "", 1, Act { accepts_after: SECOND * 60, ..Act::quick() });
    let (status, took) = Play::call(play.channel.clone(), "Once", &world::message("")).await;
    assert!(status.message().contains("none can be reached") && took <= SECOND, "{took:?}: {status}");
}

#[tokio::test(start_paused = true)]
async fn calls_stay_in_their_zone_and_spill_when_it_is_not_enough() {
    let play = Play::begin(9, "a", 0, Act::quick());
    for (n, zone) in ["a", "b", "b"].into_iter().enumerate() {
        play.world.set(n, Act::quick());
        play.list(n, Rank::Ready, (100, zone));
    }
    tokio::time::sleep(SECOND).await;

    play.traffic("Read", (300, SECOND * 4)).await;
    assert_eq!((play.world.asked(1), play.world.asked(2)), (0, 0), "a few calls are not too many");

    // A hundred times as slow: hundreds wait for it at a time.
    play.world.set(0, slow(100));
    let seen = play.traffic("Read", (1000, SECOND * 4)).await;
    assert_eq!(seen.failed(), 0);
    assert!(play.world.asked(1) + play.world.asked(2) > 2000, "{} and {}", play.world.asked(1), play.world.asked(2));

    play.unlist(0);
    tokio::time::sleep(SECOND).await;
    assert_eq!(play.traffic("Read", (500, SECOND)).await.failed(), 0, "with nobody near the far ones have all");
}

#[tokio::test(start_paused = true)]
async fn an_instance_gets_its_share_by_weight() {
    let play = Play::begin(10, "", 2, slow(10));
    play.list(0, Rank::Ready, (300, ""));

    play.traffic("Read", (1000, SECOND * 5)).await;

    let share = play.world.asked(0) as f64 / play.world.asked(1) as f64;
    assert!((2.0..4.5).contains(&share), "{share}");
}

#[tokio::test(start_paused = true)]
async fn suspects_are_called_last_and_who_drains_is_not() {
    let play = Play::begin(11, "", 3, Act::quick());
    play.list(1, Rank::Suspect, (100, ""));
    play.list(2, Rank::Resting, (100, ""));
    tokio::time::sleep(SECOND).await;

    play.traffic("Read", (100, SECOND)).await;
    assert_eq!([0, 1, 2].map(|n| play.world.asked(n)), [100, 0, 0]);

    play.world.kill(0);
    tokio::time::sleep(SECOND).await;
    play.traffic("Read", (100, SECOND)).await;
    assert_eq!([0, 1, 2].map(|n| play.world.asked(n)), [100, 100, 0]);
}

#[tokio::test(start_paused = true)]
async fn who_is_busy_says_when_to_come_again() {
    let wait = Duration::from_millis(70);
    let play = Play::begin(12, "", 1, Act { at_most: Some((0, wait)), ..Act::quick() });
    tokio::time::sleep(SECOND).await;
    let calm = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        play.world.set(0, Act::quick());
    };

    let message = world::message("");
    let (answered, ()) = tokio::join!(Play::call(play.channel.clone(), "Read", &message), calm);

    assert_eq!(answered.0.code(), Code::Ok);
    assert!((wait..wait + Duration::from_millis(20)).contains(&answered.1), "{:?}", answered.1);
    assert_eq!(play.world.asked(0), 2);
    play.world.set(0, Act { at_most: Some((0, wait)), ..Act::quick() });
    let (refused, _) = Play::call(play.channel.clone(), "Once", &world::message("")).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "what may happen once is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_call_to_who_hangs_ends_at_its_deadline_and_the_next_goes_elsewhere() {
    let play = Play::begin(13, "", 2, Act::quick());
    play.world.set(0, slow(1_000_000));
    tokio::time::sleep(SECOND).await;
    let call = crate::Call::begin(&http::HeaderMap::new()).within(SECOND);
    let began = Instant::now();

    let mut codes = Vec::new();
    for _ in 0..40 {
        let call = crate::Call::begin(&http::HeaderMap::new()).within(SECOND);
        codes.push(call.scope(Play::call(play.channel.clone(), "Read", &world::message(""))).await.0.code());
    }

    let late = codes.iter().filter(|code| **code == Code::DeadlineExceeded).count();
    assert!((1..=3).contains(&late), "{late} were late");
    assert!(codes.iter().all(|code| matches!(code, Code::Ok | Code::DeadlineExceeded)), "{codes:?}");
    assert!(call.deadline().unwrap() >= began, "the clock of a call is the world's");
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_that_stalls_ends_at_the_deadline_and_is_counted_so() {
    let play = Play::begin(14, "", 1, Act { stalls: true, ..Act::quick() });
    tokio::time::sleep(SECOND).await;
    let call = crate::Call::begin(&http::HeaderMap::new()).within(SECOND * 2);

    let (status, took) = call.scope(Play::call(play.channel.clone(), "Read", &world::message(""))).await;

    assert_eq!(status.code(), Code::DeadlineExceeded, "{status}");
    assert!(took <= SECOND * 2, "{took:?}");
    let calls = &play.stats.outbound()[0];
    let codes: Vec<_> = calls.codes.iter().map(|count| count.code.as_str()).collect();
    assert_eq!((codes, calls.received_bytes), (vec!["DEADLINE_EXCEEDED"], 1_500_000));
}

#[tokio::test(start_paused = true)]
async fn each_attempt_says_what_is_left_of_the_deadline() {
    let wait = Duration::from_millis(400);
    let play = Play::begin(15, "", 1, Act { at_most: Some((0, wait)), ..Act::quick() });
    tokio::time::sleep(SECOND).await;
    let call = crate::Call::begin(&http::HeaderMap::new()).within(SECOND * 2);

    call.scope(Play::call(play.channel.clone(), "Read", &world::message(""))).await;

    let timeouts = play.world.take_log().timeouts;
    assert!(timeouts.len() >= 4, "{timeouts:?}");
    assert!(timeouts.windows(2).all(|pair| pair[1] + wait <= pair[0]), "{timeouts:?}");
}
