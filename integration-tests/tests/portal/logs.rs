//! The log in a browser: found, counted, walked through, and followed while other processes log.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use harness::eventually;
use harness::http::{Page, encode, send};
use harness::logs::shipment;
use harness::system::{Role, System};
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use proto::logs::{Field, Level, LevelCount, LogRecord, ShipHeader};
use tokio::net::TcpStream;

use super::shows;

const HOSTILE: &str = "<script>alert(1)</script>\"onfocus='x'/../?#%2F";

/// Longer than a log service takes to come back, and a portal to find it.
const PATIENCE: Duration = Duration::from_secs(30);

fn record(sequence: u64, level: Level, message: &str) -> LogRecord {
    LogRecord {
        sequence,
        time: Some(mesh::timestamp(jiff::Timestamp::now())),
        level: level.into(),
        target: "tests::part".into(),
        message: message.into(),
        fields: vec![Field { name: "lumber.id".into(), value: sequence.to_string(), ..Field::default() }],
        ..LogRecord::default()
    }
}

/// Ships records of one instance of a service; their sequence begins where the first says.
async fn ship(system: &System, service: &str, records: &[LogRecord]) -> anyhow::Result<()> {
    let name = format!("{service}-1");
    let header = ShipHeader {
        producer: name.clone(),
        incarnation: 1,
        first_sequence: records.first().context("nothing to ship")?.sequence,
        service: service.into(),
        instance_id: name,
        ..ShipHeader::default()
    };
    system.logs().ship(shipment(header, records)).await?;
    Ok(())
}

fn rows(page: &Page) -> usize {
    page.text.matches("<li class=\"record ").count()
}

/// A page that grows while it is read.
struct Growing {
    body: Incoming,
    text: String,
}

impl Growing {
    async fn open(system: &System, path: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(system.portal()).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        mesh::spawn("growing page", connection);
        let request = Request::get(path)
            .header(header::HOST, system.portal().to_string())
            .header(header::ACCEPT_ENCODING, "gzip")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        anyhow::ensure!(response.status() == 200, "{path}: {}", response.status());
        anyhow::ensure!(response.headers().get(header::CONTENT_ENCODING).is_none(), "it waits in a compressor");
        Ok(Self { body: response.into_body(), text: String::new() })
    }

    /// Reads until the page holds these words.
    async fn until(&mut self, words: &str) -> anyhow::Result<()> {
        while !self.text.contains(words) {
            let more = tokio::time::timeout(PATIENCE, self.more()).await;
            let more = more.with_context(|| format!("{words} never came: {}", self.text))??;
            anyhow::ensure!(more, "it ended without {words}: {}", self.text);
        }
        Ok(())
    }

    /// Reads to its end.
    async fn end(&mut self) -> anyhow::Result<()> {
        while tokio::time::timeout(PATIENCE, self.more()).await.context("it does not end")?? {}
        Ok(())
    }

    async fn more(&mut self) -> anyhow::Result<bool> {
        let Some(frame) = self.body.frame().await else { return Ok(false) };
        if let Ok(data) = frame?.into_data() {
            self.text.push_str(&String::from_utf8_lossy(&data));
        }
        Ok(true)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_found_by_words_level_service_and_time() -> anyhow::Result<()> {
    let system = System::start().await?;
    let mut records: Vec<LogRecord> = (1..=250).map(|n| record(n, Level::Info, &format!("planed board {n}"))).collect();
    records.push(record(251, Level::Error, "the saw is blunt"));
    ship(&system, "sawmill", &records).await?;
    ship(&system, "paintshop", &[record(1, Level::Warn, "the saw is green")]).await?;

    let first = shows(&system, "/logs?service=sawmill", &["the saw is blunt", "1 error"]).await;
    let second = system.get(&first.link("next").context("there is more")?).await?;
    let third = system.get(&second.link("next").context("there is still more")?).await?;
    let saws = system.get("/logs?q=saw&since=15m").await?;
    let error = system.get("/logs?q=saw&level=error").await?;
    let other = system.get("/logs?q=saw+-blunt").await?;
    let field = system.get("/logs?q=lumber.id%3D7").await?;
    let exact = system.get("/logs?q=%22planed+board+25%22&service=sawmill&order=oldest").await?;
    let none = system.get("/logs?q=saw&until=2001-01-01T00:00").await?;

    assert_eq!([rows(&first), rows(&second), rows(&third)], [100, 100, 51]);
    assert_eq!((third.link("next"), second.title()), (None, "Logs, continued"));
    assert_eq!([rows(&saws), rows(&error), rows(&other), rows(&field)], [2, 1, 1, 1]);
    assert_eq!(rows(&exact), 2, "25 and 250: {}", exact.text);
    assert!(exact.text.find("planed board 25<") < exact.text.find("planed board 250<"), "oldest first");
    assert!(none.text.contains("Nothing was logged that matches.") && rows(&none) == 0, "{}", none.text);
    let bar = first.text.split("<a href=\"/logs?service=sawmill&#38;since=between").nth(1).context("no bars")?;
    let bar = bar.split('"').next().unwrap_or_default().replace("&#38;", "&");
    let narrowed = system.get(&format!("/logs?service=sawmill&since=between{bar}")).await?;
    assert!(rows(&narrowed) > 0, "{}", narrowed.text);
    assert!(first.text.contains("rundoo.logs.v1.LogService/Query"), "{}", first.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_logged_is_text_and_what_cannot_be_looked_for_is_said() -> anyhow::Result<()> {
    let system = System::start().await?;
    let mut evil = record(1, Level::Warn, HOSTILE);
    evil.fields = vec![Field { name: HOSTILE.into(), value: HOSTILE.into(), ..Field::default() }];
    (evil.target, evil.request_id) = (HOSTILE.into(), HOSTILE.into());
    let lost = vec![LevelCount { level: Level::Info.into(), count: 3 }];
    let gap = LogRecord { sequence: 2, lost, ..record(2, Level::Info, "") };
    ship(&system, "sawmill", &[evil, gap]).await?;

    let list = shows(&system, "/logs?service=sawmill", &["3 log records were lost here", "record gap"]).await;
    let walk = system.get(&format!("/logs/requests/{}", encode(HOSTILE))).await?;
    let wrong = system.get(&format!("/logs?q={}", encode("-\"a b\" <b>"))).await?;

    for page in [&list, &walk, &wrong] {
        assert!(!page.text.contains("<script") && !page.text.contains("\"onfocus") && !page.text.contains("<b>"));
    }
    assert!(walk.text.contains("&#60;script&#62;alert(1)") && rows(&walk) == 1, "{}", walk.text);
    assert!(wrong.status == 422 && wrong.text.contains("Only single words can be left out"), "{}", wrong.text);
    assert_eq!(wrong.input("q").as_deref(), Some("-\"a b\" <b>"));
    let stale = system.get("/logs?page=tampered").await?;
    assert!(stale.status == 400 && stale.text.contains("is not valid any more"), "{}", stale.text);
    let twice = system.get("/logs?q=a&q=b").await?;
    assert_eq!(twice.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_page_leads_to_the_walk_of_its_request_through_all_services() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.kill(Role::Products(0)).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    let headers = [("x-request-id", "walk-1"), ("traceparent", parent.as_str())];
    let failed = eventually("Home fails", async || {
        let page = send(system.portal(), Method::GET, "/", &headers, String::new()).await?;
        anyhow::ensure!(page.status == 503, "{}", page.status);
        Ok(page)
    })
    .await;
    assert!(failed.text.contains("href=\"/logs/requests/walk-1\""), "{}", failed.text);

    let own = shows(&system, "/logs/requests/walk-1", &["GET / answered 503", ">portal</a>"]).await;
    let of_trace = format!("href=\"/logs/traces/{trace}\"");
    assert!(own.text.contains(&of_trace) && own.title() == "Request walk-1", "{}", own.text);
    let during = |sequence, message| LogRecord {
        request_id: "walk-1".into(),
        trace_id: trace.into(),
        ..record(sequence, Level::Info, message)
    };
    ship(&system, "sawmill", &[during(1, "sawed during it")]).await?;
    for path in ["/logs/requests/walk-1", &format!("/logs/traces/{trace}")] {
        let walk = shows(&system, path, &["sawed during it", "answered 503", "<figure class=\"lanes\""]).await;
        assert!(walk.text.find("answered 503") < walk.text.find("sawed during it"), "in the order of time");
        assert!(walk.text.contains("of 2 services"), "{}", walk.text);
    }
    let unknown = system.get("/logs/requests/nobody").await?;
    assert!(unknown.status == 200 && unknown.text.contains("takes up to a second to arrive"), "{}", unknown.text);
    assert!(unknown.text.contains("RequestLevels"), "{}", unknown.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_view_loses_nothing_while_the_log_service_is_killed() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    ship(&system, "sawmill", &[record(1, Level::Info, "before it began.")]).await?;
    let mut live = Growing::open(&system, "/logs/tail?service=sawmill").await?;
    live.until("before it began.").await?;

    ship(&system, "sawmill", &[record(2, Level::Info, "while it runs.")]).await?;
    ship(&system, "paintshop", &[record(1, Level::Info, "of somebody else.")]).await?;
    live.until("while it runs.").await?;
    system.kill(Role::Logs).await?;
    live.until("The log service broke off.").await?;
    system.launch(Role::Logs).await?;
    eventually("the log service takes records again", async || {
        ship(&system, "sawmill", &[record(3, Level::Warn, "after it came back.")]).await
    })
    .await;
    live.until("after it came back.").await?;

    for words in ["before it began.", "while it runs.", "after it came back."] {
        assert_eq!(live.text.matches(words).count(), 1, "{words}: {}", live.text);
    }
    assert!(!live.text.contains("of somebody else.") && live.text.contains("is back"), "{}", live.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_view_ends_with_the_portal_and_goes_on_from_its_link() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    ship(&system, "sawmill", &[record(1, Level::Info, "the first.")]).await?;
    let mut live = Growing::open(&system, "/logs/tail?service=sawmill").await?;
    live.until("the first.").await?;

    system.stop(Role::Portal).await?;
    live.end().await?;
    ship(&system, "sawmill", &[record(2, Level::Info, "the second.")]).await?;
    system.launch(Role::Portal).await?;

    assert!(
        live.text.contains("The portal is stopping.") && live.text.trim_end().ends_with("</html>"),
        "{}",
        live.text
    );
    let (_, onward) = live.text.split_once("rel=\"next\" href=\"").context("no way on")?;
    let onward = onward.split('"').next().unwrap_or_default().replace("&#38;", "&");
    let opened = eventually("the portal finds the log service", async || Growing::open(&system, &onward).await);
    let mut onward = opened.await;
    onward.until("the second.").await?;
    assert!(!onward.text.contains("the first."), "{}", onward.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_service_every_page_of_it_says_so() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    system.kill(Role::Logs).await?;

    for path in ["/logs", "/logs/tail", "/logs/requests/a", "/logs/traces/b"] {
        let page = shows(&system, path, &["<h1>The log service is not answering right now</h1>"]).await;
        assert_eq!((page.status.as_u16(), &page.headers["refresh"]), (503, &http::HeaderValue::from_static("5")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_could_not_be_shown_leads_to_the_record_that_says_so() -> anyhow::Result<()> {
    let system = System::start().await?;

    for path in ["/products/999", "/?page=garbage", "/nowhere"] {
        let refused = system.get(path).await?;
        let own = format!("/logs/requests/{}", refused.headers["x-request-id"].to_str()?);
        assert!(refused.text.contains(&format!("href=\"{own}\"")), "{}", refused.text);

        let said = format!("GET {} answered {}", path.split('?').next().unwrap_or_default(), refused.status.as_u16());
        shows(&system, &own, &[&said]).await;
    }
    Ok(())
}
