//! A bare tonic server, without anything of the mesh: what the benchmark compares with.
//!
//! It serves the contract of the specimen and answers messages that weigh the same,
//! so that a call through the mesh carries what a call to it carries.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

use harness::specimen::plain::specimen_service_server::{SpecimenService, SpecimenServiceServer};
use harness::specimen::{
    EchoRequest, EchoResponse, EmitRequest, EmitResponse, GatherRequest, GatherResponse, LogRequest, LogResponse,
    MirrorRequest, MirrorResponse, ReportRequest, ReportResponse, WriteRequest, WriteResponse,
};
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

/// Answers every call.
struct Echo;

#[tonic::async_trait]
impl SpecimenService for Echo {
    async fn echo(&self, request: Request<EchoRequest>) -> Result<Response<EchoResponse>, Status> {
        Ok(Response::new(EchoResponse {
            text: request.into_inner().text,
            // As long as what a specimen knows.
            instance: "specimen/01234567".to_owned(),
            caller: "client/01234567".to_owned(),
            request_id: "01234567-0123-0123-0123-0123456789ab".to_owned(),
            trace_id: "0123456789abcdef0123456789abcdef".to_owned(),
            left: Some(prost_types::Duration { seconds: 4, nanos: 999_000_000 }),
            attempts_before: 0,
        }))
    }

    async fn write(&self, _: Request<WriteRequest>) -> Result<Response<WriteResponse>, Status> {
        Ok(Response::new(WriteResponse {}))
    }

    async fn mirror(&self, _: Request<MirrorRequest>) -> Result<Response<MirrorResponse>, Status> {
        Ok(Response::new(MirrorResponse::default()))
    }

    type EmitStream = tokio_stream::Empty<Result<EmitResponse, Status>>;

    async fn emit(&self, _: Request<EmitRequest>) -> Result<Response<Self::EmitStream>, Status> {
        Ok(Response::new(tokio_stream::empty()))
    }

    async fn gather(&self, _: Request<Streaming<GatherRequest>>) -> Result<Response<GatherResponse>, Status> {
        Ok(Response::new(GatherResponse::default()))
    }

    async fn log(&self, _: Request<LogRequest>) -> Result<Response<LogResponse>, Status> {
        Ok(Response::new(LogResponse::default()))
    }

    async fn report(&self, _: Request<ReportRequest>) -> Result<Response<ReportResponse>, Status> {
        Ok(Response::new(ReportResponse::default()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into())?.with_nodelay(Some(true));
    println!("serving gRPC on {}", incoming.local_addr()?);
    // Ends with whoever started it, as the services do.
    let ended = async {
        drop(tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await)
    };
    tonic::transport::Server::builder()
        .add_service(SpecimenServiceServer::new(Echo))
        .serve_with_incoming_shutdown(incoming, ended)
        .await?;
    Ok(())
}
