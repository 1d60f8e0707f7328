//! The portal in a real browser, with scripts switched off.

use harness::browser::{Browser, Look};
use harness::eventually;
use harness::system::{Role, System};

use super::add;

/// Starts a browser; a test that gets none ends.
macro_rules! browser {
    ($look:expr) => {
        match Browser::start($look).await? {
            Some(browser) => browser,
            None => return Ok(()),
        }
    };
}

/// The address of a page.
fn at(system: &System, path: &str) -> String {
    format!("http://{}{path}", system.portal())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_added_refused_edited_deleted_and_had_back_by_hand() -> anyhow::Result<()> {
    let browser = browser!(Look::default());
    let system = System::start().await?;
    browser.open("data:text/html,<noscript>off</noscript><script>document.write('on')</script>").await?;
    assert_eq!(browser.text().await?, "off", "scripts are off");

    browser.open(&at(&system, "/")).await?;
    browser.shows("No products yet.").await;
    browser.follow("Add the first product").await?;
    browser.fill("name", "Claw hammer").await?;
    browser.press("Save").await?;
    browser.shows("There is a problem").await;
    browser.shows("SKU must not be empty.").await;
    browser.fill("category", "Tools/Hand").await?;
    browser.fill("sku", "HAM-1").await?;
    browser.press("Save").await?;
    browser.shows("The product was added.").await;

    browser.follow("Edit").await?;
    browser.fill("name", "Framing hammer").await?;
    browser.press("Save").await?;
    browser.shows("The changes were saved.").await;
    browser.follow("History").await?;
    browser.shows("Framing hammer").await;
    browser.follow("Go back").await?;
    browser.press("Go back to this version").await?;
    browser.shows("The product says again what it said then.").await;

    browser.follow("Delete").await?;
    browser.press("Delete product").await?;
    browser.shows("The product was deleted.").await;
    browser.press("Undo").await?;
    browser.shows("The product is back.").await;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_windows_the_second_chooses_field_by_field() -> anyhow::Result<()> {
    let browser = browser!(Look::default());
    let system = System::start().await?;
    let product = add(&system, ["Hammer", "Tools", "HAM-1"]).await?;
    let edit = at(&system, &format!("{product}/edit"));
    let client = browser.client();
    let mine = client.window().await?;
    let theirs = client.new_window(false).await?.handle;
    browser.open(&edit).await?;
    client.switch_to_window(theirs.clone()).await?;
    browser.open(&edit).await?;
    browser.fill("name", "Their hammer").await?;
    browser.fill("category", "Tools/Theirs").await?;
    browser.press("Save").await?;
    browser.shows("The changes were saved.").await;

    client.switch_to_window(mine).await?;
    browser.fill("name", "My hammer").await?;
    browser.press("Save").await?;

    browser.shows("Choose what to save").await;
    let picked = async |field: &str, of: &str| {
        browser
            .find(&format!("[name=\"pick_{field}\"][value=\"{of}\"]"))
            .await?
            .is_selected()
            .await
            .map_err(anyhow::Error::from)
    };
    assert!(picked("name", "mine").await?, "both changed it: mine, until I choose");
    assert!(picked("category", "theirs").await?, "only they changed it");
    browser.press("Save what is chosen").await?;
    let saved = browser.shows("The changes were saved.").await;
    assert!(saved.contains("My hammer") && saved.contains("Tools/Theirs"), "{saved}");
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_it_can_be_done_with_the_keyboard_alone() -> anyhow::Result<()> {
    const TAB: &str = "\u{e004}";
    const ENTER: &str = "\u{e007}";
    const SPACE: &str = "\u{e00d}";
    const END: &str = "\u{e010}";
    let browser = browser!(Look::default());
    let system = System::start().await?;
    add(&system, ["Claw hammer", "Tools", "HAM-1"]).await?;
    let press =
        async |keys: &str| browser.client().active_element().await?.send_keys(keys).await.map_err(anyhow::Error::from);
    let tab_to = async |wanted: &str| {
        for _ in 0..60 {
            let element = browser.client().active_element().await?;
            let (text, label) = (element.text().await?, element.attr("aria-label").await?.unwrap_or_default());
            if text.starts_with(wanted) || label == wanted {
                return Ok(());
            }
            press(TAB).await?;
        }
        anyhow::bail!("no tab leads to {wanted}")
    };

    browser.open(&at(&system, "/")).await?;
    press(&format!("ham-1{ENTER}")).await?;
    browser.shows("is the SKU of this product").await;
    tab_to("Edit").await?;
    press(ENTER).await?;
    browser.shows("Edit product").await;
    press(&format!("{END}s{ENTER}")).await?;
    browser.shows("The changes were saved.").await;
    browser.open(&at(&system, "/?sort=name")).await?;
    tab_to("Tick Claw hammers").await?;
    press(SPACE).await?;
    tab_to("Delete").await?;
    press(ENTER).await?;
    browser.shows("Delete 1 product?").await;
    tab_to("Delete them").await?;
    press(ENTER).await?;
    browser.shows("They are in the trash.").await;
    tab_to("Bring back").await?;
    press(ENTER).await?;
    browser.shows("The product is back.").await;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_page_is_wider_than_a_phone_and_dark_is_dark() -> anyhow::Result<()> {
    let browser = browser!(Look { dark: true, ..Look::PHONE });
    let system = System::start().await?;
    let long = "Unbreakable".repeat(15);
    let product = add(&system, [&long, "Tools/Hand/With/Many/Levels/Of/Depth", &long[..60]]).await?;

    for path in [
        "/",
        "/products/new",
        "/search?q=unbr",
        "/categories",
        "/services",
        "/trash",
        "/times",
        "/nowhere",
        "/imports",
        "/logs",
        "/events",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain(["", "/edit", "/delete", "/history"].map(|page| format!("{product}{page}")))
    {
        browser.open(&at(&system, &path)).await?;
        // What the driver runs is not the page's, and runs although scripts are off.
        let beyond = "return document.documentElement.scrollWidth - document.documentElement.clientWidth";
        assert_eq!(browser.client().execute(beyond, vec![]).await?, serde_json::json!(0), "{path}");
        let background = browser.find("body").await?.css_value("background-color").await?;
        assert_eq!(background, "rgba(16, 21, 28, 1)", "{path}");
    }
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_goes_down_while_a_form_is_filled_in_costs_nothing() -> anyhow::Result<()> {
    let browser = browser!(Look::default());
    let mut system = System::start().await?;
    browser.open(&at(&system, "/products/new")).await?;
    browser.fill("name", "Claw hammer").await?;
    browser.fill("category", "Tools").await?;
    browser.fill("sku", "HAM-1").await?;

    system.kill(Role::Products(0)).await?;
    browser.press("Save").await?;
    browser.shows("The product catalogue is not answering right now").await;
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    browser.press("Save").await?;

    let shown = browser.shows("The product was added.").await;
    assert!(shown.contains("Claw hammer") && shown.contains("HAM-1"), "{shown}");
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_rows_are_looked_at_applied_and_undone() -> anyhow::Result<()> {
    let browser = browser!(Look { waits: false, ..Look::default() });
    let system = System::start().await?;
    let mut rows = "\u{feff}Name;Category;SKU\n;Nails;BAD-1\n".to_owned();
    for n in 1..=10_000 {
        rows.push_str(&format!("Nail {n};Fasteners/Nails;N-{n}\n"));
    }
    // As a spreadsheet saves it.
    let units: Vec<u8> = rows.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let file = system.folder().join("nails.csv");
    std::fs::write(&file, units)?;

    browser.open(&at(&system, "/imports")).await?;
    browser.shows("Import").await;
    let field = eventually("the form is there", async || browser.find("input[type=\"file\"]").await).await;
    field.send_keys(&file.display().to_string()).await?;
    eventually("the file is sent", async || browser.press("Send file").await).await;
    let ready = browser.shows("10,000").await;
    assert!(ready.contains("UTF-16") && ready.contains("semicolon"), "{ready}");
    browser.shows("Name must not be empty.").await;
    eventually("it is applied", async || browser.press("Apply").await).await;
    browser.shows("10,000 changes are in the catalogue.").await;
    eventually("it is taken back", async || browser.press("Take it back").await).await;
    browser.shows("10,000 products are as before the import.").await;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_shows_what_another_process_logs_while_it_is_looked_at() -> anyhow::Result<()> {
    let browser = browser!(Look { waits: false, ..Look::default() });
    let system = System::start().await?;
    browser.open(&at(&system, "/logs/tail")).await?;
    browser.shows("productsvc").await;

    assert_eq!(system.post("/sample", &[]).await?.status, 303);

    browser.shows("285 created").await;
    browser.close().await
}
