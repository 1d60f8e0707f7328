//! A store's 50,000 rows: the import, and the pages with them.

use std::fmt::Write as _;
use std::time::Duration;

use harness::Program;
use harness::binaries;
use harness::system::{Role, System};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report};

/// A large store's catalogue.
const ROWS: usize = 50_000;

/// Pages of each kind that are asked for, one after another.
const VISITS: usize = 200;

/// What feels immediate to a person.
const INSTANT_MS: f64 = 100.0;

/// Imports through the command line and looks at the pages.
pub(crate) async fn measure(system: &System, report: &mut Report) -> anyhow::Result<()> {
    let file = system.folder().join("rows.csv");
    std::fs::write(&file, rows())?;
    let began = Instant::now();
    let registry = system.address(Role::Registry)?;
    let import = Program::new(&binaries::folder()?, "productsvc", system.folder())
        .argument("import")
        .argument(file.display().to_string());
    let mut import = import.set("RUNDOO_REGISTRY", registry).start()?;
    let status = import.wait().await?;
    anyhow::ensure!(status.success(), "the import failed:\n{}", import.output());
    report.add("import_50k_rate", ROWS as f64 / began.elapsed().as_secs_f64(), "rows/s", Goal::Stated);

    let deep = deep_page(system, 20).await?;
    let kinds = [
        ("home", "/".to_owned()),
        ("page_21", deep),
        ("search", "/search?q=hinge+4977&field=any".to_owned()),
        ("search_nothing", "/search?q=zebra&field=any".to_owned()),
    ];
    for (name, path) in kinds {
        let p99 = visit(system, &path).await?;
        report.add(&format!("{name}_50k_p99"), p99.as_secs_f64() * 1e3, "ms", Goal::AtMost(INSTANT_MS));
    }
    Ok(())
}

fn rows() -> String {
    let kinds = ["Hinge", "Screw", "Stud", "Elbow", "Primer", "Bit"];
    let mut text = String::from("name,category,sku\n");
    for n in 0..ROWS {
        let kind = kinds[n % kinds.len()];
        // Writing to a String cannot fail.
        let _infallible = writeln!(text, "{kind} {n} x {}-{}/8,Hardware/{kind}s,{}-{n:06}", n % 12, n % 8, &kind[..2]);
    }
    text
}

/// The path of a page further back, by following its links.
async fn deep_page(system: &System, pages: usize) -> anyhow::Result<String> {
    let mut path = "/".to_owned();
    for _ in 0..pages {
        let page = system.get(&path).await?;
        let links = page.text.split("href=\"").skip(1).filter_map(|link| link.split('"').next());
        let next = links
            .filter(|link| link.contains("page="))
            .last()
            .map(|link| link.replace("&#38;", "&").replace("&amp;", "&"));
        let Some(next) = next else { break };
        path = if next.starts_with('/') { next } else { format!("/{next}") };
    }
    Ok(path)
}

async fn visit(system: &System, path: &str) -> anyhow::Result<Duration> {
    let mut times = Vec::new();
    for _ in 0..VISITS {
        let began = Instant::now();
        let page = system.get(path).await?;
        anyhow::ensure!(page.status.is_success(), "{path} answers {}", page.status);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[VISITS * 99 / 100])
}
