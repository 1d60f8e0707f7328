//! The log service under test: alone, with producers that keep its contract and records that look real.
//!
//! `node` is the process, `generator` what is logged, `producer` one that ships and
//! remembers what was acknowledged, `reading` what is read back, `census` the
//! comparison of both, `crashes` all of it while it is killed. `lab` has real services
//! that log through the mesh, `last_words` what becomes of those that are killed.

mod node;
mod generator;
mod producer;
mod reading;
mod census;
pub mod crashes;
mod lab;
pub mod last_words;

pub use census::Census;
pub use generator::Generator;
pub use lab::{Lab, Speaker};
pub use node::{Client, Node};
pub use producer::{Producer, shipment};
pub use reading::{Found, everything, query, verify};
