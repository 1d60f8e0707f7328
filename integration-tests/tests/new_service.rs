//! A sixth service: laid down outside of the workspace it builds, passes its test, and drags no trade of ours along.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use harness::binaries;
use serde_json::Value;

/// What the snippets of `docs/new-service.md` are compiled with.
const DOCUMENTED: &str = "//! What the page shows.
#![expect(dead_code, reason = \"it is compiled, not run\")]

use std::net::SocketAddr;

use contract::price_tags_service_client::PriceTagsServiceClient;
use contract::price_tags_service_server::{PriceTagsService, PriceTagsServiceServer};
use contract::{GreetRequest, GreetResponse};
use mesh::call::Caller;
use mesh::layers::{Inbound, Key, provide};
use mesh::{App, Call, Channel, Limits, Mesh, Services};
use tonic::{Request, Response, Status};

mod contract {
    tonic::include_proto!(\"price_tags.v1\");
}

const DESCRIPTORS: &[u8] = &[];

";

fn read(path: &str) -> String {
    std::fs::read_to_string(binaries::root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust that a page shows.
fn snippets(page: &str) -> Vec<String> {
    let text = read(page);
    let blocks = text.split("```rust\n").skip(1).filter_map(|block| block.split("```").next());
    blocks.map(str::to_owned).collect()
}

/// Runs a command to its end: what it printed, and whether it succeeded.
fn perform(command: &mut Command) -> anyhow::Result<(bool, String)> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("could not run {command:?}"))?;
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    Ok((output.status.success(), said))
}

fn rundoo(folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(binaries::build()?.join("rundoo"));
    command.arg("new-service").current_dir(folder);
    Ok(command)
}

/// Cargo in the folder of a new service; what it builds stays from run to run.
fn cargo(folder: &Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let target = binaries::folder()?.parent().context("no target folder")?.join("new-service");
    command.current_dir(folder).env("CARGO_TARGET_DIR", target);
    Ok(command)
}

/// Every file below a folder, as a path in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            let name = path.file_name().expect("a name").to_owned();
            found.extend(files(&path).into_iter().map(|file| Path::new(&name).join(file)));
        } else {
            found.push(path.strip_prefix(folder).expect("inside").to_owned());
        }
    }
    found.sort();
    found
}

#[test]
fn a_new_service_outside_of_the_workspace_passes_its_own_test() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (laid_down, said) = perform(rundoo(folder.path())?.arg("price-tags"))?;
    assert!(laid_down && said.contains("cargo test"), "{said}");
    let service = folder.path().join("price-tags");
    let documented = DOCUMENTED.to_owned() + &snippets("docs/new-service.md").join("\n");
    std::fs::write(service.join("tests/documented.rs"), documented)?;

    let registry = binaries::folder()?.join("registry");
    let (passed, said) = perform(cargo(&service)?.arg("test").env("RUNDOO_REGISTRY_PROGRAM", registry))?;

    assert!(passed, "{said}");
    assert!(said.contains("it_is_found_by_its_name_and_says_goodbye ... ok"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    Ok(())
}

#[test]
fn it_compiles_no_contract_of_products_and_no_service_of_ours() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    assert!(perform(rundoo(folder.path())?.arg("price-tags"))?.0);

    let output = cargo(&folder.path().join("price-tags"))?.args(["metadata", "--format-version", "1"]).output()?;

    let metadata: Value = serde_json::from_slice(&output.stdout).context("no metadata")?;
    let nodes = metadata["resolve"]["nodes"].as_array().context("no nodes")?;
    let is = |node: &&Value, name: &str| node["id"].as_str().is_some_and(|id| id.contains(&format!("{name}#")));
    let features = |name: &str| nodes.iter().find(|node| is(node, name)).map(|node| node["features"].to_string());
    assert_eq!(features("/proto").as_deref(), Some(r#"["logs","mesh","registry"]"#));
    assert!(features("/mesh").is_some());
    for name in ["registry", "logsvc", "productsvc", "portal", "integration-tests"] {
        assert_eq!(features(&format!("/{name}")), None, "{name}");
    }
    Ok(())
}

#[test]
fn names_follow_from_the_one_that_is_given_also_inside_of_the_checkout() -> anyhow::Result<()> {
    let ignored = binaries::root().join("target");
    std::fs::create_dir_all(&ignored)?;
    let folder = tempfile::tempdir_in(ignored)?;
    let own = folder.path().join("nested");

    assert!(perform(rundoo(folder.path())?.args(["old-greeter2", "nested"]))?.0);

    let names = ["proto/old_greeter2/v1/old_greeter2.proto", "src/main.rs", "tests/old_greeter2.rs"];
    let expected = [".gitignore", "Cargo.lock", "Cargo.toml", "build.rs"].into_iter().chain(names);
    assert_eq!(files(&own), expected.map(PathBuf::from).collect::<Vec<_>>());
    let text = |path: &str| std::fs::read_to_string(own.join(path)).expect("it is there");
    let manifest = text("Cargo.toml");
    assert!(manifest.contains("name = \"old-greeter2\""), "{manifest}");
    assert!(manifest.contains("rundoo-mesh = { path = \"../"), "both may be moved together: {manifest}");
    let mesh = manifest.split("rundoo-mesh = { path = \"").nth(1).and_then(|rest| rest.split('"').next());
    assert!(own.join(mesh.expect("a path")).join("src/lib.rs").exists(), "{manifest}");
    for (path, name) in [
        (names[0], "package old_greeter2.v1;"),
        (names[0], "service OldGreeter2Service {"),
        ("build.rs", "old_greeter2/v1/old_greeter2.proto"),
        (names[1], "impl OldGreeter2Service for Handler"),
        (names[1], "contract::old_greeter2_service_server::"),
        (names[1], "OLD_GREETER2_LISTEN"),
        (names[1], "run(\"old-greeter2\""),
        (names[2], "CARGO_BIN_EXE_old-greeter2"),
        (names[2], "old_greeter2.v1.OldGreeter2Service"),
    ] {
        assert!(text(path).contains(name), "{path}: {}", text(path));
    }
    Ok(())
}

#[test]
fn what_cannot_be_a_name_is_refused_in_words_and_nothing_is_overwritten() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for (name, word) in [
        ("", "lower-case"),
        ("Price", "lower-case"),
        ("price_tags", "lower-case"),
        ("../price", "lower-case"),
        ("price--tags", "lower-case"),
        ("price-", "lower-case"),
        ("2nd", "letter"),
        ("price-2", "letter"),
        (&"x".repeat(64), "63"),
        ("async", "Rust"),
        ("test", "Rust"),
        ("productsvc", "Rundoo's own"),
        ("registry", "Rundoo's own"),
        ("tonic", "crate"),
    ] {
        let (laid_down, said) = perform(rundoo(folder.path())?.arg(name))?;
        assert!(!laid_down && said.contains(word), "{name}: {said}");
    }
    assert!(files(folder.path()).is_empty());

    std::fs::create_dir(folder.path().join("tags"))?;
    std::fs::write(folder.path().join("tags/letter.txt"), "precious")?;
    let (laid_down, said) = perform(rundoo(folder.path())?.arg("tags"))?;
    assert!(!laid_down && said.contains("not empty"), "{said}");
    assert_eq!(files(folder.path()), [PathBuf::from("tags/letter.txt")]);
    Ok(())
}

#[test]
fn the_example_is_short_and_the_readme_of_the_mesh_shows_it() {
    let main = read("examples/greeter/src/main.rs");
    assert!(main.lines().count() < 60, "{} lines", main.lines().count());
    for line in snippets("mesh/README.md")[0].lines() {
        assert!(main.lines().any(|shown| shown == line), "{line}");
    }
}
