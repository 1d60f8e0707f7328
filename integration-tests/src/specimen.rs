//! A service for tests and benchmarks that does what it is told, on the whole mesh.

#![expect(clippy::doc_markdown, clippy::too_many_lines, reason = "what is generated is not written")]

tonic::include_proto!("rundoo.specimen.v1");

/// The same contract as tonic alone has it, without anything of the mesh.
pub mod plain {
    include!(concat!(env!("OUT_DIR"), "/plain/rundoo.specimen.v1.rs"));
}

/// The encoded descriptor set of `rundoo.specimen.v1` and what it imports.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/specimen.bin"));

/// Its name in the registry.
pub const SERVICE: &str = "specimen";
