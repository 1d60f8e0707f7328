//! The reader's hands: the log service's subcommands against a running system.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use harness::system::{Options, Role, System, free_port, loopback};
use harness::{Process, Program, binaries, eventually};
use proto::logs::ship_request::Part;
use proto::logs::{Field, Level, LogRecord, RecordBatch, ShipHeader, ShipRequest};
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// A log service and a registry: all that these commands need.
async fn system() -> anyhow::Result<System> {
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Logs).await?;
    system.launch(Role::Registry).await?;
    system.ready().await;
    Ok(system)
}

fn record(level: Level, message: &str) -> LogRecord {
    LogRecord {
        level: level.into(),
        target: "tests::commands".into(),
        message: message.to_owned(),
        ..Default::default()
    }
}

/// Ships records of `tests/p1`, from this sequence number on.
async fn ship(system: &System, first: u64, records: Vec<LogRecord>) -> anyhow::Result<()> {
    let header = ShipHeader {
        producer: "p1".into(),
        incarnation: 1,
        first_sequence: first,
        service: "tests".into(),
        instance_id: "p1".into(),
        ..Default::default()
    };
    let numbered = (first..).zip(records).map(|(sequence, record)| LogRecord { sequence, ..record });
    let batch = RecordBatch { records: numbered.collect() };
    let parts = [Part::Header(header), Part::Batch(batch)].map(|part| ShipRequest { part: Some(part) });
    let shipped = eventually("it is stored", async || {
        Ok(system.logs().ship(tokio_stream::iter(parts.clone())).await?.into_inner())
    });
    shipped.await;
    Ok(())
}

/// The log service's program as a client of the system.
fn logsvc(system: &System, arguments: &[&str]) -> Program {
    arguments.iter().fold(system.program(Role::Logs), |program, argument| program.argument(*argument))
}

/// A subcommand with pipes of our own.
fn command(system: &System, arguments: &[&str]) -> anyhow::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(binaries::folder()?.join("logsvc"));
    command.args(arguments).current_dir(system.folder());
    command.env("RUNDOO_REGISTRY", system.address(Role::Registry)?.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// Runs a subcommand to its end: its exit code, its answer, and what it said beside.
async fn ask(system: &System, arguments: &[&str]) -> anyhow::Result<(i32, String, String)> {
    let output = command(system, arguments)?.output().await?;
    let code = output.status.code().context("it was killed")?;
    Ok((code, String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

async fn json(system: &System, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let (code, answer, said) = ask(system, &[arguments, &["--json"]].concat()).await?;
    anyhow::ensure!(code == 0, "{code}: {said}");
    answer.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// The messages that a search finds, in the order of their offsets.
async fn found(system: &System, arguments: &[&str]) -> anyhow::Result<Vec<String>> {
    let rows = json(system, &[&["query", "tests", "--order", "oldest"], arguments].concat()).await?;
    Ok(rows.iter().filter_map(|row| Some(row["message"].as_str()?.to_owned())).collect())
}

/// What a process that goes on has printed, once `mark` is among it.
async fn until(process: &Process, mark: &str) -> String {
    eventually(mark, async || {
        let output = process.output();
        anyhow::ensure!(output.contains(mark), "{output}");
        Ok(output)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_records_are_shown_to_people_and_to_scripts() -> anyhow::Result<()> {
    let system = system().await?;
    let field = Field { name: "product.id".into(), value: "12".into(), ..Default::default() };
    let hostile = LogRecord { fields: vec![field], ..record(Level::Warn, "red \u{1b}[31m\nforged \u{202e}line") };
    ship(&system, 1, vec![record(Level::Info, "one"), record(Level::Info, "two"), hostile]).await?;

    let (code, answer, _) = ask(&system, &["tail", "tests", "-n", "2", "--no-follow"]).await?;
    let rows = json(&system, &["tail", "tests", "-n", "1", "--no-follow"]).await?;

    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!((code, lines.len()), (0, 2), "{answer}");
    assert!(lines[0].ends_with(" INFO  tests/p1#2 tests::commands: two"), "{answer}");
    let last = " WARN  tests/p1#3 tests::commands: red \\u{1b}[31m\\nforged \\u{202e}line | product.id=12";
    assert!(lines[1].ends_with(last), "{answer}");
    assert!(!answer.contains('\u{1b}'), "no colours in a pipe: {answer:?}");
    let row = rows.first().context("a row")?;
    assert_eq!((&row["service"], &row["instanceId"], &row["sequence"]), (&"tests".into(), &"p1".into(), &3.into()));
    assert_eq!((&row["level"], &row["severity"]), (&"WARN".into(), &13.into()));
    assert_eq!(row["message"], "red \u{1b}[31m\nforged \u{202e}line");
    assert_eq!(row["fields"]["product.id"], "12");
    assert!(row["offset"].is_u64() && row["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{row}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_survives_a_restart_without_loss_or_repetition_and_ends_with_ctrl_c() -> anyhow::Result<()> {
    let mut system = system().await?;
    ship(&system, 1, vec![record(Level::Info, "before-1")]).await?;
    let mut tail = logsvc(&system, &["tail", "tests"]).start()?;
    until(&tail, "before-1").await;

    system.kill(Role::Logs).await?;
    until(&tail, "the log service is away, trying until it is back").await;
    system.launch(Role::Logs).await?;
    ship(&system, 2, vec![record(Level::Info, "after-1"), record(Level::Info, "after-2")]).await?;
    let output = until(&tail, "after-2").await;

    for message in ["before-1", "after-1", "after-2", " is away, ", "the log service is back"] {
        assert_eq!(output.matches(message).count(), 1, "{message}: {output}");
    }
    tail.signal(Signal::INT)?;
    assert_eq!(tail.wait().await?.code(), Some(0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_says_whether_that_was_all_and_how_to_go_on() -> anyhow::Result<()> {
    let system = system().await?;
    let records = (1..=250).map(|n| record(Level::Info, &format!("record {n}"))).collect();
    ship(&system, 1, records).await?;
    let search = ["query", "tests", "--order", "oldest", "--limit", "120"];

    let (code, answer, said) = ask(&system, &[&search[..], &["--since", "1h"]].concat()).await?;
    assert_eq!((code, answer.lines().count()), (0, 120), "{said}");
    assert!(said.starts_with("truncated after 120 rows: that is the limit. "), "{said}");
    let rest = said.split_once("The same with ").context("a hint")?.1;
    let rest: Vec<&str> = rest.trim_end().trim_end_matches(" goes on").split(' ').collect();

    // As a person would: the same command, with what was said after it.
    let again = [&search[..4], &["--since", "1h"], &rest[..], &["--limit", "1000"]].concat();
    let (code, answer, said) = ask(&system, &again).await?;
    assert_eq!((code, answer.lines().count()), (0, 130), "{said}");
    assert!(said.starts_with("complete: 130 rows, "), "{said}");
    let last = answer.lines().last().unwrap_or_default();
    assert!(last.ends_with("tests/p1#250 tests::commands: record 250"), "{last}");

    let newest = json(&system, &["query", "tests", "--limit", "1"]).await?;
    assert_eq!(newest[0]["sequence"], 250, "the newest come first");
    let (code, _, said) = ask(&system, &["query", "--page-token", "nonsense"]).await?;
    assert!(code == 1 && said.contains("page_token"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_is_what_is_found() -> anyhow::Result<()> {
    let system = system().await?;
    let field = Field { name: "product.id".into(), value: "12".into(), ..Default::default() };
    let created = LogRecord { fields: vec![field], ..record(Level::Info, "created product twelve") };
    let refused = record(Level::Warn, "refused product thirteen");
    let debug = record(Level::Debug, "looked for product twelve");
    ship(&system, 1, vec![created, refused, debug]).await?;

    let all = found(&system, &[]).await?;
    let [created, refused, looked] = &all[..] else { anyhow::bail!("{all:?}") };
    let finds = async |arguments: &[&str], expected: &[&String]| {
        let found = found(&system, arguments).await?;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{arguments:?}");
        anyhow::Ok(())
    };
    finds(&["--level", "info"], &[created, refused]).await?;
    finds(&["--level", "ERROR"], &[]).await?;
    finds(&["--word", "twelve", "--word", "product"], &[created, looked]).await?;
    finds(&["--not", "twelve"], &[refused]).await?;
    finds(&["--contains", "d product t"], &[created, refused]).await?;
    finds(&["--field", "product.id=12"], &[created]).await?;
    finds(&["--instance", "p2"], &[]).await?;
    finds(&["--since", "1h"], &[created, refused, looked]).await?;
    finds(&["--since", "2200-01-01"], &[]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_and_who_spoke_is_told_and_every_file_is_whole() -> anyhow::Result<()> {
    let system = system().await?;
    ship(&system, 1, vec![record(Level::Info, "hello")]).await?;

    let (code, table, _) = ask(&system, &["stats"]).await?;
    let objects = json(&system, &["stats"]).await?;
    let row = table.lines().find(|line| line.starts_with("tests ")).context("it has a row")?;
    assert!(code == 0 && row.contains(" p1 ") && !row.contains("never"), "{table}");
    assert!(table.starts_with("log ") && table.contains("SERVICE") && table.contains("SKEW"), "{table}");
    assert!(objects[0]["storage"]["endOffset"].is_u64(), "{objects:?}");
    let spoke = |object: &&Value| object["speaker"]["service"] == "tests";
    let speaker = objects.iter().find(spoke).context("it spoke")?;
    assert!(speaker["speaker"]["lastSpoke"].is_string(), "{speaker}");

    let (code, report, _) = ask(&system, &["verify"]).await?;
    assert!(code == 0 && report.ends_with(": nothing is wrong\n"), "{report}");
    let parts = json(&system, &["verify"]).await?;
    assert_eq!(parts.last().context("it ends")?["done"]["findings"], 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_log_service_is_told_in_one_sentence() -> anyhow::Result<()> {
    let mut system = System::prepare(Options::default())?;
    let nowhere = loopback(free_port()?).to_string();
    let commands = [&["tail"][..], &["query"], &["stats"], &["verify"]];
    let asking = commands.map(|arguments| logsvc(&system, &[arguments, &["--registry", &nowhere]].concat()).start());
    for asking in asking {
        let (status, away) = asking?.finish().await?;
        let sentence = format!("error: the log service cannot be found: the registry at {nowhere} cannot be reached");
        assert!(status.code() == Some(1) && away.starts_with(&sentence), "{status}: {away}");
    }

    system.launch(Role::Registry).await?;
    let (code, answer, away) = ask(&system, &["tail"]).await?;
    assert!(away.starts_with("error: the log service cannot be reached: the registry listed none"), "{away}");
    assert!(code == 1 && answer.is_empty() && away.lines().count() == 1, "{away}");
    let (code, _, said) = ask(&system, &["verify", "--folder", "nowhere"]).await?;
    assert!(code == 1 && said.starts_with("error: could not check nowhere: "), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_read_enough_of_the_log_ends_it_silently() -> anyhow::Result<()> {
    let system = system().await?;
    ship(&system, 1, vec![record(Level::Info, "hello")]).await?;
    for arguments in [&["tail", "tests"][..], &["tail", "tests", "--json"]] {
        let mut process = command(&system, arguments)?.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        assert!(lines.next_line().await?.is_some());
        drop(lines);

        // Nothing happens any more that it could write of.
        let ended = tokio::time::timeout(Duration::from_secs(20), process.wait_with_output()).await??;

        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        assert!(!String::from_utf8(ended.stderr)?.contains("error"), "{arguments:?}");
    }
    for arguments in [&["query"][..], &["stats"], &["verify"]] {
        let mut process = command(&system, arguments)?.spawn()?;
        drop(process.stdout.take());
        let ended = process.wait_with_output().await?;
        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        assert!(!String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{arguments:?}: {ended:?}");
    }
    Ok(())
}
