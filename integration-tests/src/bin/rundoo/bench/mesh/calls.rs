//! Calls as a service makes them: inside of a call that has an id, a trace and a deadline.

use std::time::Duration;

use harness::specimen::{EchoRequest, WriteRequest};
use mesh::Call;

use crate::bench::echo::TEXT;
use crate::bench::mesh::lab::Client;

/// How long the portal waits for a service.
const DEADLINE: Duration = Duration::from_secs(10);

/// A read: it may be repeated.
pub(crate) async fn read(mut client: Client) -> anyhow::Result<()> {
    let request = EchoRequest { text: TEXT.to_owned(), task: None };
    begin().scope(client.echo(request)).await?;
    Ok(())
}

/// A write: it may be repeated because it carries an id.
pub(crate) async fn write(mut client: Client) -> anyhow::Result<()> {
    let request = WriteRequest { request_id: uuid::Uuid::new_v4().to_string(), task: None };
    begin().scope(client.write(request)).await?;
    Ok(())
}

fn begin() -> Call {
    Call::begin(&http::HeaderMap::new()).within(DEADLINE)
}
