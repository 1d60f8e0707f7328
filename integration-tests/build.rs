//! Compiles the contract of the specimen, as `proto` does it for those of Rundoo.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run by cargo")?).join("proto");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("run by cargo")?);
    println!("cargo::rerun-if-changed={}", root.display());
    // The declaration of the HTTP rules is that of the house.
    let foreign = root.join("../../proto/foreign");
    let mut compiler = protox::Compiler::new([&root, &foreign])?;
    compiler.include_source_info(true).include_imports(true);
    compiler.open_file(root.join("rundoo/specimen/v1/specimen.proto"))?;
    std::fs::write(out.join("specimen.bin"), compiler.encode_file_descriptor_set())?;
    let configure = || tonic_prost_build::configure().emit_rerun_if_changed(false).extern_path(".google.api", "()");
    // As whoever uses tonic alone has it: what the mesh is compared with.
    let plain = out.join("plain");
    std::fs::create_dir_all(&plain)?;
    let own = configure().extern_path(".rundoo.specimen.v1", "crate::specimen");
    own.out_dir(&plain).compile_fds(compiler.file_descriptor_set())?;
    configure().codec_path("mesh::Codec").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
