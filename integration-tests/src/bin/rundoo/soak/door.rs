//! Bad passwords from everywhere: the worst case, in which every try has a name and an address of its own, so that
//! nothing slows it but the seats for passwords. Others are served meanwhile, and memory stays bounded.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use harness::binaries;
use harness::http::{Page, encode, send};
use harness::system::{Options, Role, System};
use http::Method;
use tokio::time::Instant;

/// What the portal may take more, in MiB.
const MOST_MEMORY: f64 = 100.0;

/// What a visitor waits between two pages, so as to stay below the rate of one client.
const PAUSE: Duration = Duration::from_millis(10);

const PASSWORD: &str = "correct horse battery";

/// How the door is attacked.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Door {
    /// Bad passwords that are tried
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    attempts: u32,
    /// Who tries them at once: more than may wait for theirs to be computed
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    attackers: u32,
}

/// Tries them all, and tells what others noticed.
pub(super) async fn run(door: Door) -> anyhow::Result<ExitCode> {
    let settings = vec![("PORTAL_LOGIN", "always".to_owned()), ("PORTAL_TRUSTED_PROXY", "127.0.0.1".to_owned())];
    let mut system = System::prepare(Options { settings, ..Options::default() })?;
    add_account(&system)?;
    for role in system.roles() {
        system.launch(role).await?;
    }
    system.ready().await;
    let cookie = log_in(&system).await?;
    let alone = visits(&system, &cookie, || false).await?;
    let before = memory(&mut system, "VmRSS:")?;

    let (began, tried, left) = (Instant::now(), AtomicU32::new(0), AtomicU32::new(door.attackers));
    let attacks = (0..door.attackers).map(async |_| {
        let mut statuses = BTreeMap::<u16, u32>::new();
        loop {
            let n = tried.fetch_add(1, Ordering::Relaxed);
            if n >= door.attempts {
                left.fetch_sub(1, Ordering::Relaxed);
                return anyhow::Ok(statuses);
            }
            let address = format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255);
            let page = try_in(&system, &format!("user{n}"), "wrong", &address).await?;
            *statuses.entry(page.status.as_u16()).or_default() += 1;
        }
    });
    let others = visits(&system, &cookie, || left.load(Ordering::Relaxed) > 0);
    let (statuses, others) = futures_util::future::try_join(try_join_all(attacks), others).await?;

    let took = began.elapsed();
    let mut all = BTreeMap::<u16, u32>::new();
    statuses.into_iter().flatten().for_each(|(status, count)| *all.entry(status).or_default() += count);
    let grown = memory(&mut system, "VmHWM:")? - before;
    println!("{} bad passwords in {:.0} s, answered {all:?}", door.attempts, took.as_secs_f64());
    for ((half, most), when) in [(alone, "alone"), (others, "meanwhile")] {
        let [half, most] = [half, most].map(|took| took.as_secs_f64() * 1e3);
        println!("pages of who is logged in: {half:.1} ms at p50, {most:.1} ms at p99 {when}");
    }
    let times = others.1.as_secs_f64() / alone.1.as_secs_f64();
    println!("that is {times:.1} times at p99 (goal: 2)");
    println!("memory: {before:.1} MiB before, at most {grown:.1} MiB more (goal: {MOST_MEMORY:.0})");
    let is_expected = all.keys().all(|status| [401, 429, 503].contains(status));
    Ok(if is_expected && grown <= MOST_MEMORY { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn add_account(system: &System) -> anyhow::Result<()> {
    let mut command = Command::new(binaries::folder()?.join("portal"));
    command.args(["user", "add", "root", "--role", "administrator", "--password-stdin"]);
    let mut child = command.current_dir(system.folder()).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    writeln!(child.stdin.as_mut().context("no standard input")?, "{PASSWORD}")?;
    anyhow::ensure!(child.wait()?.success(), "could not add an account");
    Ok(())
}

async fn log_in(system: &System) -> anyhow::Result<String> {
    let page = try_in(system, "root", PASSWORD, "192.0.2.1").await?;
    let cookie = page.headers.get("set-cookie").context("no cookie")?.to_str()?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

async fn try_in(system: &System, name: &str, password: &str, address: &str) -> anyhow::Result<Page> {
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", address)];
    let form = format!("name={}&password={}", encode(name), encode(password));
    send(system.portal(), Method::POST, "/login", &headers, form).await
}

/// Visits home for a while, 1,000 times at least; answers how long a page took, at p50 and at p99.
async fn visits(system: &System, cookie: &str, goes_on: impl Fn() -> bool) -> anyhow::Result<(Duration, Duration)> {
    let mut took = Vec::new();
    while took.len() < 1_000 || goes_on() {
        let began = Instant::now();
        let page = send(system.portal(), Method::GET, "/", &[("cookie", cookie)], String::new()).await?;
        anyhow::ensure!(page.status == 200, "somebody who is logged in was answered {}", page.status);
        took.push(began.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    took.sort_unstable();
    Ok((took[took.len() / 2], took[took.len() * 99 / 100]))
}

/// What the portal has in memory, in MiB.
fn memory(system: &mut System, line: &str) -> anyhow::Result<f64> {
    let pid = system.process(Role::Portal)?.pid().context("the portal ended")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let found = status.lines().find_map(|text| text.strip_prefix(line)).context("no such line")?;
    Ok(found.trim().trim_end_matches(" kB").trim().parse::<f64>()? / 1024.0)
}
