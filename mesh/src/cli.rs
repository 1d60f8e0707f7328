//! Client subcommands: they use the mesh without being part of it.

use std::process::ExitCode;

use crate::config::RegistryAddress;
use crate::joined::Mesh;
use crate::logging;

/// Runs `work` as a client of the mesh: nothing is served, registered or shipped.
///
/// An error is printed as a sentence and becomes exit code 1.
#[expect(clippy::print_stderr, reason = "this is how a command line tool says why it failed")]
pub fn client<W>(registry: &RegistryAddress, work: W) -> ExitCode
where
    W: AsyncFnOnce(Mesh) -> anyhow::Result<ExitCode>,
{
    logging::start_quietly();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: could not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let done = runtime.block_on(async { work(Mesh::client_of(registry)?).await });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
