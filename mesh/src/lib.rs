//! What any service of the mesh lives by.
//!
//! A service's `main` is one call of [`run`]; its `wire` reads top to bottom:
//! what it needs ([`App::join`]), what it is, what it offers ([`Services`]), and
//! its door and sign ([`App::listen`], [`App::serve`], [`App::register`]).
//! Stopping is the reverse. The mesh knows the contracts of the registry and the
//! log service, being their client in every process; it never names a business
//! service.
//!
//! Modules import downward only, in the order they stand here.

pub mod app;
pub mod cli;
mod registration;
mod shipping;
pub mod server;
mod about;
pub mod layers;
mod router;
mod joined;
mod graph;
mod discovery;
pub mod channel;
mod picture;
mod spans;
mod stats;
mod series;
mod load;
mod histogram;
mod callers;
mod vegas;
mod methods;
mod policy;
mod logging;
mod levels;
mod terminal;
mod spool;
mod outbox;
mod chunk;
mod record;
pub mod call;
pub mod refusal;
pub mod page;
pub mod cell;
#[cfg(feature = "objects")]
pub mod objects;
pub mod tls;
mod complaints;
mod watched;
mod silent;
mod task;
mod backoff;
mod identity;
mod config;
mod time;

pub use app::{App, interrupted, run};
pub use call::{Call, spawn};
pub use channel::Channel;
pub use cli::client;
pub use complaints::Complaints;
pub use config::{Config, RegistryAddress, Settings, TlsFiles};
pub use identity::Identity;
pub use joined::Mesh;
pub use levels::are_levels;
pub use logging::TERMINAL;
pub use proto::codec::Codec;
pub use refusal::Refusal;
pub use registration::Sign;
pub use server::{Door, Services};
pub use silent::dispatch as silence;
pub use spans::Pages;
pub use time::{from_duration, from_timestamp, timestamp};
pub use vegas::Limits;
