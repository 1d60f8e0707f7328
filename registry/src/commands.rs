//! The operator's hands: subcommands that ask a running registry, or tell it what to do.
//!
//! Clients like any other: they know the contract and nothing of the table. What they
//! print is a table for people, or with `--json` a message of the contract a line.

mod client;
mod screen;
mod table;
mod words;
mod target;
mod ls;
mod watch;
mod events;
mod drain;
mod watchers;
mod relocation;
mod ca;

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use mesh::{Mesh, RegistryAddress};

pub use crate::commands::ca::Ca;
use crate::commands::client::Client;
use crate::commands::screen::{Closed, Screen};
use crate::commands::target::Target;

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List instances: who is alive, where, and since when
    Ls(Ls),
    /// Follow instances: all there are, then each change as a line
    Watch(Watch),
    /// Show what happened, the latest last
    Events(Events),
    /// Keep calls away from an instance, and say when it is safe to stop it
    Drain(Drain),
    /// Undo drain: let calls go to an instance again
    Undrain(Undrain),
    /// List who watches, and which revision each has applied
    Watchers(Watchers),
    /// Send every process to another registry node
    Move(Move),
    /// Make a private authority for mutual TLS, and certificates of it
    #[command(subcommand)]
    Ca(Ca),
}

/// Whom to ask, and how to answer.
#[derive(Debug, Clone, Args)]
pub struct Console {
    /// Print one JSON object a line, as proto3 has it, instead of a table
    #[arg(long)]
    pub json: bool,

    /// Where the registry is.
    #[command(flatten)]
    pub registry: RegistryAddress,
}

/// Which instances to list; all selectors must match.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 also when there are none, 1 when the registry could not be asked.")]
pub struct Ls {
    /// Only instances of this service
    pub service: Option<String>,

    /// Also those that are DOWN, for as long as they are remembered
    #[arg(long)]
    pub all: bool,

    /// Only in this zone
    #[arg(long, value_name = "NAME")]
    pub zone: Option<String>,

    /// Only of this version
    #[arg(long, value_name = "VERSION")]
    pub version: Option<String>,

    /// Only in this state; may be repeated
    #[arg(long, value_enum, value_name = "STATE", ignore_case = true)]
    pub state: Vec<State>,

    /// Only with this fact of its metadata; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = fact)]
    pub fact: Vec<(String, String)>,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// A state that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// Registered, not yet ready for calls
    Starting,
    /// Takes calls
    Ready,
    /// Alive, asks not to be called
    #[value(alias = "not_ready")]
    NotReady,
    /// Finishes what it has and will go
    Draining,
    /// Gone
    Down,
}

/// Whom to follow.
#[derive(Debug, Args)]
#[command(
    after_help = "Comes back by itself when the registry was away. Ends with Ctrl-C, or when nobody reads any more.\n\
                  With --json each line is a message of the Watch stream that carries one instance."
)]
pub struct Watch {
    /// Only these services, 64 at most
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Which events to show.
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 also when there are none, 1 when the registry could not be asked.")]
pub struct Events {
    /// Only of this service, or of this instance; the beginning of its id is enough
    #[arg(value_name = "SERVICE[/INSTANCE]")]
    pub of: Option<String>,

    /// Go on with what happens from now on
    #[arg(short, long)]
    pub follow: bool,

    /// How many to begin with
    #[arg(long, default_value_t = 50, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(0..=16_384))]
    pub last: u32,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Which instance to drain.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 it is safe to stop the instance, 2 some callers may not know yet, 1 nothing is known."
)]
pub struct Drain {
    /// The instance; the beginning of its id is enough
    #[arg(value_name = "SERVICE/INSTANCE")]
    pub instance: Target,

    /// How long to wait at most until every caller knows
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(0..=60))]
    pub timeout: u8,

    /// Take it DOWN after that; it may not come back before undrain or its next start
    #[arg(long)]
    pub down: bool,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Which instance takes calls again.
#[derive(Debug, Args)]
pub struct Undrain {
    /// The instance; the beginning of its id is enough
    #[arg(value_name = "SERVICE/INSTANCE")]
    pub instance: Target,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Whose watchers to list.
#[derive(Debug, Args)]
pub struct Watchers {
    /// Only those that follow this service
    pub service: Option<String>,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

/// Where to send everybody.
#[derive(Debug, Args)]
pub struct Move {
    /// Where the other registry node serves
    #[arg(value_name = "IP:PORT")]
    pub address: SocketAddr,

    /// How long they may take to go: each waits for a random part of it
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u8).range(0..=60))]
    pub within: u8,

    /// Whom to ask.
    #[command(flatten)]
    pub console: Console,
}

impl Command {
    /// Does it. Whoever reads our output may leave, which is no failure.
    pub fn run(self) -> ExitCode {
        let console = match self.console() {
            Ok(console) => console.clone(),
            Err(authority) => return authority.run(),
        };
        let registry = console.registry;
        mesh::client(&registry, async |mesh| match self.perform(mesh, &registry.addresses, console.json).await {
            Err(error) if error.is::<Closed>() => Ok(ExitCode::SUCCESS),
            done => done,
        })
    }

    /// Whom to ask; or what asks nobody.
    fn console(&self) -> Result<&Console, &Ca> {
        match self {
            Self::Ls(Ls { console, .. })
            | Self::Watch(Watch { console, .. })
            | Self::Events(Events { console, .. })
            | Self::Drain(Drain { console, .. })
            | Self::Undrain(Undrain { console, .. })
            | Self::Watchers(Watchers { console, .. })
            | Self::Move(Move { console, .. }) => Ok(console),
            Self::Ca(authority) => Err(authority),
        }
    }

    async fn perform(self, mesh: Mesh, addresses: &[String], json: bool) -> anyhow::Result<ExitCode> {
        let (client, screen) = (Client::new(&mesh, addresses), Screen::new(json)?);
        match self {
            Self::Ls(wanted) => ls::run(&client, &screen, wanted).await,
            Self::Watch(wanted) => watch::run(&client, &screen, wanted).await,
            Self::Events(wanted) => events::run(&client, &screen, wanted).await,
            Self::Drain(wanted) => drain::drain(&client, &screen, wanted).await,
            Self::Undrain(wanted) => drain::undrain(&client, &screen, wanted).await,
            Self::Watchers(wanted) => watchers::run(&client, &screen, wanted).await,
            Self::Move(wanted) => relocation::run(&client, &screen, wanted).await,
            Self::Ca(authority) => Ok(authority.run()),
        }
    }
}

fn fact(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}
