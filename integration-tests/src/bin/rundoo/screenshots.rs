//! Pictures of the portal for the README, taken anew from the sample catalogue.

use std::process::ExitCode;

use anyhow::Context as _;
use harness::browser::{Browser, Look};
use harness::system::{Role, System};
use harness::{Program, binaries};

/// Pictures: the name of the file, the page, and how the browser is to be.
const PICTURES: [(&str, &str, Look); 6] = [
    ("portal", "/", Look { size: (1280, 800), dark: false, scripts: false, waits: true }),
    ("portal-search", "/search?q=claw+ham", Look { size: (1280, 560), dark: false, scripts: false, waits: true }),
    ("portal-services", "/services", Look { size: (1280, 900), dark: true, scripts: false, waits: true }),
    ("portal-logs", "/logs", Look { size: (1280, 800), dark: false, scripts: false, waits: true }),
    ("portal-categories", "/categories", Look { size: (1280, 640), dark: true, scripts: false, waits: true }),
    ("portal-phone", "/", Look { size: (390, 844), dark: false, scripts: false, waits: true }),
];

/// Starts a system with the sample, looks at it, and writes the pictures to `docs/images`.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let system = System::start().await?;
    let sample = binaries::root().join("productsvc/sample/catalogue.csv");
    let mut import = Program::new(&binaries::folder()?, "productsvc", system.folder())
        .argument("import")
        .argument(sample.display().to_string())
        .set("RUNDOO_REGISTRY", system.address(Role::Registry)?)
        .start()?;
    anyhow::ensure!(import.wait().await?.success(), "the sample was not imported:\n{}", import.output());
    // Something to see in the drawing and in the log.
    for query in ["hammer", "2x4", "paint", "hinge"].iter().cycle().take(200) {
        system.get(&format!("/search?q={query}")).await?;
    }
    let folder = binaries::root().join("docs/images");
    for (name, path, look) in PICTURES {
        let browser = Browser::start(look).await?.context("without a browser there are no pictures")?;
        browser.open(&format!("http://{}{path}", system.portal())).await?;
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, browser.client().screenshot().await?)?;
        println!("{}", file.display());
        browser.close().await?;
    }
    Ok(ExitCode::SUCCESS)
}
