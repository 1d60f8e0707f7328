//! `registry drain` and `registry undrain`: may this process be stopped now?

use std::process::ExitCode;
use std::time::Duration;

use proto::registry::{
    DownReason, DrainRequest, DrainResponse, Instance, InstanceState, UndrainRequest, UndrainResponse, Watcher,
};
use tokio::time::Instant;

use crate::commands::client::{Client, DEADLINE, Stub};
use crate::commands::screen::{Closed, Screen};
use crate::commands::words::{count, key, state_name, why};
use crate::commands::{Drain, Undrain};

/// The exit code when some callers may not know yet.
const LAGGARDS: u8 = 2;

/// The registry names no more of them.
const MOST_NAMED: usize = 10;

pub(super) async fn drain(client: &Client, screen: &Screen, wanted: Drain) -> anyhow::Result<ExitCode> {
    let found = wanted.instance.find(client, is_up).await?;
    // The registry would say that there is no such instance, and `ls --all` that there is.
    anyhow::ensure!(is_up(&found), "{} is DOWN already ({}): there is nothing to drain", key(&found), why(&found));
    let timeout = Duration::from_secs(wanted.timeout.into());
    let request = DrainRequest {
        service: found.service,
        instance_id: found.instance_id,
        drain_timeout: prost_types::Duration::try_from(timeout).ok(),
        down: wanted.down,
    };
    let begun = Instant::now();
    let drain = async |mut stub: Stub, request| stub.drain(request).await;
    let answer = client.ask(timeout + DEADLINE, request.clone(), drain).await?;
    let name = format!("{}/{}", request.service, request.instance_id);
    let shown = match screen.is_json() {
        true => screen.print_json("DrainResponse", &answer),
        false => screen.print(&verdict(&name, &answer, begun.elapsed())),
    };
    // It is done, whether anybody reads of it or not, and scripts go by the exit code.
    shown.or_else(|error| if error.is::<Closed>() { Ok(()) } else { Err(error) })?;
    Ok(if answer.safe_to_exit { ExitCode::SUCCESS } else { ExitCode::from(LAGGARDS) })
}

pub(super) async fn undrain(client: &Client, screen: &Screen, wanted: Undrain) -> anyhow::Result<ExitCode> {
    let before = wanted.instance.find(client, is_kept_away).await?;
    let request = UndrainRequest { service: before.service.clone(), instance_id: before.instance_id.clone() };
    let undrain = async |mut stub: Stub, request| stub.undrain(request).await;
    let answer = client.ask(DEADLINE, request, undrain).await?;
    match screen.is_json() {
        true => screen.print_json("UndrainResponse", &answer)?,
        false => screen.print(&outcome(&before, &answer))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn is_up(instance: &Instance) -> bool {
    instance.state() != InstanceState::Down
}

/// Whether an operator keeps calls away from it.
fn is_kept_away(instance: &Instance) -> bool {
    instance.drained || instance.down_reason() == DownReason::Operator
}

/// Whether the instance may be stopped, in a sentence.
fn verdict(name: &str, answer: &DrainResponse, elapsed: Duration) -> String {
    let is_down = answer.instance.as_ref().is_some_and(|instance| !is_up(instance));
    let done = if is_down { "drained and DOWN" } else { "drained" };
    if answer.safe_to_exit {
        return format!(
            "{name} is {done}: after {} ms every caller knows, so it is safe to stop it\n",
            elapsed.as_millis()
        );
    }
    let number = answer.laggards.len();
    let least = if number >= MOST_NAMED { "at least " } else { "" };
    let mut text = format!(
        "{name} is {done}, but after {:.1} s {least}{} may still call it:\n",
        elapsed.as_secs_f64(),
        count(number, "caller")
    );
    for Watcher { caller, address, applied_revision, .. } in &answer.laggards {
        let behind = answer.revision.saturating_sub(*applied_revision);
        text.push_str(&format!("  {caller} at {address}, {} behind\n", count(behind, "revision")));
    }
    text
}

fn outcome(before: &Instance, answer: &UndrainResponse) -> String {
    let name = key(before);
    let now = answer.instance.as_ref().unwrap_or(before);
    match before.down_reason() {
        _ if !is_kept_away(before) => format!("{name} was not drained; it is {}\n", state_name(now)),
        DownReason::Operator => format!("{name} may come back: it registers again by itself if it still runs\n"),
        // The process hears of it in the same moment, and has not answered yet.
        _ if now.state() == InstanceState::Draining => format!("{name} takes calls again as soon as it says so\n"),
        _ => format!("{name} is not drained any more; it is {}\n", state_name(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_whether_it_is_safe() {
        let answer = DrainResponse { safe_to_exit: true, revision: 18, ..Default::default() };

        let text = verdict("tests/a", &answer, Duration::from_millis(4));

        assert_eq!(text, "tests/a is drained: after 4 ms every caller knows, so it is safe to stop it\n");
    }

    #[test]
    fn a_verdict_names_who_may_not_know() {
        let laggard = Watcher {
            caller: "portal/1".into(),
            address: "127.0.0.1:9".into(),
            applied_revision: 17,
            ..Default::default()
        };
        let down = Instance { state: InstanceState::Down.into(), ..Default::default() };
        let answer = DrainResponse { instance: Some(down), revision: 18, safe_to_exit: false, laggards: vec![laggard] };

        let text = verdict("tests/a", &answer, Duration::from_secs(5));

        let expected = "tests/a is drained and DOWN, but after 5.0 s 1 caller may still call it:\n  \
                        portal/1 at 127.0.0.1:9, 1 revision behind\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn undrain_says_what_that_changed() {
        let ready = Instance {
            service: "tests".into(),
            instance_id: "a".into(),
            state: InstanceState::Ready.into(),
            ..Default::default()
        };
        let drained = Instance { drained: true, ..ready.clone() };
        let answer = UndrainResponse { instance: Some(ready.clone()), revision: 1 };
        let draining = Instance { state: InstanceState::Draining.into(), ..ready.clone() };
        let at_first = UndrainResponse { instance: Some(draining), revision: 1 };

        assert_eq!(outcome(&ready, &answer), "tests/a was not drained; it is READY\n");
        assert_eq!(outcome(&drained, &answer), "tests/a is not drained any more; it is READY\n");
        assert_eq!(outcome(&drained, &at_first), "tests/a takes calls again as soon as it says so\n");
    }
}
