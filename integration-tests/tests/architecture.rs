//! The shape of the house, as far as a tool can see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use harness::{binaries, dynamic};
use prost_reflect::MethodDescriptor;

/// Rust files of the crates, with their text.
fn sources() -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                found.insert(path.strip_prefix(binaries::root()).unwrap_or(&path).to_owned(), text);
            }
        }
    }
    let mut found = BTreeMap::new();
    for crate_name in ["proto", "mesh", "registry", "logsvc", "productsvc", "portal", "integration-tests"] {
        walk(&binaries::root().join(crate_name), &mut found);
    }
    found
}

fn manifest(crate_name: &str) -> String {
    std::fs::read_to_string(binaries::root().join(crate_name).join("Cargo.toml")).unwrap_or_default()
}

/// Our crates that a manifest names among its dependencies.
fn imports(crate_name: &str) -> Vec<&'static str> {
    let manifest = manifest(crate_name);
    let ours = ["rundoo-proto", "rundoo-mesh", "registry", "logsvc", "productsvc", "portal", "integration-tests"];
    let dependencies = manifest.split("dependencies]").skip(1).collect::<String>();
    let names = |name: &str| {
        dependencies.lines().any(|line| line.starts_with(&format!("{name}.")) || line.starts_with(&format!("{name} ")))
    };
    ours.into_iter().filter(|name| names(name)).collect()
}

#[test]
fn imports_go_one_way() {
    assert!(imports("proto").is_empty(), "the contracts import nothing of ours");
    assert_eq!(imports("mesh"), ["rundoo-proto"]);
    for service in ["registry", "logsvc", "productsvc", "portal"] {
        assert_eq!(imports(service), ["rundoo-proto", "rundoo-mesh"], "{service} imports no other service");
    }
}

#[test]
fn the_mesh_knows_no_business() {
    let manifest = manifest("mesh");
    let features = manifest.lines().find(|line| line.starts_with("rundoo-proto")).expect("it needs the contracts");
    assert!(!features.contains("products"), "{features}");
    for (path, text) in sources() {
        if path.starts_with("mesh") {
            assert!(!text.contains("proto::products") && !text.contains("productsvc\""), "{}", path.display());
        }
    }
}

#[test]
fn modules_of_the_mesh_import_downward_only() {
    let lib = std::fs::read_to_string(binaries::root().join("mesh/src/lib.rs")).expect("it is there");
    let is_module = |line: &str| line.ends_with(';') && (line.starts_with("mod ") || line.starts_with("pub mod "));
    let order: Vec<&str> = lib
        .lines()
        .filter(|line| is_module(line))
        .filter_map(|line| line.trim_end_matches(';').split(' ').next_back())
        .collect();
    // What `crate::Name` stands for, where a module is imported by what it exports.
    let exported = BTreeMap::from([
        ("Mesh", "joined"),
        ("Channel", "channel"),
        ("Call", "call"),
        ("Refusal", "refusal"),
        ("Identity", "identity"),
    ]);

    for (path, text) in sources() {
        let Ok(inside) = path.strip_prefix("mesh/src") else { continue };
        let module = inside
            .components()
            .next()
            .map(|part| part.as_os_str().to_string_lossy().trim_end_matches(".rs").to_owned())
            .unwrap_or_default();
        let Some(own) = order.iter().position(|name| *name == module) else { continue };
        for mention in text.split("crate::").skip(1) {
            let name: String = mention.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let name = exported.get(name.as_str()).copied().unwrap_or(&name);
            if let Some(imported) = order.iter().position(|known| *known == name) {
                assert!(imported >= own, "{} imports {name}, which stands above it", path.display());
            }
        }
    }
}

#[test]
fn each_library_has_its_place() {
    let places = [
        ("sqlx::", vec!["productsvc/src/store", "portal/src/door/store"]),
        ("askama::", vec!["portal"]),
        ("tonic_reflection", vec!["mesh", "portal/src/gateway/reflection.rs", "integration-tests"]),
        ("tokio::signal", vec!["mesh/src/app", "integration-tests"]),
        ("std::env::var(", vec![]),
    ];
    for (path, text) in sources() {
        if path.ends_with("architecture.rs") {
            continue;
        }
        for (library, places) in &places {
            let is_home = places.iter().any(|place| path.to_string_lossy().starts_with(place));
            assert!(is_home || !text.contains(library), "{} uses {library}", path.display());
        }
    }
}

#[test]
fn no_file_is_longer_than_one_head_holds() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 400, "{} has {lines} lines: split it by noun", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
        assert!(!path.ends_with("mod.rs"), "{}", path.display());
    }
}

#[test]
fn escaping_is_never_switched_off() {
    for entry in std::fs::read_dir(binaries::root().join("portal/templates")).expect("templates").flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        assert!(
            !text.contains("|safe") && !text.contains("| safe") && !text.contains("<script"),
            "{}",
            entry.path().display()
        );
        assert!(!text.contains("style=") && !text.contains("onclick"), "{}", entry.path().display());
        // No attribute runs anything, whatever it is called: onload, onerror, onfocus.
        let runs = |rest: &str| {
            let name: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
            name.len() > 2 && rest[name.len()..].starts_with("=\"")
        };
        assert!(!text.split(" on").skip(1).any(runs), "{}", entry.path().display());
    }
    for (path, text) in sources() {
        let is_page = path.starts_with("portal/src");
        assert!(!is_page || !text.contains("escape = \""), "{} changes how texts are escaped", path.display());
    }
}

fn ours() -> impl Iterator<Item = MethodDescriptor> {
    dynamic::POOL
        .services()
        .filter(|service| service.full_name().starts_with("rundoo."))
        .flat_map(|service| service.methods().collect::<Vec<_>>())
}

#[test]
fn every_message_and_method_of_the_contracts_is_explained() {
    for file in dynamic::POOL.files().filter(|file| file.name().starts_with("rundoo/")) {
        let text = std::fs::read_to_string(binaries::root().join("proto").join(file.name())).expect("it is there");
        let mut before = "";
        for line in text.lines().map(str::trim) {
            let declares = ["rpc ", "message ", "enum ", "service "].iter().any(|word| line.starts_with(word));
            assert!(!declares || before.starts_with("//"), "{}: {line}", file.name());
            before = line;
        }
    }
}

#[test]
fn requests_and_collections_have_one_shape() {
    for method in ours() {
        let (input, output, name) = (method.input(), method.output(), method.name().to_owned());
        assert_eq!(input.name(), format!("{name}Request"));
        assert_eq!(output.name(), format!("{name}Response"));
        if name.starts_with("List") || name.starts_with("Search") || name == "Discover" {
            for field in ["page_size", "page_token"] {
                assert!(input.get_field_by_name(field).is_some(), "{name} is not paged");
            }
            assert!(output.get_field_by_name("next_page_token").is_some(), "{name} is not paged");
        }
        if ["CreateProduct", "UpdateProduct", "DeleteProduct"].contains(&name.as_str()) {
            assert!(input.get_field_by_name("request_id").is_some(), "{name} cannot be repeated safely");
        }
    }
}
