//! Lays down a new service: the greeter of `examples/greeter` under another name.
//!
//! What is written is the example that is tested, with nothing but its names changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context as _;
use harness::binaries;

use crate::say;

/// What `new-service` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// What it is called, in the registry too: lower-case words with dashes, as in `price-tags`
    name: Name,

    /// The folder to make; one of the service's name, here, when it is left out
    folder: Option<PathBuf>,
}

/// The files of the example, each under its path in it.
const FILES: [(&str, &str); 6] = [
    (".gitignore", include_str!("../../../../examples/greeter/.gitignore")),
    ("Cargo.toml", include_str!("../../../../examples/greeter/Cargo.toml")),
    ("build.rs", include_str!("../../../../examples/greeter/build.rs")),
    ("proto/greeter/v1/greeter.proto", include_str!("../../../../examples/greeter/proto/greeter/v1/greeter.proto")),
    ("src/main.rs", include_str!("../../../../examples/greeter/src/main.rs")),
    ("tests/greeter.rs", include_str!("../../../../examples/greeter/tests/greeter.rs")),
];

/// Where the example finds the mesh: the root of this checkout, seen from its own folder.
const ROOT: &str = "\"../../";

/// The longest name that the registry takes.
const LONGEST: usize = 63;

/// Services that are there already.
const SERVICES: [&str; 4] = ["registry", "logsvc", "productsvc", "portal"];

/// Crates that the new one needs: it cannot be called as they are.
const CRATES: &str = "anyhow clap mesh prost proto protox rundoo-mesh rundoo-proto tokio tonic tonic-health tonic-prost \
    tonic-prost-build tonic-reflection tracing";

/// Words of Rust, and names that cargo keeps for itself.
const KEYWORDS: &str = "abstract as async await become box break const continue crate do dyn else enum extern false \
    final fn for gen if impl in let loop macro match mod move mut override priv pub ref return self static struct \
    super trait true try type typeof union unsafe unsized use virtual where while yield \
    alloc build core deps examples incremental proc-macro std test";

/// Writes the files, and says what to do next.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let name = &arguments.name;
    let folder = arguments.folder.clone().unwrap_or_else(|| PathBuf::from(&name.0));
    let folder = make(&folder)?;
    let root = root_from(&folder)?;
    for (path, text) in FILES {
        // The place first: what is put in for a name may not be taken for it.
        let text = text.split(ROOT).map(|part| name.put_into(part)).collect::<Vec<_>>();
        write(&folder.join(name.put_into(path)), &text.join(&format!("\"{}/", root.display())))?;
    }
    // The versions that the mesh is tested with. Cargo takes out what is not needed.
    let lock = binaries::root().join("Cargo.lock");
    std::fs::copy(&lock, folder.join("Cargo.lock")).with_context(|| format!("could not copy {}", lock.display()))?;
    say::out(&next(name, &folder))?;
    Ok(ExitCode::SUCCESS)
}

/// Makes the folder, and answers where it really is. One that holds something is refused.
fn make(folder: &Path) -> anyhow::Result<PathBuf> {
    let shown = folder.display();
    std::fs::create_dir_all(folder).with_context(|| format!("could not make {shown}"))?;
    let is_empty = std::fs::read_dir(folder).with_context(|| format!("could not read {shown}"))?.next().is_none();
    anyhow::ensure!(is_empty, "{shown} is not empty; nothing was written");
    folder.canonicalize().with_context(|| format!("could not find {shown}"))
}

/// The way from a folder to this checkout: relative inside of it, so that both may be moved together.
fn root_from(folder: &Path) -> anyhow::Result<PathBuf> {
    let root = binaries::root();
    let root = root.canonicalize().with_context(|| format!("{} is gone: build the launcher again", root.display()))?;
    Ok(match folder.strip_prefix(&root) {
        Ok(inside) => inside.components().map(|_| "..").collect(),
        Err(_) => root,
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || {
        path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(path, text)
    };
    write().with_context(|| format!("could not write {}", path.display()))
}

fn next(name: &Name, folder: &Path) -> String {
    let (folder, snake) = (folder.display(), name.snake());
    format!(
        "{name} is laid down in {folder}

  cd {folder}
  cargo test    starts two of them, calls them, stops them
  cargo run     joins the mesh that `just up` has started

proto/{snake}/v1/{snake}.proto says what it offers, src/main.rs how it does that.
How to go on: docs/new-service.md"
    )
}

/// The name of a service that can be built: lower-case words, joined by dashes.
#[derive(Debug, Clone)]
struct Name(String);

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // A word begins with a letter, or its names in Rust could not be told from one another.
        let is_word = |word: &str| {
            let is_plain = word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            is_plain && word.starts_with(|first: char| first.is_ascii_lowercase())
        };
        if !text.split('-').all(is_word) {
            return Err("a name is lower-case letters and digits in words joined by dashes, each beginning \
                with a letter, as in price-tags"
                .to_owned());
        }
        if text.len() > LONGEST {
            return Err(format!("a name has {LONGEST} characters at most"));
        }
        if SERVICES.contains(&text) {
            return Err(format!("{text} is a service of Rundoo's own"));
        }
        let is_among = |words: &str| words.split(' ').any(|word| word == text);
        if is_among(KEYWORDS) {
            return Err(format!("{text} is a word that Rust or cargo keeps for itself"));
        }
        if is_among(CRATES) {
            return Err(format!("{text} is a crate that the service needs"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// As packages and files are called: `price_tags`.
    fn snake(&self) -> String {
        self.0.replace('-', "_")
    }

    /// As types are called: `PriceTags`.
    fn pascal(&self) -> String {
        let capitalised = |word: &str| word[..1].to_uppercase() + &word[1..];
        self.0.split('-').map(capitalised).collect()
    }

    /// What stands for each way in which the example is named; of two that match, the first.
    fn names(&self) -> [(&'static str, String); 7] {
        let snake = self.snake();
        [
            ("greeter.v1", format!("{snake}.v1")),
            ("greeter/v1/greeter", format!("{snake}/v1/{snake}")),
            ("greeter_service", format!("{snake}_service")),
            ("tests/greeter", format!("tests/{snake}")),
            ("GreeterService", format!("{}Service", self.pascal())),
            ("GREETER", snake.to_uppercase()),
            ("greeter", self.0.clone()),
        ]
    }

    /// The text with this name in place of the example's, in one pass: a name may hold the example's.
    fn put_into(&self, text: &str) -> String {
        let names = self.names();
        let (mut renamed, mut rest) = (String::new(), text);
        while let Some(first) = rest.chars().next() {
            let step = match names.iter().find(|(old, _)| rest.starts_with(old)) {
                Some((old, new)) => {
                    renamed.push_str(new);
                    old.len()
                }
                None => {
                    renamed.push(first);
                    first.len_utf8()
                }
            };
            rest = &rest[step..];
        }
        renamed
    }
}
