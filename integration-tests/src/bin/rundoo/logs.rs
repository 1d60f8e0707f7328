//! Shows the log as it grows, from the log service.

use std::process::ExitCode;

use anyhow::Context as _;
use mesh::Mesh;
use owo_colors::AnsiColors;
use proto::logs::log_service_client::LogServiceClient;
use proto::logs::{Level, TailRecord, TailRequest};

use crate::say;

/// What `logs` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only these services
    services: Vec<String>,

    /// At least this level
    #[arg(long, default_value = "info", value_parser = ["trace", "debug", "info", "warn", "error"])]
    level: String,

    /// Begin with so many of the last records
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i32).range(0..=4096))]
    last: i32,

    /// End after these instead of following
    #[arg(long)]
    no_follow: bool,

    /// Where the registry is
    #[arg(long, env = "RUNDOO_REGISTRY", default_value = "127.0.0.1:5051", value_name = "HOST:PORT")]
    registry: String,
}

/// Prints until the log service ends the stream.
pub(crate) async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mesh = Mesh::client(std::slice::from_ref(&arguments.registry));
    let mut client = LogServiceClient::new(mesh.channel("logsvc", proto::logs::DESCRIPTORS));
    let min_level = Level::from_str_name(&format!("LEVEL_{}", arguments.level.to_uppercase())).unwrap_or_default();
    let request = TailRequest {
        last: arguments.last,
        min_level: min_level.into(),
        services: arguments.services,
        no_follow: arguments.no_follow,
    };
    let answer = client.tail(request).await.map_err(|status| anyhow::anyhow!("{}", status.message()));
    let mut stream = answer.context("the log service does not answer; is the system up?")?.into_inner();
    while let Some(message) = stream.message().await? {
        let skipped = (message.skipped > 0).then(|| {
            format!("… {} records were missed here: this reader was too slow; they are in the file", message.skipped)
        });
        let lines = skipped.into_iter().chain(message.records.iter().filter_map(line));
        // A reader such as `head` that has seen enough ends it.
        if lines.map(|line| say::out(&line)).any(|printed| printed.is_err()) {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(stored: &TailRecord) -> Option<String> {
    let record = stored.record.as_ref()?;
    let time = record.time.as_ref().and_then(mesh::from_timestamp).map(|time| format!("{time:.3}")).unwrap_or_default();
    let level = record.level().as_str_name().trim_start_matches("LEVEL_");
    let colour = match record.level() {
        Level::Error => AnsiColors::Red,
        Level::Warn => AnsiColors::Yellow,
        _ => AnsiColors::Default,
    };
    let fields: Vec<String> =
        record.fields.iter().map(|field| format!(" {}={}", field.name, harmless(&field.value))).collect();
    let level = say::coloured(&format!("{level:<5}"), colour);
    let text = format!("{time} {level} {}{}", harmless(&record.message), fields.concat());
    Some(say::prefixed(&format!("{}/{}", stored.service, stored.instance_id), &text))
}

/// What others logged must not play with this terminal.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}
