//! Compiles the contracts with protox, so that no `protoc` is needed.
//!
//! Each package gets Rust code and a descriptor set. The set is the encoded one:
//! it keeps comments and custom options, which typed sets lose, so that
//! reflection serves a manual and the HTTP rules.

use std::path::{Path, PathBuf};

use tonic_prost_build::Builder;

type Error = Box<dyn std::error::Error>;

/// Our packages, each behind the cargo feature of the same name.
const PACKAGES: [&str; 4] = ["logs", "mesh", "products", "registry"];

/// The entrance to OTLP's packages, which are the standard's and stand behind the feature `otlp`.
const OTLP: &str = "opentelemetry/proto/collector/logs/v1/logs_service.proto";

/// Messages that a server sends to many at once, and the type that it sends them as.
const ENCODED: [(&str, &str); 1] =
    [(".rundoo.registry.v1.WatchResponse", "crate::encoded::Encoded<crate::registry::WatchResponse>")];

/// Packages whose server holds thousands of streams that are idle most of the time.
const FRUGAL: [&str; 1] = ["registry"];

fn main() -> Result<(), Error> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    println!("cargo::rerun-if-changed={}", root.join("rundoo").display());
    println!("cargo::rerun-if-changed={}", root.join("foreign").display());
    for package in PACKAGES {
        if is_wanted(package) {
            generate(&root, package)?;
        }
    }
    if is_wanted("otlp") {
        generate_otlp(&root)?;
    }
    Ok(())
}

fn generate(root: &Path, package: &str) -> Result<(), Error> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let compiler = compile(root, &files(root, package)?)?;
    std::fs::write(out.join(format!("{package}.bin")), compiler.encode_file_descriptor_set())?;

    // Google's HTTP rules are read from the descriptors, never as Rust types.
    let configure = || configure().extern_path(".google.api", "()");
    configure().build_server(false).out_dir(&out).compile_fds(compiler.file_descriptor_set())?;

    // The server apart, so that what it sends to many may be a message that was encoded before.
    let servers = out.join("server");
    std::fs::create_dir_all(&servers)?;
    let own = |message: &str| format!(".rundoo.{package}.v1{message}");
    let mut server = configure().build_client(false).extern_path(own(""), format!("crate::{package}"));
    for (message, encoded) in ENCODED {
        if message.starts_with(&own(".")) {
            server = server.extern_path(message, encoded);
        }
    }
    if FRUGAL.contains(&package) {
        server = server.codec_path("crate::codec::FrugalCodec");
    }
    server.out_dir(&servers).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The files of a package, in one order on every machine.
fn files(root: &Path, package: &str) -> Result<Vec<String>, Error> {
    let folder = format!("rundoo/{package}/v1");
    let mut files = Vec::new();
    for file in std::fs::read_dir(root.join(&folder))? {
        files.push(format!("{folder}/{}", file?.file_name().to_string_lossy()));
    }
    files.sort();
    Ok(files)
}

/// Four packages that name each other: one tree of modules, as deep as the packages are.
fn generate_otlp(root: &Path) -> Result<(), Error> {
    let out = PathBuf::from(variable("OUT_DIR")?);
    let compiler = compile(root, &[OTLP.to_owned()])?;
    std::fs::write(out.join("otlp.bin"), compiler.encode_file_descriptor_set())?;
    configure().include_file("otlp.rs").out_dir(&out).compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

fn compile(root: &Path, files: &[String]) -> Result<protox::Compiler, Error> {
    let mut compiler = protox::Compiler::new([root, &root.join("foreign")])?;
    // Imports, or reflection could not resolve google/protobuf/*.proto.
    compiler.include_source_info(true).include_imports(true);
    compiler.open_files(files)?;
    Ok(compiler)
}

fn configure() -> Builder {
    tonic_prost_build::configure().emit_rerun_if_changed(false).codec_path("crate::codec::Codec")
}

/// Whether the cargo feature of this name is on.
fn is_wanted(feature: &str) -> bool {
    std::env::var_os(format!("CARGO_FEATURE_{}", feature.to_uppercase())).is_some()
}

/// What cargo tells a build script.
fn variable(name: &str) -> Result<std::ffi::OsString, Error> {
    std::env::var_os(name).ok_or_else(|| format!("{name} is not set: this is run by cargo").into())
}
