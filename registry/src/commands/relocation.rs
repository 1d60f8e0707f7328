//! `registry move`: sends every process to another registry node.

use std::process::ExitCode;
use std::time::Duration;

use proto::registry::MoveRequest;

use crate::commands::Move;
use crate::commands::client::{Client, DEADLINE, Stub};
use crate::commands::screen::Screen;

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Move) -> anyhow::Result<ExitCode> {
    let within = Duration::from_secs(wanted.within.into());
    let request =
        MoveRequest { address: wanted.address.to_string(), within: prost_types::Duration::try_from(within).ok() };
    let go = async |mut stub: Stub, request| stub.r#move(request).await;
    let answer = client.ask(DEADLINE, request, go).await?;
    if screen.is_json() {
        screen.print_json("MoveResponse", &answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    // One heartbeat stream a process.
    let told = if answer.streams == 1 { "1 process".to_owned() } else { format!("{} processes", answer.streams) };
    screen.print(&format!("told {told} to go to {} within {} s\n", wanted.address, wanted.within))?;
    Ok(ExitCode::SUCCESS)
}
