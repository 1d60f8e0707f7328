//! `just up`: starts, shows, stops in order, and leaves nothing running.

use std::path::Path;
use std::time::Duration;

use harness::system::{free_port, loopback};
use harness::{Process, Program, binaries, eventually, http};
use rustix::process::{Pid, Signal, test_kill_process};
use tempfile::TempDir;

/// A launcher on ports and in a folder of its own.
struct Launcher {
    folder: TempDir,
    process: Process,
    portal: std::net::SocketAddr,
}

impl Launcher {
    fn program(folder: &Path, portal: std::net::SocketAddr) -> anyhow::Result<Program> {
        let mut program = Program::new(&binaries::build()?, "rundoo", folder).argument("up");
        for name in ["REGISTRY_LISTEN", "LOGSVC_LISTEN", "PRODUCTSVC_LISTEN", "PORTAL_LISTEN"] {
            program = program.set(name, loopback(free_port()?));
        }
        let database = folder.join("data/products.db");
        Ok(program.set("PORTAL_HTTP_LISTEN", portal).set("DATABASE_URL", format!("sqlite://{}", database.display())))
    }

    async fn start(arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let portal = loopback(free_port()?);
        let program = Self::program(folder.path(), portal)?;
        let program = arguments.iter().fold(program, |program, argument| program.argument(*argument));
        let program = settings.iter().fold(program, |program, (name, value)| program.set(name, value));
        let launcher = Self { process: program.start()?, folder, portal };
        Ok(launcher)
    }

    /// Waits until it says that everything runs.
    async fn ready(&mut self) {
        eventually("it is up", async || {
            let output = self.process.output();
            anyhow::ensure!(self.process.ended().is_none(), "it ended:\n{output}");
            anyhow::ensure!(output.contains("Ctrl-C stops everything"), "{output}");
            Ok(())
        })
        .await;
    }

    /// The process ids of what it started.
    fn children(&self) -> Vec<i32> {
        let parent = self.process.pid().unwrap_or_default();
        let listed = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        let mut children: Vec<i32> = listed.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
        // Children belong to the thread that started them.
        for task in std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten() {
            let listed = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            children.extend(listed.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        children.sort_unstable();
        children.dedup();
        children
    }
}

fn is_running(pid: i32) -> bool {
    let zombie = std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "));
    !zombie && Pid::from_raw(pid).is_some_and(|pid| test_kill_process(pid).is_ok())
}

async fn all_gone(children: &[i32]) {
    eventually("nothing is left running", async || {
        let left: Vec<&i32> = children.iter().filter(|pid| is_running(**pid)).collect();
        anyhow::ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_everything_with_the_sample_and_ctrl_c_stops_everything_in_order() -> anyhow::Result<()> {
    let mut launcher = Launcher::start(&["3"], &[]).await?;
    launcher.ready().await;
    let children = launcher.children();
    assert_eq!(children.len(), 6, "three product services and the other three");
    let home = http::get(launcher.portal, "/").await?;
    assert!(home.status.is_success() && home.text.contains("/products/285"), "the sample is there: {}", home.text);

    launcher.process.signal(Signal::INT)?;
    let status = launcher.process.wait().await?;

    assert!(status.success());
    all_gone(&children).await;
    let output = launcher.process.output();
    let order: Vec<&str> = output.lines().filter_map(|line| line.strip_suffix(" stopped")).collect();
    assert_eq!(order, ["portal", "productsvc 3", "productsvc 2", "productsvc", "registry", "logsvc"]);
    assert!(launcher.folder.path().join("data/app.log").exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_running_when_the_launcher_is_killed() -> anyhow::Result<()> {
    let mut launcher = Launcher::start(&[], &[("SEED", "none")]).await?;
    launcher.ready().await;
    let children = launcher.children();
    assert_eq!(children.len(), 4);
    let home = http::get(launcher.portal, "/").await?;
    assert!(!home.text.contains("/products/1\""), "SEED=none loads nothing");

    launcher.process.kill().await?;

    all_gone(&children).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_that_dies_is_said_and_the_others_go_on() -> anyhow::Result<()> {
    let mut launcher = Launcher::start(&[], &[]).await?;
    launcher.ready().await;
    let comm = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let victim = launcher.children().into_iter().find(|pid| comm(pid).trim() == "productsvc").expect("there is one");

    rustix::process::kill_process(Pid::from_raw(victim).expect("a pid"), Signal::KILL)?;

    eventually("it is said", async || {
        let output = launcher.process.output();
        anyhow::ensure!(
            output.contains("productsvc ended: killed by signal 9") && output.contains("DOWN: connection lost"),
            "{output}"
        );
        Ok(())
    })
    .await;
    assert_eq!(launcher.children().len(), 3);
    assert_eq!(http::get(launcher.portal, "/healthz").await?.status, 200);
    launcher.process.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_reported_by_name_and_stops_the_rest() -> anyhow::Result<()> {
    let taken = std::net::TcpListener::bind(loopback(0))?;
    let address = taken.local_addr()?.to_string();
    let mut launcher = Launcher::start(&[], &[("PORTAL_LISTEN", &address)]).await?;

    let status = tokio::time::timeout(Duration::from_secs(60), launcher.process.wait()).await??;

    assert!(!status.success());
    let output = launcher.process.output();
    let said = [format!("could not listen on {address}"), "could not start: portal".into(), "logsvc stopped".into()];
    assert!(said.iter().all(|words| output.contains(words.as_str())), "{output}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reset_asks_before_it_empties() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    std::fs::create_dir(&data)?;
    std::fs::write(data.join("products.db"), "precious")?;
    let reset = Program::new(&binaries::build()?, "rundoo", folder.path()).argument("reset");

    let refused = reset.start()?.wait().await?;
    assert!(!refused.success() && data.exists(), "nobody was there to agree");

    let reset = reset.argument("--yes");
    let open = std::fs::File::open(data.join("products.db"))?;
    let in_use = reset.start()?.wait().await?;
    assert!(!in_use.success() && data.join("products.db").exists(), "somebody has it open");
    drop(open);

    std::fs::write(data.join("letter.txt"), "not ours")?;
    let agreed = reset.start()?.wait().await?;
    assert!(agreed.success() && !data.join("products.db").exists());
    assert!(data.join("letter.txt").exists(), "only what is ours is deleted");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tls_it_makes_certificates_and_only_who_has_one_may_call() -> anyhow::Result<()> {
    let mut launcher = Launcher::start(&["--tls"], &[("SEED", "none")]).await?;
    launcher.ready().await;
    let said = launcher.process.output();
    let setting = |name: &str| {
        let (_, rest) = said.split_once(&format!("export {name}="))?;
        Some((name.to_owned(), rest.lines().next()?.to_owned()))
    };
    let settings: Vec<_> =
        ["RUNDOO_TLS_CERT", "RUNDOO_TLS_KEY", "RUNDOO_TLS_CA"].into_iter().filter_map(setting).collect();
    assert_eq!(settings.len(), 3, "{said}");
    assert!(said.contains("grpcurl -cacert $RUNDOO_TLS_CA"), "{said}");
    let docs = http::get(launcher.portal, "/docs/rundoo.products.v1.ProductService").await?;
    assert!(docs.text.contains("grpcurl -cacert") && !docs.text.contains("-plaintext"), "{}", docs.text);
    let products = said.lines().filter(|line| line.ends_with("(gRPC)"));
    let products = products.filter_map(|line| line.trim().strip_prefix("productsvc")).next().unwrap_or_default();
    let products = products.split_whitespace().next().unwrap_or_default().to_owned();

    let call = || {
        let program = Program::new(&binaries::build()?, "rundoo", launcher.folder.path()).argument("call");
        anyhow::Ok(program.argument("Health/Check").argument("--at").argument(&products))
    };
    let mut known = settings.iter().fold(call()?, |program, (name, value)| program.set(name, value)).start()?;
    assert!(known.wait().await?.success(), "{}", known.output());
    let mut unknown = call()?.start()?;
    assert!(!unknown.wait().await?.success(), "{}", unknown.output());

    let status = launcher.process.stop().await?;
    assert!(status.success(), "{}", launcher.process.output());
    Ok(())
}
