//! Django's admin on the same table, asked in turn with Home.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use harness::load::Traffic;
use harness::system::{System, free_port};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report, ms};
use crate::bench::portal::home::{AT_ONCE, home};
use crate::bench::portal::visitors::Visitors;

/// How long its tables may take to be made, and its first page.
const PATIENCE: Duration = Duration::from_secs(60);

/// The admin, served by as many workers as there are cores.
struct Admin {
    _server: Child,
    visitors: Visitors,
    cookie: String,
}

pub(super) async fn measure(system: &System, report: &mut Report, url: &str, each: Duration) -> anyhow::Result<()> {
    let admin = Admin::start(system, url).await?;
    let visitors = Visitors::of(system.portal());
    home(&visitors).await?;
    let visit = move || {
        let visitors = visitors.clone();
        async move { home(&visitors).await }
    };
    let mut rates = [0.0, 0.0];
    // In turn, so that whatever else goes on meets both.
    for _ in 0..2 {
        let traffic = Traffic::start(AT_ONCE, Duration::ZERO, visit.clone());
        tokio::time::sleep(each / 2).await;
        let ours = traffic.end().await;
        anyhow::ensure!(ours.failed == 0, "{:?}", ours.failures);
        rates[0] += ours.rate() / 2.0;
        let (visitors, cookie) = (admin.visitors.clone(), admin.cookie.clone());
        let traffic = Traffic::start(AT_ONCE, Duration::ZERO, move || {
            let (visitors, cookie) = (visitors.clone(), cookie.clone());
            async move { list(&visitors, &cookie).await }
        });
        tokio::time::sleep(each / 2).await;
        let theirs = traffic.end().await;
        anyhow::ensure!(theirs.failed == 0, "{:?}", theirs.failures);
        rates[1] += theirs.rate() / 2.0;
        report.add("django_list_p50", ms(theirs.quantile(0.5)), "ms", Goal::Stated);
    }
    report.add("home_on_postgres_rate", rates[0], "requests/s", Goal::Stated);
    report.add("django_list_rate", rates[1], "requests/s", Goal::Stated);
    report.add("home_to_django", rates[0] / rates[1], "times", Goal::AtLeast(1.0));
    Ok(())
}

/// Gets the admin's list of products.
async fn list(visitors: &Visitors, cookie: &str) -> anyhow::Result<()> {
    let list = visitors.get("/admin/shop/product/", &[("cookie", cookie)]).await?;
    anyhow::ensure!(list.status.is_success(), "it answers {}", list.status);
    anyhow::ensure!(list.body.len() > 2000, "a page of {} bytes", list.body.len());
    Ok(())
}

impl Admin {
    /// Installs it below the target folder when it is not there, and starts it.
    async fn start(system: &System, url: &str) -> anyhow::Result<Self> {
        let tools = harness::binaries::root().join("target/bench/django");
        let python = tools.join("bin/python");
        if !python.is_file() {
            run(Command::new("python3").arg("-m").arg("venv").arg(&tools)).await?;
            run(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "django",
                "gunicorn",
                "psycopg[binary]",
            ]))
            .await?;
        }
        let source = harness::binaries::root().join("integration-tests/src/bin/rundoo/bench/portal/django");
        let set = |command: &mut Command| {
            command.current_dir(&source).env("DATABASE_URL", url).env("DJANGO_SETTINGS_MODULE", "site_settings");
        };
        let mut prepare = Command::new(&python);
        set(prepare.arg("prepare.py"));
        let session = run(&mut prepare).await?;
        let address = harness::system::loopback(free_port()?);
        let mut serve = Command::new(&python);
        serve.args(["-m", "gunicorn", "--workers", "2", "--bind", &address.to_string(), "wsgi:application"]);
        set(&mut serve);
        let server = serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn();
        let (visitors, cookie) = (Visitors::of(address), format!("sessionid={}", session.trim()));
        let admin = Self { _server: server.context("could not start gunicorn")?, visitors, cookie };
        let end = Instant::now() + PATIENCE;
        while let Err(error) = list(&admin.visitors, &admin.cookie).await {
            anyhow::ensure!(Instant::now() < end, "{error:#}; the system's folder is {}", system.folder().display());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(admin)
    }
}

/// Runs a program to its end; answers what it printed.
async fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.stdin(Stdio::null()).output().await.context("could not start python")?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}
