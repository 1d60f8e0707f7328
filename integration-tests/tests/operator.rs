//! The operator's hands: the registry's subcommands against a running system.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::system::{Options, Role, System, free_port, loopback};
use harness::{Process, Program, binaries, eventually};
use proto::products::ListProductsRequest;
use proto::registry::RegisterRequest;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// The registry's program as a client of the system.
fn registry(system: &System, arguments: &[&str]) -> Program {
    arguments.iter().fold(system.program(Role::Registry), |program, argument| program.argument(*argument))
}

/// Runs a subcommand to its end: its exit code and what it printed.
async fn ask(system: &System, arguments: &[&str]) -> anyhow::Result<(i32, String)> {
    let (status, output) = registry(system, arguments).start()?.finish().await?;
    Ok((status.code().context("it was killed")?, output))
}

/// The lines of JSON among what was printed; notices stand beside them.
fn objects(output: &str) -> anyhow::Result<Vec<Value>> {
    let lines = output.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

async fn json(system: &System, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let (code, output) = ask(system, &[arguments, &["--json"]].concat()).await?;
    anyhow::ensure!(code == 0, "{code}: {output}");
    objects(&output)
}

async fn product_instance(system: &System) -> anyhow::Result<String> {
    let listed = json(system, &["ls", "productsvc"]).await?;
    Ok(listed.first().context("it is listed")?["instanceId"].as_str().context("an id")?.to_owned())
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
async fn instances_are_listed_for_people_and_for_scripts() -> anyhow::Result<()> {
    let system = System::start().await?;

    let (code, table) = ask(&system, &["ls"]).await?;
    let listed = json(&system, &["ls"]).await?;

    let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        (code, &head[..8]),
        (0, &["SERVICE", "INSTANCE", "STATE", "ADDRESS", "VERSION", "SINCE", "BEAT", "LOAD"][..])
    );
    let services: Vec<&str> = listed.iter().filter_map(|instance| instance["service"].as_str()).collect();
    assert_eq!(services, ["logsvc", "portal", "productsvc", "registry"]);
    for instance in &listed {
        let (service, id) =
            (instance["service"].as_str().unwrap_or("?"), instance["instanceId"].as_str().unwrap_or("?"));
        let row = table.lines().find(|line| line.starts_with(service)).context("it has a row")?;
        assert!(row.contains(id) && row.contains("READY"), "{row}");
        assert_eq!((&instance["state"], &instance["timeToLive"]), (&"INSTANCE_STATE_READY".into(), &"6s".into()));
        assert!(instance["stateTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{instance}");
    }
    assert!(table.contains("4 instances  epoch "), "{table}");

    let count = async |arguments: &[&str]| anyhow::Ok(json(&system, &[&["ls"], arguments].concat()).await?.len());
    assert_eq!(count(&["--state", "READY", "--state", "not-ready"]).await?, 4);
    assert_eq!(count(&["productsvc", "--state", "down"]).await?, 0);
    assert_eq!(count(&["--zone", "nowhere"]).await?, 0);
    assert_eq!(count(&["--version", "0.0.0"]).await?, 0);
    assert_eq!(count(&["--fact", "rack=7"]).await?, 0);
    let (code, unknown) = ask(&system, &["ls", "nobody"]).await?;
    assert!(code == 0 && unknown.contains("the registry has not heard of a service \"nobody\""), "{unknown}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_has_every_page_and_those_that_went_down() -> anyhow::Result<()> {
    let mut system = System::prepare(Options::default())?;
    system.launch(Role::Registry).await?;
    system.ready().await;
    for n in 0..1100_u32 {
        let request = RegisterRequest {
            service: "tests".into(),
            instance_id: format!("i{n:04}"),
            boot_nonce: 1,
            address: format!("127.2.{}.{}:1", n / 250, 1 + n % 250),
            metadata: [("even".to_owned(), (n % 2 == 0).to_string())].into(),
            zone: "attic".into(),
            // Longer than to register all of them takes.
            time_to_live: harness::lease::longest(),
            ..Default::default()
        };
        system.registry().register(request).await?;
    }

    assert_eq!(json_count(&system, &["ls", "tests"]).await?, 1100);
    assert_eq!(json_count(&system, &["ls", "--fact", "even=true", "--zone", "attic"]).await?, 550);
    let (code, said) = ask(&system, &["drain", "tests/i0007", "--down"]).await?;
    assert!(code == 0 && said.contains("tests/i0007 is drained and DOWN"), "{said}");
    assert_eq!(json_count(&system, &["ls", "tests"]).await?, 1099);
    assert_eq!(json_count(&system, &["ls", "tests", "--all"]).await?, 1100);
    let (_, table) = ask(&system, &["ls", "tests", "--state", "down"]).await?;
    assert!(table.contains("ZONE") && table.contains("attic") && table.contains("operator"), "{table}");
    Ok(())
}

/// How many objects a subcommand prints; more than a process's output is kept of.
async fn json_count(system: &System, arguments: &[&str]) -> anyhow::Result<usize> {
    let output = command(system, &[arguments, &["--json"]].concat())?.output().await?;
    Ok(String::from_utf8(output.stdout)?.lines().count())
}

/// A subcommand with pipes of our own.
fn command(system: &System, arguments: &[&str]) -> anyhow::Result<tokio::process::Command> {
    let mut command = tokio::process::Command::new(binaries::folder()?.join("registry"));
    command.args(arguments).env("RUNDOO_REGISTRY", system.address(Role::Registry)?.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_is_drained_by_the_beginning_of_its_id_and_let_back() -> anyhow::Result<()> {
    let system = System::with(Options { products: 2, ..Options::default() }).await?;
    let id = product_instance(&system).await?;
    let name = format!("productsvc/{}", &id[..4]);
    let products = system.products();
    let traffic = Traffic::start(4, Duration::from_millis(2), move || {
        let mut products = products.clone();
        async move {
            products.list_products(ListProductsRequest { page_size: 1, ..Default::default() }).await?;
            Ok(())
        }
    });

    let (code, said) = ask(&system, &["drain", &name]).await?;
    assert!(
        code == 0 && said.contains(&format!("productsvc/{id} is drained")) && said.contains("safe to stop"),
        "{said}"
    );
    let (_, table) = ask(&system, &["ls", "productsvc"]).await?;
    let row = table.lines().find(|line| line.contains(&id)).context("it is listed still")?;
    assert!(row.contains("DRAINING") && row.contains("drained by an operator"), "{table}");
    eventually("it gets no more calls, and the other does", async || {
        let listed = json(&system, &["ls", "productsvc"]).await?;
        let rates = listed.iter().map(|other| (other["instanceId"] == id, other["load"]["requestsPerSecond"].as_f64()));
        let quiet = rates.clone().any(|(drained, rate)| drained && rate == Some(0.0));
        anyhow::ensure!(quiet && rates.clone().any(|(drained, rate)| !drained && rate > Some(0.0)), "{listed:?}");
        Ok(())
    })
    .await;
    let again = json(&system, &["drain", &name]).await?;
    assert_eq!((&again[0]["safeToExit"], &again[0]["instance"]["drained"]), (&true.into(), &true.into()));

    let (code, said) = ask(&system, &["undrain", &name]).await?;
    assert!(code == 0 && said.contains(&format!("productsvc/{id} ")), "{said}");
    eventually("both are ready", async || {
        let listed = json(&system, &["ls", "productsvc", "--state", "ready"]).await?;
        anyhow::ensure!(listed.len() == 2, "{listed:?}");
        Ok(())
    })
    .await;
    let (_, said) = ask(&system, &["undrain", &name]).await?;
    assert!(said.contains("was not drained; it is READY"), "{said}");
    assert_eq!(json(&system, &["undrain", &name]).await?[0]["instance"]["state"], "INSTANCE_STATE_READY");
    let outcome = traffic.end().await;
    assert_eq!(outcome.failed, 0, "{:?}", outcome.failures);

    let (_, events) = ask(&system, &["events", &name]).await?;
    let place = |words: &str| events.lines().position(|line| line.contains(&id) && line.contains(words));
    assert!(place("UP at") < place("an operator drained it"), "{events}");
    assert!(place("an operator drained it") < place("not drained any more"), "{events}");
    let last = json(&system, &["events", &name, "--last", "2"]).await?;
    assert_eq!(last.len(), 2);
    assert_eq!(last[1]["kind"], "EVENT_KIND_STATE_CHANGED", "the latest stands last: {last:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_was_taken_down_comes_back_when_it_is_undrained() -> anyhow::Result<()> {
    let system = System::start().await?;
    let id = product_instance(&system).await?;
    let name = format!("productsvc/{id}");

    let down = json(&system, &["drain", &name, "--down"]).await?;
    assert_eq!(down[0]["instance"]["downReason"], "DOWN_REASON_OPERATOR");
    let (code, again) = ask(&system, &["drain", &name]).await?;
    assert_eq!((code, again), (1, format!("error: {name} is DOWN already (operator): there is nothing to drain")));
    let (code, said) = ask(&system, &["undrain", &name]).await?;

    assert!(code == 0 && said.contains("may come back"), "{said}");
    eventually("it is back", async || {
        anyhow::ensure!(product_instance(&system).await? == id);
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_hangs_is_named_by_drain_and_by_watchers() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let name = format!("productsvc/{}", product_instance(&system).await?);
    let watchers = json(&system, &["watchers", "productsvc"]).await?;
    let portal = watchers.iter().find(|watcher| watcher["caller"].as_str().is_some_and(|c| c.starts_with("portal/")));
    assert_eq!(portal.context("the portal watches")?["acknowledges"], true);
    system.process(Role::Portal)?.freeze().await?;

    let (code, said) = ask(&system, &["drain", &name, "--timeout", "1"]).await?;
    let (_, table) = ask(&system, &["watchers", "productsvc"]).await?;
    let (json_code, answer) = ask(&system, &["drain", &name, "--timeout", "0", "--json"]).await?;

    system.process(Role::Portal)?.signal(rustix::process::Signal::CONT)?;
    assert_eq!((code, json_code), (2, 2), "{said}");
    assert!(said.contains("1 caller may still call it:\n  portal/"), "{said}");
    assert!(objects(&answer)?[0]["laggards"][0]["caller"].as_str().is_some_and(|caller| caller.starts_with("portal/")));
    let portal = table.lines().find(|line| line.starts_with("portal/")).context("it watches still")?;
    assert!(portal.contains(" behind ") && portal.contains("productsvc") && portal.contains("yes"), "{table}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_answered_in_words() -> anyhow::Result<()> {
    let system = System::start().await?;
    let id = product_instance(&system).await?;

    let (code, unknown) = ask(&system, &["drain", "productsvc/zz"]).await?;
    let expected = format!("error: there is no instance \"productsvc/zz\"; there are: productsvc/{id}");
    assert_eq!((code, unknown), (1, expected));
    let (code, nobody) = ask(&system, &["undrain", "nobody/zz"]).await?;
    assert!(code == 1 && nobody.contains("there is no service \"nobody\"; there are: logsvc, portal"), "{nobody}");
    let (code, malformed) = ask(&system, &["drain", "productsvc"]).await?;
    assert_eq!(code, 2, "as every mistake on a command line");
    assert!(malformed.contains("\"productsvc\" is not SERVICE/INSTANCE"), "{malformed}");
    for command in ["ls", "watch", "events", "watchers"] {
        let (code, refused) = ask(&system, &[command, "No Service"]).await?;
        assert!(
            code == 1 && refused.starts_with("error: ") && refused.contains("(INVALID_FIELD)\n  service"),
            "{refused}"
        );
    }
    let (code, refused) = ask(&system, &["move", "0.0.0.0:1"]).await?;
    assert!(code == 1 && refused.contains("(INVALID_FIELD)\n  address must be"), "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_cannot_be_reached_is_named() -> anyhow::Result<()> {
    let mut system = System::prepare(Options::default())?;
    let nowhere = loopback(free_port()?).to_string();
    let commands =
        [&["ls"][..], &["watch"], &["events", "-f"], &["watchers"], &["drain", "a/b"], &["move", "127.0.0.1:1"]];
    let asking = commands.map(|arguments| registry(&system, &[arguments, &["--registry", &nowhere]].concat()).start());
    for asking in asking {
        let (status, away) = asking?.finish().await?;
        let named = away.contains(&format!("error: the registry at {nowhere} cannot be reached"));
        assert!(status.code() == Some(1) && named && away.lines().count() == 1, "{status}: {away}");
    }

    system.launch(Role::Registry).await?;
    system.process(Role::Registry)?.freeze().await?;
    let (code, hung) = ask(&system, &["ls"]).await?;
    assert!(code == 1 && hung.contains("does not answer in time"), "{hung}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_and_the_events_survive_a_restart_without_loss_or_repetition() -> anyhow::Result<()> {
    let mut system = System::with(Options { products: 2, ..Options::default() }).await?;
    let watch = registry(&system, &["watch", "productsvc"]).start()?;
    let scripted = registry(&system, &["watch", "productsvc", "--json"]).start()?;
    let events = registry(&system, &["events", "productsvc", "--follow"]).start()?;
    until(&watch, "2 instances at revision ").await;
    until(&scripted, "2 instances at revision ").await;
    until(&events, "UP at").await;
    let before = json(&system, &["ls", "productsvc"]).await?;

    system.kill(Role::Products(0)).await?;
    until(&watch, "connection lost").await;
    until(&events, "DOWN: connection lost").await;
    until(&scripted, "CONNECTION_LOST").await;
    system.kill(Role::Registry).await?;
    until(&watch, " is away, trying until it is back").await;
    system.launch(Role::Registry).await?;
    system.launch(Role::Products(0)).await?;
    system.ready_with(5).await;
    let known = |instance: &Value| before.iter().any(|other| other["instanceId"] == instance["instanceId"]);
    let after = json(&system, &["ls", "productsvc"]).await?;
    let (new, stayed) = (after.iter().find(|i| !known(i)), after.iter().find(|i| known(i)));
    let new = new.and_then(|instance| instance["instanceId"].as_str()).context("one is new")?;
    let stayed = stayed.and_then(|instance| instance["instanceId"].as_str()).context("one stayed")?;
    let shown = until(&watch, &format!("productsvc/{new}")).await;
    let told = until(&events, &format!("productsvc/{new} UP at")).await;
    let lines = until(&scripted, new).await;

    assert_eq!(shown.lines().filter(|line| line.contains(stayed)).count(), 1, "nothing happened to it: {shown}");
    assert_eq!(shown.lines().filter(|line| line.contains("productsvc/")).count(), 4, "{shown}");
    assert_eq!(shown.matches(" is away, ").count(), 1, "{shown}");
    assert_eq!(told.matches("DOWN: connection lost").count(), 1, "{told}");
    let both_lives = told.lines().filter(|line| line.contains(&format!("productsvc/{stayed} UP at"))).count();
    assert_eq!(both_lives, 2, "each life of the registry has its own history: {told}");
    let lines = objects(&lines)?;
    let kinds: Vec<&str> =
        lines.iter().map(|line| if line["snapshot"].is_object() { "snapshot" } else { "delta" }).collect();
    assert_eq!(kinds, ["snapshot", "snapshot", "delta", "delta"], "{lines:?}");
    assert_eq!(lines[2]["delta"]["changed"][0]["downReason"], "DOWN_REASON_CONNECTION_LOST");
    assert!(lines[2]["revision"].is_string() && lines[2]["epoch"] != lines[3]["epoch"], "{lines:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_has_read_enough_ends_it_silently() -> anyhow::Result<()> {
    let system = System::start().await?;
    for arguments in [&["watch"][..], &["watch", "--json"], &["events", "-f"]] {
        let mut process = command(&system, arguments)?.spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("its output")?).lines();
        assert!(lines.next_line().await?.is_some());
        drop(lines);

        // Nothing happens any more that it could write of.
        let ended = tokio::time::timeout(Duration::from_secs(20), process.wait_with_output()).await??;

        assert!(ended.status.success(), "{arguments:?}: {ended:?}");
        assert!(!String::from_utf8(ended.stderr)?.contains("error"), "{arguments:?}");
    }
    let mut process = command(&system, &["ls"])?.spawn()?;
    drop(process.stdout.take());
    let ended = process.wait_with_output().await?;
    assert!(ended.status.success() && !String::from_utf8_lossy(&ended.stderr).contains("panicked"), "{ended:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_goes_where_an_operator_sends_them() -> anyhow::Result<()> {
    let target = loopback(free_port()?);
    let system = System::start().await?;
    let second = system.program(Role::Registry).set("REGISTRY_LISTEN", target).set("RUNDOO_REGISTRY", target);
    let mut second = second.start()?;
    second.address().await?;

    let (code, said) = ask(&system, &["move", &target.to_string(), "--within", "1"]).await?;

    assert!(code == 0 && said.contains(&format!(" processes to go to {target} within 1 s")), "{said}");
    eventually("they are there", async || {
        let listed = json(&system, &["ls", "--registry", &target.to_string()]).await?;
        let is_there = |service: &str| listed.iter().any(|instance| instance["service"] == service);
        anyhow::ensure!(["productsvc", "logsvc", "portal"].into_iter().all(is_there), "{listed:?}");
        Ok(())
    })
    .await;
    Ok(())
}
