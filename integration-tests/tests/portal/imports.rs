//! Files go into the catalogue and come out of it by the browser: looked at, applied, undone, and the same again.

use std::fmt::Write as _;

use anyhow::Context as _;
use harness::http::{Page, send as request};
use harness::system::Role;
use harness::{System, catalogue, eventually};
use http::Method;

use super::add;

const BOUNDARY: &str = "----a-boundary";

/// Sends a file with these choices, as a browser does: the choices stand before it.
async fn send(system: &System, choices: &[(&str, &str)], file: &str) -> anyhow::Result<Page> {
    let mut body = String::new();
    for (name, value) in choices {
        write!(body, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")?;
    }
    write!(
        body,
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\n\
         Content-Type: text/csv\r\n\r\n{file}\r\n--{BOUNDARY}--\r\n"
    )?;
    let media_type = format!("multipart/form-data; boundary={BOUNDARY}");
    request(system.portal(), Method::POST, "/imports", &[("content-type", &media_type)], body).await
}

/// Takes the step that a page of an import offers.
async fn step(system: &System, page: &Page, path: &str) -> anyhow::Result<Page> {
    let form = page.text.split("<form action=\"").find(|form| form.starts_with(path));
    let form = form.with_context(|| format!("no form for {path}: {}", page.text))?;
    let form = Page { status: page.status, headers: page.headers.clone(), text: format!("<form action=\"{form}") };
    let request_id = form.input("request_id").unwrap_or_default();
    system.post(path, &[("request_id", &request_id)]).await
}

/// A number of the tally of a page.
fn counted(page: &Page, label: &str) -> String {
    let (_, rest) = page.text.rsplit_once(&format!("<dt>{label}</dt><dd class=\"num\">")).unwrap_or_default();
    rest.split('<').next().unwrap_or_default().to_owned()
}

/// Where the page of an import is, without what was noticed.
fn place(page: &Page) -> String {
    page.location().split('?').next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_looked_at_applied_and_undone() -> anyhow::Result<()> {
    let system = System::start().await?;
    add(&system, ["Claw hammer", "Tools/Hand", "HAM-16"]).await?;
    let mut file = "sku;Name;CATEGORY;price\nham-16;Framing hammer;Tools/Hand;1\n;;;\nX-1;;Tools;2\n".to_owned();
    (0..10_000).for_each(|n| writeln!(file, "N-{n};Nail {n};Fasteners;3").expect("a string takes everything"));

    let sent = send(&system, &[("first", "look")], &file).await?;
    assert_eq!(sent.status, 303, "{}", sent.text);
    let import = place(&sent);
    let ready = system.get(sent.location()).await?;
    assert_eq!(["New", "Changed", "Refused"].map(|label| counted(&ready, label)), ["10,000", "1", "1"]);
    for words in
        ["with a semicolon between columns", "1 column was ignored", "1 empty row was skipped", "without price"]
    {
        assert!(ready.text.contains(words), "{words}: {}", ready.text);
    }
    assert!(ready.text.contains("Claw hammer</del>") && ready.text.contains("Framing hammer</ins>"));
    assert!(ready.text.contains("Name must not be empty."), "a refused row says why");
    assert_eq!(catalogue::read(&system).await?.len(), 1, "nothing is changed yet");

    for _ in 0..2 {
        let committed = step(&system, &ready, &format!("{import}/commit")).await?;
        assert_eq!((committed.status.as_u16(), committed.location()), (303, import.as_str()));
        assert!(committed.headers["set-cookie"].to_str()?.starts_with("seen=unknown"));
    }
    // The page goes on until the import has ended, and ends with what came of it.
    let done = system.get(&import).await?;
    assert!(done.text.contains("10,001 changes are in the catalogue."), "{}", done.text);
    let all = catalogue::read(&system).await?;
    assert_eq!((all.len(), all["ham-16"].name.as_str()), (10_001, "Framing hammer"), "and the SKU as the file has it");

    let undone = step(&system, &system.get(&import).await?, &format!("{import}/undo")).await?;
    assert_eq!(undone.status, 303);
    let undone = system.get(&import).await?;
    assert!(undone.text.contains("10,001 products are as before the import."), "{}", undone.text);
    let all = catalogue::read(&system).await?;
    assert_eq!((all.len(), all["HAM-16"].name.as_str()), (1, "Claw hammer"));
    let list = system.get("/imports").await?;
    assert!(list.text.contains("list.csv, without price") && list.text.contains("Undone"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_rows_are_corrected_and_sent_again() -> anyhow::Result<()> {
    let system = System::start().await?;
    let file = "name,category,sku\n,Tools,A-1\n'=Saw,Tools,A-2\nNail,Tools,2-Jan\n";

    let sent = send(&system, &[("first", "import")], file).await?;
    assert_eq!(sent.status, 303, "{}", sent.text);
    assert!(sent.headers["set-cookie"].to_str()?.starts_with("seen=unknown"));
    let refused = system.get(&format!("{}/refused.csv", place(&sent))).await?;
    let disposition = refused.headers["content-disposition"].to_str()?;
    assert!(disposition.starts_with("attachment; filename=\"import-1-refused.csv\""), "{disposition}");
    let expected = "\u{feff}name,category,sku,line,field,reason,message\n,Tools,A-1,2,name,INVALID_FIELD,";
    assert!(refused.text.starts_with(expected) && refused.text.contains("SPREADSHEET_DAMAGE"), "{}", refused.text);

    let corrected = refused.text.replace(",Tools,A-1", "Saw,Tools,A-1");
    let sent = send(&system, &[("first", "import"), ("damaged", "allow")], &corrected).await?;
    let done = system.get(sent.location()).await?;
    assert_eq!(["New", "Refused"].map(|label| counted(&done, label)), ["2", "0"]);
    let all = catalogue::read(&system).await?;
    assert!(all.len() == 3 && all["A-2"].name == "=Saw" && all.contains_key("2-Jan"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_no_table_is_refused_with_the_form() -> anyhow::Result<()> {
    let system = System::start().await?;
    let late = format!("name,category,sku\n{}a,b,c,d\n", "Nail,Tools,A-1\n".repeat(20_000));
    for (file, words) in [
        ("", "The file is empty."),
        ("name,sku\na,b\n", "The first line has no column category."),
        ("%PDF-1.7", "This is a PDF document"),
        (&late, "Line 20002 has 4 columns, the first line has 3."),
    ] {
        let refused = send(&system, &[("first", "look"), ("mode", "create")], file).await?;
        assert_eq!(refused.status, 422, "{words}: {}", refused.text);
        assert!(refused.text.contains(words) && refused.text.contains("Nothing was changed."), "{}", refused.text);
        assert!(refused.text.contains("value=\"create\" checked") && refused.title().starts_with("Error: "));
    }
    let list = system.get("/imports").await?;
    assert!(list.text.contains("Stopped") && !list.text.contains("Running"), "what had begun was stopped");
    assert!(catalogue::read(&system).await?.is_empty());
    for (path, status) in [("/imports/99", 404), ("/imports/x", 404), ("/imports/99/refused.csv", 404)] {
        assert_eq!(system.get(path).await?.status.as_u16(), status, "{path}");
    }
    assert_eq!(system.post("/imports", &[("first", "look")]).await?.status, 415);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_found_no_catalogue_is_sent_again_and_applied_once() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let form = system.get("/imports").await?;
    let request_id = form.input("request_id").context("no form")?;
    let choices = [("request_id", request_id.as_str()), ("first", "import")];
    let file = "name,category,sku\nSaw,Tools,A-1\nNail,Tools,A-2\n";
    system.kill(Role::Products(0)).await?;

    let away = send(&system, &choices, file).await?;
    assert_eq!((away.status.as_u16(), away.input("request_id").as_deref()), (503, Some(request_id.as_str())));
    assert!(away.text.contains("choose the same file again") && away.text.contains("value=\"import\" checked"));

    system.launch(Role::Products(0)).await?;
    system.ready().await;
    let places = eventually("the import is in", async || {
        let again = send(&system, &choices, file).await?;
        anyhow::ensure!(again.status == 303, "{}", again.status);
        Ok([place(&again), place(&send(&system, &choices, file).await?)])
    })
    .await;
    assert_eq!(places[0], places[1]);
    assert_eq!(catalogue::read(&system).await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_exported_is_imported_as_it_was() -> anyhow::Result<()> {
    let system = System::start().await?;
    add(&system, ["=1+1 \"saw\", small", "Tools/Hand", "A-1"]).await?;
    add(&system, ["'twas a nail", "Fasteners", "-A-2"]).await?;

    let csv = system.get("/export.csv").await?;
    let disposition = csv.headers["content-disposition"].to_str()?;
    assert!(disposition.starts_with("attachment; filename=\"products-20") && disposition.ends_with(".csv\""));
    assert!(csv.text.contains("\n\"'=1+1 \"\"saw\"\", small\",Tools/Hand,A-1,1,1,"), "{}", csv.text);
    let sent = send(&system, &[("first", "import")], &csv.text).await?;
    let done = system.get(sent.location()).await?;
    assert_eq!(["New", "Changed", "Unchanged"].map(|label| counted(&done, label)), ["0", "0", "2"]);

    let json = system.get("/export.json?category=Tools&sort=name").await?;
    let products: serde_json::Value = serde_json::from_str(&json.text)?;
    assert_eq!((products.as_array().map(Vec::len), &products[0]["id"]), (Some(1), &"1".into()));
    let found = system.get("/export.csv?q=nail&field=name").await?;
    assert!(found.text.lines().count() == 2 && found.text.contains("'twas a nail,Fasteners,'-A-2"), "{}", found.text);
    assert_eq!(system.get("/export.csv?sort=colour").await?.status, 400);
    Ok(())
}
