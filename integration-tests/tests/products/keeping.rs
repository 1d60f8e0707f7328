//! The commands that keep a database, and a look at it beside the services.

use harness::postgres;
use harness::system::{Role, System};

/// Runs a command of the product service to its end: its exit code, and what it printed.
pub(crate) async fn keep(system: &System, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let program =
        arguments.iter().fold(system.program(Role::Products(0)), |program, argument| program.argument(*argument));
    let (status, output) = program.start()?.finish().await?;
    Ok((status.code(), output))
}

/// What a statement answers on PostgreSQL.
pub(crate) fn ask(url: &str, sql: &str) -> anyhow::Result<String> {
    let output = postgres::client(url)?.args(["--command", sql]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
