//! Metrics as Prometheus reads them: the form of the text, and who is told of in it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use harness::eventually;
use harness::http::Page;
use harness::system::{Role, System};

/// One line that holds a number.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    /// Reads `name{label="value",…} number`; fails on anything else.
    fn read(line: &str) -> anyhow::Result<Self> {
        let (name, rest) = line.split_once('{').with_context(|| format!("no labels: {line}"))?;
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        anyhow::ensure!(is_name(name), "no name: {line}");
        let (mut rest, mut labels) = (rest, BTreeMap::new());
        while let Some((label, after)) = rest.split_once("=\"") {
            let (value, after) = Self::text(after).with_context(|| format!("no end of {label}: {line}"))?;
            anyhow::ensure!(is_name(label), "{label} is no label: {line}");
            anyhow::ensure!(labels.insert(label.to_owned(), value).is_none(), "{label} is there twice: {line}");
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        let value = rest.strip_prefix("} ").with_context(|| format!("no end of the labels: {line}"))?;
        let value = value.parse().with_context(|| format!("no number: {line}"))?;
        Ok(Self { name: name.to_owned(), labels, value })
    }

    /// Reads a value up to its closing quote; answers with what follows that.
    fn text(escaped: &str) -> Option<(String, &str)> {
        let (mut value, mut letters) = (String::new(), escaped.chars());
        loop {
            match letters.next()? {
                '"' => return Some((value, letters.as_str())),
                '\\' => value.push(match letters.next()? {
                    'n' => '\n',
                    letter @ ('\\' | '"') => letter,
                    _ => return None,
                }),
                letter => value.push(letter),
            }
        }
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name && labels.iter().all(|(label, value)| self.labels.get(*label).is_some_and(|own| own == value))
    }
}

/// Reads a whole text; fails unless each name is described once, and before its samples.
fn samples(page: &Page) -> anyhow::Result<Vec<Sample>> {
    let content_type = page.headers.get("content-type").context("no content type")?;
    anyhow::ensure!(page.status.is_success(), "{}: {}", page.status, page.text);
    anyhow::ensure!(content_type == "text/plain; version=0.0.4; charset=utf-8", "{content_type:?}");
    anyhow::ensure!(page.text.ends_with('\n'), "the last line is cut");
    let (mut described, mut typed) = (BTreeSet::new(), BTreeSet::new());
    let (mut family, mut kind) = ("", "");
    let (mut seen, mut samples) = (BTreeSet::new(), Vec::new());
    for line in page.text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').with_context(|| format!("no words: {line}"))?;
            anyhow::ensure!(described.insert(name), "described twice: {line}");
        } else if let Some(name) = line.strip_prefix("# TYPE ") {
            (family, kind) = name.split_once(' ').with_context(|| format!("no type: {line}"))?;
            anyhow::ensure!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            anyhow::ensure!(typed.insert(family), "typed twice: {line}");
        } else {
            let sample = Sample::read(line)?;
            let suffix = sample.name.strip_prefix(family).with_context(|| format!("not of {family}: {line}"))?;
            let suffixes: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            anyhow::ensure!(suffixes.contains(&suffix), "not of {family}: {line}");
            anyhow::ensure!(seen.insert((sample.name.clone(), sample.labels.clone())), "twice: {line}");
            samples.push(sample);
        }
    }
    anyhow::ensure!(described == typed, "{described:?} are described, {typed:?} have a type");
    Ok(samples)
}

/// The services of instances that answered, or of those that did not.
fn services(samples: &[Sample], up: bool) -> BTreeSet<&str> {
    let told = samples.iter().filter(|sample| sample.name == "rundoo_up" && (sample.value == 1.0) == up);
    told.filter_map(|sample| sample.labels.get("service").map(String::as_str)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_reads_what_every_process_counted() -> anyhow::Result<()> {
    let system = System::start().await?;
    for path in ["/", "/search?q=hammer", "/products/999", "/services"] {
        system.get(path).await?;
    }

    let all = BTreeSet::from(["logsvc", "portal", "productsvc", "registry"]);
    let samples = eventually("everyone tells its metrics", async || {
        let samples = samples(&system.get("/metrics").await?)?;
        anyhow::ensure!(services(&samples, true) == all, "{:?} do not", services(&samples, false));
        Ok(samples)
    })
    .await;

    assert!(services(&samples, false).is_empty());
    let listed = ("grpc_method", "ListProducts");
    let labels = [("service", "productsvc"), ("caller", "portal"), listed, ("grpc_type", "unary"), ("grpc_code", "OK")];
    let handled = samples.iter().find(|sample| sample.is("grpc_server_handled_total", &labels));
    assert!(handled.context("nothing was listed")?.value > 0.0, "{handled:?}");
    let missed = [("grpc_method", "GetProduct"), ("grpc_code", "NotFound"), ("callee", "productsvc")];
    assert!(samples.iter().any(|sample| sample.is("grpc_client_handled_total", &missed) && sample.value > 0.0));
    let spans: Vec<_> = samples
        .iter()
        .filter(|sample| sample.is("grpc_server_handling_seconds_bucket", &[("caller", "portal"), listed]))
        .map(|sample| (sample.labels.get("le").map(String::as_str), sample.value))
        .collect();
    assert!(spans.is_sorted_by(|(_, less), (_, more)| less <= more), "{spans:?}");
    assert_eq!(spans.last().context("no spans")?.0, Some("+Inf"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_not_up_and_keeps_nobody_from_the_metrics_of_the_others() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.process(Role::Products(0))?.freeze().await?;

    let samples = eventually("only the one that hangs is not up", async || {
        let samples = samples(&system.get("/metrics").await?)?;
        let (up, silent) = (services(&samples, true), services(&samples, false));
        anyhow::ensure!(silent == BTreeSet::from(["productsvc"]), "{silent:?} are not up, {up:?} are");
        Ok(samples)
    })
    .await;

    let ready = [("service", "productsvc"), ("state", "ready")];
    assert!(samples.iter().any(|sample| sample.is("rundoo_instances", &ready) && sample.value == 1.0), "{samples:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_registry_there_are_no_metrics_but_plain_words() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.kill(Role::Registry).await?;

    let page = system.get("/metrics").await?;

    assert_eq!(page.status, 503);
    assert_eq!(page.text, "The registry is not answering right now.\n");
    assert_eq!(page.headers["content-type"], "text/plain; charset=utf-8");
    assert!(page.headers.contains_key("content-security-policy") && page.headers.contains_key("x-request-id"));
    Ok(())
}
