//! What must stay true of the whole box, a file per behaviour.

mod architecture;
mod calls;
mod garbage;
mod import;
mod launcher;
mod logs;
mod new_service;
mod operator;
mod portal;
mod products;
mod readme;
mod recovery;
mod reflection;
mod registry;
mod replicas;
mod stack;
mod startup;
mod tls;
