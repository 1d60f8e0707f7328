//! The greeter as a process: it answers, is counted, is found by its name, and stops cleanly.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh::{Channel, Mesh};
use proto::mesh::GetStatsRequest;
use proto::mesh::mesh_service_client::MeshServiceClient;
use proto::registry::registry_service_client::RegistryServiceClient;
use proto::registry::{DiscoverRequest, DownReason, Instance, InstanceState};
use tonic::codegen::tokio_stream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use contract::greeter_service_client::GreeterServiceClient;
use contract::{DESCRIPTORS, GreetRequest};

mod contract {
    tonic::include_proto!("greeter.v1");
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

/// The service's name in the registry, and in its contract.
const NAME: &str = "greeter";
const CONTRACT: &str = "greeter.v1.GreeterService";

/// Longer than anything takes on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nobody is there.
const NOWHERE: &str = "127.0.0.1:1";

/// Tries until it succeeds, and fails with the last reason when it never does.
async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if Instant::now() > end => return Err(error.context(format!("never true: {what}"))),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            done => return done,
        }
    }
}

/// A program that serves; it is killed when this is dropped.
struct Running {
    child: Child,
    address: SocketAddr,
    output: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts a program on a free port, and waits until it serves.
    fn start(program: &OsStr, registry: &str) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .env("GREETER_LISTEN", "127.0.0.1:0")
            .env("REGISTRY_LISTEN", "127.0.0.1:0")
            .env("RUNDOO_REGISTRY", registry)
            // Nobody keeps the log here, and nothing of it is to stay behind.
            .env("RUNDOO_SPOOL", "")
            // However the test ends, the pipe closes, and the program stops by itself.
            .env("RUNDOO_STOP_ON_EOF", "true")
            .env_remove("CLICOLOR_FORCE")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("could not start {}", program.display()))?;
        let mut lines = BufReader::new(child.stderr.take().context("no pipe")?).lines().map_while(Result::ok);
        let mut said = Vec::new();
        // A start takes 15 s at most; the program ends after that.
        let address = lines.by_ref().find_map(|line| {
            let address = line.split_once("serving gRPC on ").and_then(|(_, address)| address.parse().ok());
            said.push(line);
            address
        });
        let address = address.with_context(|| format!("it does not serve:\n{}", said.join("\n")))?;
        let output = std::thread::spawn(move || said.into_iter().chain(lines).collect::<Vec<_>>().join("\n"));
        Ok(Self { child, address, output: Some(output) })
    }

    fn service(registry: &str) -> anyhow::Result<Self> {
        Self::start(OsStr::new(env!("CARGO_BIN_EXE_greeter")), registry)
    }

    /// Stops it with SIGTERM and answers what it printed; fails unless it ends with exit code 0.
    async fn stop(mut self) -> anyhow::Result<String> {
        Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status()?;
        let ended = async || self.child.try_wait()?.context("it runs");
        let status = eventually("it stops", ended).await?;
        let output = self.output.take().and_then(|output| output.join().ok()).unwrap_or_default();
        anyhow::ensure!(status.success(), "{status}:\n{output}");
        Ok(output)
    }

    /// A channel to this process alone.
    fn channel(&self) -> Channel {
        Channel::to_addresses(NAME, &[self.address], DESCRIPTORS)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
    }
}

/// Greets until so many instances have answered.
async fn greet(channel: &Channel, instances: usize) -> anyhow::Result<()> {
    let mut answered = BTreeSet::new();
    eventually("each instance answers", async || {
        let request = GreetRequest { name: "Ann".to_owned() };
        let answer = GreeterServiceClient::new(channel.clone()).greet(request).await?.into_inner();
        assert_eq!(answer.greeting, "Hello, Ann!");
        answered.insert(answer.instance);
        anyhow::ensure!(answered.len() == instances, "only {answered:?} did");
        Ok(())
    })
    .await
}

/// How many greetings an instance has counted.
async fn counted(instance: &Running) -> anyhow::Result<u64> {
    let answer = MeshServiceClient::new(instance.channel()).get_stats(GetStatsRequest {}).await?;
    let calls = answer.into_inner().stats.context("no stats")?.inbound;
    let greetings = calls.into_iter().filter(|calls| calls.method == format!("{CONTRACT}/Greet"));
    Ok(greetings.flat_map(|calls| calls.codes).filter(|ended| ended.code == "OK").map(|ended| ended.count).sum())
}

/// What reflection lists.
async fn listed(instance: &Running) -> anyhow::Result<String> {
    let list = MessageRequest::ListServices(String::new());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(list) };
    let mut client = ServerReflectionClient::new(instance.channel());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    Ok(format!("{:?}", answers.message().await?))
}

/// The instances that the registry knows, also those that are gone.
async fn known(mesh: &Mesh) -> anyhow::Result<Vec<Instance>> {
    let request = DiscoverRequest { service: NAME.to_owned(), include_down: true, ..Default::default() };
    Ok(RegistryServiceClient::new(mesh.registry()).discover(request).await?.into_inner().instances)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_them_share_the_calls_and_need_no_registry() -> anyhow::Result<()> {
    let (first, second) = (Running::service(NOWHERE)?, Running::service(NOWHERE)?);

    greet(&Channel::to_addresses(NAME, &[first.address, second.address], DESCRIPTORS), 2).await?;

    for instance in [first, second] {
        eventually("the calls are counted", async || {
            anyhow::ensure!(counted(&instance).await? > 0, "none is");
            Ok(())
        })
        .await?;
        assert!(listed(&instance).await?.contains(CONTRACT));
        let request = HealthCheckRequest { service: CONTRACT.to_owned() };
        let health = HealthClient::new(instance.channel()).check(request).await?.into_inner();
        assert_eq!(health.status(), ServingStatus::Serving);
        let output = instance.stop().await?;
        assert!(output.contains("greeted Ann"), "{output}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_found_by_its_name_and_says_goodbye() -> anyhow::Result<()> {
    let Some(program) = std::env::var_os("RUNDOO_REGISTRY_PROGRAM") else {
        println!("SKIPPED: RUNDOO_REGISTRY_PROGRAM does not say where the registry's program is");
        return Ok(());
    };
    let registry = Running::start(&program, NOWHERE)?;
    let address = registry.address.to_string();
    let (first, second) = (Running::service(&address)?, Running::service(&address)?);
    let mesh = Mesh::client(&[address]);
    let channel = mesh.channel(NAME, DESCRIPTORS);
    greet(&channel, 2).await?;

    let gone = first.address.to_string();
    first.stop().await?;

    let (down, up): (Vec<_>, Vec<_>) = known(&mesh).await?.into_iter().partition(|known| known.address == gone);
    assert!(down.iter().all(|down| down.down_reason() == DownReason::Deregistered), "{down:?}");
    assert!(up.len() == 1 && up[0].state() == InstanceState::Ready, "{up:?}");
    greet(&channel, 1).await?;
    second.stop().await?;
    registry.stop().await?;
    Ok(())
}
