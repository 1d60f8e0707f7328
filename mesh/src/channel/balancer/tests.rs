//! Who is picked, as far as it needs no calls: those are in the simulation.

use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::*;
use crate::channel::dial::Dial;
use crate::channel::endpoint::Standing;
use crate::task::Tasks;

/// A connection to a server that answers nothing.
async fn connection(tasks: &Tasks, rank: Rank) -> Arc<Connection> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tasks.spawn("server", async move {
        let (stream, _) = listener.accept().await.unwrap();
        let silent = hyper::service::service_fn(async |_| {
            std::future::pending::<Result<http::Response<Empty<bytes::Bytes>>, std::io::Error>>().await
        });
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ended = server.serve_connection(TokioIo::new(stream), silent).await;
    });
    let endpoint = Arc::new(Endpoint::new(address, Standing { rank, ..Standing::READY }));
    let (connection, driver) = Connection::open(endpoint, &Dial::tcp()).await.unwrap();
    tasks.spawn("driver", async { driver.await.unwrap_or_default() });
    Arc::new(connection)
}

fn pick(balancer: &Balancer) -> Arc<Connection> {
    balancer.pick(Wish::default()).unwrap()
}

#[tokio::test]
async fn another_instance_is_picked_than_the_one_that_was_tried_if_there_is_one() {
    let tasks = Tasks::new();
    let (first, second) = (connection(&tasks, Rank::Ready).await, connection(&tasks, Rank::Ready).await);
    let balancer = Balancer::new(Policy::Cheaper);
    [&first, &second].into_iter().for_each(|connection| balancer.add(connection.clone()));
    let elsewhere = Wish { avoid: Some(first.endpoint()), may_probe: false };

    assert!((0..50).all(|_| Arc::ptr_eq(&balancer.pick(elsewhere).unwrap(), &second)));
    balancer.remove(&second);
    assert!(Arc::ptr_eq(&balancer.pick(elsewhere).unwrap(), &first), "better than nobody");
}

#[tokio::test]
async fn calls_stick_to_one_address_and_to_the_next_when_it_is_gone() {
    let tasks = Tasks::new();
    let (first, second) = (connection(&tasks, Rank::Ready).await, connection(&tasks, Rank::Ready).await);
    let addresses = [&first, &second].map(|connection| connection.endpoint().address().to_owned());
    let balancer = Balancer::new(Policy::sticky(&addresses));
    [&second, &first].into_iter().for_each(|connection| balancer.add(connection.clone()));

    assert!((0..10).all(|_| Arc::ptr_eq(&pick(&balancer), &first)));
    first.endpoint().set_rank(Rank::Resting);
    assert!(Arc::ptr_eq(&pick(&balancer), &second));
    first.endpoint().set_rank(Rank::Ready);
    assert!(Arc::ptr_eq(&pick(&balancer), &second), "whoever took over keeps it");
    balancer.prefer(first.endpoint().address());
    assert!(Arc::ptr_eq(&pick(&balancer), &first));
}

#[tokio::test]
async fn who_was_ejected_gets_one_call_of_those_that_can_be_repeated() {
    let tasks = Tasks::new();
    let (ill, well) = (connection(&tasks, Rank::Ready).await, connection(&tasks, Rank::Ready).await);
    let balancer = Balancer::new(Policy::Cheaper);
    for connection in [&ill, &well] {
        balancer.enter(connection.endpoint().clone());
        balancer.add(connection.clone());
    }
    let long_ago = Instant::now().checked_sub(std::time::Duration::from_secs(35)).unwrap();
    (0..5).for_each(|_| balancer.judge(ill.endpoint(), Verdict::Bad, long_ago));

    assert!((0..50).all(|_| Arc::ptr_eq(&pick(&balancer), &well)), "who cannot be repeated does not probe");
    let wish = Wish { avoid: None, may_probe: true };
    let probes = (0..50).filter(|_| Arc::ptr_eq(&balancer.pick(wish).unwrap(), &ill)).count();
    assert_eq!(probes, 1);

    balancer.judge(ill.endpoint(), Verdict::Good, Instant::now());
    assert!(!ill.endpoint().is_ejected());
}
