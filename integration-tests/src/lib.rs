//! The whole box: starts the real processes, watches them, ends them.
//!
//! Tests and the launcher stand on the same parts: `binaries` finds what to start,
//! `process` is one running program, `system` is the four of them on free ports in
//! a folder of their own, `certificates` what they trust each other by, `postgres` a throwaway database server. `dynamic` calls
//! any method from JSON, `catalogue` reads all products, `http` is a small client for
//! pages, `browser` a real browser, `load` makes traffic, `lease` is for instances that do not beat. `logs` is the log service alone, with producers. `specimen` is the contract of a service that does what it is told,
//! `specimens` are some of them beside a registry, `bucket` a bucket that speaks S3.

pub mod binaries;
pub mod bucket;
pub mod process;
pub mod certificates;
pub mod system;
pub mod postgres;
pub mod skip;
pub mod eventually;
pub mod health;
pub mod catalogue;
pub mod http;
pub mod lease;
pub mod browser;
pub mod dynamic;
pub mod load;
pub mod logs;
pub mod specimen;
pub mod specimens;

pub use eventually::eventually;
pub use process::{Process, Program};
pub use specimens::Specimens;
pub use system::{Role, System};
