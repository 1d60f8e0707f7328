//! A real browser, driven from outside: Chromium without a window.
//!
//! Scripts are off unless a test asks for them: pages have none, and must not need any.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::eventually;
use crate::skip::skip;
use crate::system::free_port;

/// How to get one on Debian.
const ENABLE: &str = "apt-get install chromium chromium-driver";

/// What the browser is to be like.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Width and height of its window, in CSS pixels.
    pub size: (u32, u32),
    /// Whether pages are asked to be dark.
    pub dark: bool,
    /// Whether scripts run.
    pub scripts: bool,
    /// Whether opening a page waits for its end; one that goes on has none.
    pub waits: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self { size: (1280, 900), dark: false, scripts: false, waits: true }
    }
}

impl Look {
    /// As small as a phone.
    pub const PHONE: Self = Self { size: (390, 844), dark: false, scripts: false, waits: true };
}

/// A running browser with one window. It ends when this is dropped.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Driver,
}

/// The program that drives it, and the browser's own folder.
#[derive(Debug)]
struct Driver {
    child: Child,
    profile: TempDir,
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser is a child of the driver, in its group.
        if let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            let _gone = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Browser {
    /// Starts one; none when the machine has none, which is said.
    pub async fn start(look: Look) -> anyhow::Result<Option<Self>> {
        let Some(program) = find("chromedriver").filter(|_| find("chromium").is_some()) else {
            skip("a test in a real browser", ENABLE);
            return Ok(None);
        };
        let profile = tempfile::Builder::new().prefix("rundoo-browser-").tempdir()?;
        let port = free_port()?;
        let child = Command::new(program)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start chromedriver")?;
        let driver = Driver { child, profile };
        let capabilities = capabilities(look, driver.profile.path());
        let client = eventually("the browser starts", async || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.clone());
            Ok(builder.connect(&format!("http://127.0.0.1:{port}")).await?)
        })
        .await;
        Ok(Some(Self { client, driver }))
    }

    /// The client itself, for what has no shorter way here.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Goes to an address.
    pub async fn open(&self, address: &str) -> anyhow::Result<()> {
        self.client.goto(address).await.with_context(|| format!("could not open {address}"))
    }

    /// The first element that a CSS selector finds.
    pub async fn find(&self, selector: &str) -> anyhow::Result<Element> {
        self.client.find(Locator::Css(selector)).await.with_context(|| format!("{selector} is not on the page"))
    }

    /// All that a CSS selector finds.
    pub async fn all(&self, selector: &str) -> anyhow::Result<Vec<Element>> {
        Ok(self.client.find_all(Locator::Css(selector)).await?)
    }

    /// What can be read on the page.
    pub async fn text(&self) -> anyhow::Result<String> {
        Ok(self.find("body").await?.text().await?)
    }

    /// Follows the link with this text, or a part of it.
    pub async fn follow(&self, text: &str) -> anyhow::Result<()> {
        let link = self.client.find(Locator::XPath(&format!("//a[contains(normalize-space(.), \"{text}\")]"))).await;
        link.with_context(|| format!("there is no link {text:?}"))?.click().await?;
        Ok(())
    }

    /// Presses the button with this text, or a part of it.
    pub async fn press(&self, text: &str) -> anyhow::Result<()> {
        let path = format!("//main//button[contains(normalize-space(.), \"{text}\")]");
        let button = self.client.find(Locator::XPath(&path)).await;
        button.with_context(|| format!("there is no button {text:?}"))?.click().await?;
        Ok(())
    }

    /// Types into the field with this name, in place of what is there.
    pub async fn fill(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let field = self.find(&format!("main [name=\"{name}\"]")).await?;
        field.clear().await?;
        field.send_keys(text).await?;
        Ok(())
    }

    /// Waits until the page shows this text.
    pub async fn shows(&self, text: &str) -> String {
        eventually(&format!("the page shows {text:?}"), async || {
            let shown = self.text().await?;
            anyhow::ensure!(shown.contains(text), "{shown}");
            Ok(shown)
        })
        .await
    }

    /// Ends it in order.
    pub async fn close(self) -> anyhow::Result<()> {
        self.client.close().await?;
        drop(self.driver);
        Ok(())
    }
}

fn capabilities(look: Look, profile: &Path) -> serde_json::Map<String, serde_json::Value> {
    let (width, height) = look.size;
    let mut arguments = vec![
        "--headless=new".to_owned(),
        // As root there is no sandbox to be had.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--force-device-scale-factor=1".to_owned(),
        format!("--window-size={width},{height}"),
        format!("--user-data-dir={}", profile.display()),
    ];
    if look.dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let mut options = json!({ "args": arguments });
    if !look.scripts {
        options["prefs"] = json!({ "profile.managed_default_content_settings.javascript": 2 });
    }
    // Windows are never narrower than 500 pixels, but a phone is.
    if width < 500 {
        options["mobileEmulation"] =
            json!({ "deviceMetrics": { "width": width, "height": height, "pixelRatio": 1.0 } });
    }
    let strategy = if look.waits { "normal" } else { "none" };
    let capabilities = json!({ "browserName": "chrome", "pageLoadStrategy": strategy, "goog:chromeOptions": options });
    capabilities.as_object().cloned().unwrap_or_default()
}

/// Where a program of the machine is.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}
