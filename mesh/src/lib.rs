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
mod backoff;
pub mod call;
pub mod channel;
pub mod cli;
mod config;
mod discovery;
mod graph;
mod identity;
mod joined;
pub mod layers;
mod logging;
pub mod outbox;
pub mod page;
mod picture;
pub mod refusal;
mod registration;
pub mod server;
mod shipping;
mod task;
mod time;

pub use app::{App, run};
pub use call::{Call, spawn};
pub use channel::Channel;
pub use cli::client;
pub use config::{Config, Settings};
pub use identity::Identity;
pub use joined::Mesh;
pub use logging::TERMINAL;
pub use refusal::Refusal;
pub use registration::Sign;
pub use server::{Door, Services};
pub use time::{from_duration, from_timestamp, timestamp};
