//! Where answers go: lines on standard output for people or as JSON, notices beside them.

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use anyhow::Context as _;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Whoever read our output has seen enough.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads any more")]
pub(super) struct Closed;

/// Standard output, as it was asked for.
#[derive(Debug)]
pub(super) struct Screen {
    /// What messages look like, when they are to be printed as JSON.
    json: Option<DescriptorPool>,
    coloured: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> anyhow::Result<Self> {
        let pool = || DescriptorPool::decode(proto::registry::DESCRIPTORS).context("the contract cannot be read");
        let json = json.then(pool).transpose()?;
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty());
        Ok(Self { json, coloured })
    }

    pub(super) fn is_json(&self) -> bool {
        self.json.is_some()
    }

    pub(super) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Prints lines, each with its end.
    pub(super) fn print(&self, lines: &str) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        match out.write_all(lines.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(Closed.into()),
            written => written.context("could not write the answer"),
        }
    }

    /// Prints a message of the contract as a line of JSON.
    pub(super) fn print_json(&self, name: &str, message: &impl prost::Message) -> anyhow::Result<()> {
        let pool = self.json.as_ref().context("no JSON was asked for")?;
        self.print(&json(pool, name, message)?)
    }

    /// Tells a person something that is no part of the answer.
    pub(super) fn notice(&self, text: &str) {
        // Nobody may be reading it.
        let _ = writeln!(std::io::stderr(), "{text}").ok();
    }
}

/// A message in proto3 JSON, with its line end. Fields that are empty are there too, for scripts.
fn json(pool: &DescriptorPool, name: &str, message: &impl prost::Message) -> anyhow::Result<String> {
    let descriptor = pool.get_message_by_name(&format!("rundoo.registry.v1.{name}"));
    let descriptor = descriptor.with_context(|| format!("the contract has no {name}"))?;
    let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
    let mut bytes = Vec::new();
    let options = SerializeOptions::new().skip_default_fields(false);
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut bytes), &options)?;
    Ok(String::from_utf8(bytes)? + "\n")
}

/// Resolves when nobody reads standard output any more: whoever follows may have nothing to write for hours.
#[expect(deprecated, reason = "unsound for descriptors that are closed meanwhile; this one never is")]
pub(super) async fn closed() {
    // A file is never closed by who reads it, and cannot be waited for.
    let Ok(out) = AsyncFd::with_interest(std::io::stdout(), Interest::ERROR) else {
        return std::future::pending().await;
    };
    if out.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use proto::registry::{Instance, InstanceState};

    use super::*;

    #[test]
    fn messages_are_printed_in_the_json_of_proto3() {
        let pool = DescriptorPool::decode(proto::registry::DESCRIPTORS).unwrap();
        let instance = Instance {
            instance_id: "a".to_owned(),
            incarnation: 7,
            state: InstanceState::Ready.into(),
            state_time: Some(prost_types::Timestamp { seconds: 0, nanos: 500_000_000 }),
            time_to_live: Some(prost_types::Duration { seconds: 6, nanos: 0 }),
            ..Default::default()
        };

        let line = json(&pool, "Instance", &instance).unwrap();

        for part in [
            r#""instanceId":"a""#,
            r#""incarnation":"7""#,
            r#""state":"INSTANCE_STATE_READY""#,
            r#""stateTime":"1970-01-01T00:00:00.500Z""#,
            r#""timeToLive":"6s""#,
            r#""drained":false"#,
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert_eq!(line.matches('\n').count(), 1);
    }
}
