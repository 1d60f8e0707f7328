//! The greeter: a service of the mesh in one file.

use contract::greeter_service_server::{GreeterService, GreeterServiceServer};
use contract::{DESCRIPTORS, GreetRequest, GreetResponse};
use mesh::{App, Call, Services, Sign};
use tonic::{Request, Response, Status};

mod contract {
    tonic::include_proto!("greeter.v1");
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}

/// Greets whoever asks
#[derive(Debug, clap::Parser)]
#[command(version)]
struct Config {
    /// Where to serve gRPC; port 0 takes any free one
    #[arg(long, env = "GREETER_LISTEN", default_value = "127.0.0.1:0", value_name = "IP:PORT")]
    listen: std::net::SocketAddr,

    #[command(flatten)]
    mesh: mesh::Config,
}

impl mesh::Settings for Config {
    fn mesh(&self) -> &mesh::Config {
        &self.mesh
    }
}

struct Handler {
    instance: String,
}

#[tonic::async_trait]
impl GreeterService for Handler {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        let call = Call::of(&request);
        let name = request.into_inner().name;
        tracing::info!(caller = call.caller(), "greeted {name}");
        let (greeting, instance) = (format!("Hello, {name}!"), self.instance.clone());
        Ok(Response::new(GreetResponse { greeting, instance }))
    }
}

async fn wire(app: &mut App, config: Config) -> anyhow::Result<()> {
    let mesh = app.join(&config.mesh.registry.addresses);
    let handler = Handler { instance: app.identity().to_string() };
    let services = Services::behind(app.inbound()).add(GreeterServiceServer::new(handler), DESCRIPTORS);
    let door = app.listen(config.listen).await?;
    let sign = Sign::at(door.address());
    app.serve(door, services).await?;
    app.register(&mesh, sign)
}

fn main() -> std::process::ExitCode {
    mesh::run("greeter", clap::Parser::parse(), wire)
}
