//! The contracts of Rundoo: what two processes have to agree on.
//!
//! One module per package, each with its generated types and the descriptor set
//! that reflection serves, comments and HTTP rules included. The `.proto` files
//! beside this crate are the manual; nothing here adds to them.

pub mod codec;
pub mod encoded;

/// The registry: who is alive, where, and since when.
#[cfg(feature = "registry")]
pub mod registry {
    tonic::include_proto!("rundoo.registry.v1");
    include!(concat!(env!("OUT_DIR"), "/server/rundoo.registry.v1.rs"));

    /// The encoded descriptor set of `rundoo.registry.v1` and what it imports.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/registry.bin"));

    /// The `domain` of this package's `google.rpc.ErrorInfo`.
    pub const DOMAIN: &str = "registry.rundoo";
}

/// The log service: every record that any process logged.
#[cfg(feature = "logs")]
pub mod logs {
    tonic::include_proto!("rundoo.logs.v1");
    include!(concat!(env!("OUT_DIR"), "/server/rundoo.logs.v1.rs"));

    /// The encoded descriptor set of `rundoo.logs.v1` and what it imports.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/logs.bin"));

    /// The `domain` of this package's `google.rpc.ErrorInfo`.
    pub const DOMAIN: &str = "logs.rundoo";
}

/// The catalogue: what the store sells, and what it is called.
#[cfg(feature = "products")]
pub mod products {
    tonic::include_proto!("rundoo.products.v1");
    include!(concat!(env!("OUT_DIR"), "/server/rundoo.products.v1.rs"));

    /// The encoded descriptor set of `rundoo.products.v1` and what it imports.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/products.bin"));

    /// The `domain` of this package's `google.rpc.ErrorInfo`.
    pub const DOMAIN: &str = "products.rundoo";
}

/// The mesh itself: what every process answers about itself.
#[cfg(feature = "mesh")]
pub mod mesh {
    tonic::include_proto!("rundoo.mesh.v1");
    include!(concat!(env!("OUT_DIR"), "/server/rundoo.mesh.v1.rs"));

    /// The encoded descriptor set of `rundoo.mesh.v1` and what it imports.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/mesh.bin"));

    /// The `domain` of this package's `google.rpc.ErrorInfo`.
    pub const DOMAIN: &str = "mesh.rundoo";
}

/// OTLP, as far as it is about log records: how OpenTelemetry's SDKs and collectors send them.
#[cfg(feature = "otlp")]
pub mod otlp {
    #[allow(missing_docs, reason = "a module per part of the standard's package names")]
    mod generated {
        include!(concat!(env!("OUT_DIR"), "/otlp.rs"));
    }

    pub use generated::opentelemetry::proto::collector::logs::v1 as collector;
    pub use generated::opentelemetry::proto::common::v1 as common;
    pub use generated::opentelemetry::proto::logs::v1 as logs;
    pub use generated::opentelemetry::proto::resource::v1 as resource;

    /// The encoded descriptor set of the four packages.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/otlp.bin"));
}
