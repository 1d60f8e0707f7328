//! `registry watchers`: who watches, and which revision each has applied.

use std::process::ExitCode;

use jiff::Timestamp;
use proto::registry::{ListWatchersRequest, Watcher};

use crate::commands::Watchers;
use crate::commands::client::{Client, DEADLINE, PAGE, Stub};
use crate::commands::screen::Screen;
use crate::commands::table::{Cell, Colour, Table};
use crate::commands::words::{age, count, short};

const HEAD: [&str; 6] = ["CALLER", "ADDRESS", "FOLLOWS", "ACKNOWLEDGES", "APPLIED", "SINCE"];

pub(super) async fn run(client: &Client, screen: &Screen, wanted: Watchers) -> anyhow::Result<ExitCode> {
    let service = wanted.service.unwrap_or_default();
    let mut request = ListWatchersRequest { service, page_size: PAGE, ..Default::default() };
    let mut watchers = Vec::new();
    let (epoch, revision) = loop {
        let list = async |mut stub: Stub, request| stub.list_watchers(request).await;
        let mut page = client.ask(DEADLINE, request.clone(), list).await?;
        watchers.append(&mut page.watchers);
        if page.next_page_token.is_empty() {
            break (page.epoch, page.revision);
        }
        request.page_token = page.next_page_token;
    };
    if screen.is_json() {
        watchers.iter().try_for_each(|watcher| screen.print_json("Watcher", watcher))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = lines(&watchers, Timestamp::now(), screen.is_coloured());
    let number = count(watchers.len(), "watcher");
    text.push_str(&format!("{number}  epoch {}  revision {revision}\n", short(&epoch)));
    screen.print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn lines(watchers: &[Watcher], now: Timestamp, coloured: bool) -> String {
    let mut table = Table::new(&HEAD);
    for watcher in watchers {
        let follows = if watcher.services.is_empty() { "all".to_owned() } else { watcher.services.join(", ") };
        table.add(vec![
            watcher.caller.as_str().into(),
            watcher.address.as_str().into(),
            follows.into(),
            if watcher.acknowledges { "yes" } else { "no" }.into(),
            applied(watcher),
            age(watcher.begin_time.as_ref(), now).into(),
        ]);
    }
    table.lines(coloured)
}

/// How far a watcher has come; one that does not acknowledge never says.
fn applied(watcher: &Watcher) -> Cell {
    let applied = watcher.applied_revision;
    match watcher.sent_revision.saturating_sub(applied) {
        _ if !watcher.acknowledges => "unknown".into(),
        0 => Cell::from(format!("{applied}, up to date")).coloured(Some(Colour::Good)),
        behind => Cell::from(format!("{applied}, {behind} behind")).coloured(Some(Colour::Doubtful)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_tells_how_far_each_has_come() {
        let portal = Watcher {
            caller: "portal/1".into(),
            address: "127.0.0.1:9".into(),
            services: vec!["productsvc".into(), "registry".into()],
            acknowledges: true,
            applied_revision: 17,
            sent_revision: 17,
            begin_time: Some(prost_types::Timestamp { seconds: 0, nanos: 0 }),
        };
        let late = Watcher { applied_revision: 14, ..portal.clone() };
        let person = Watcher { acknowledges: false, services: Vec::new(), ..late.clone() };

        let text = lines(&[portal, late, person], Timestamp::from_second(60).unwrap(), false);

        let expected = "\
            CALLER    ADDRESS      FOLLOWS               ACKNOWLEDGES  APPLIED         SINCE\n\
            portal/1  127.0.0.1:9  productsvc, registry  yes           17, up to date  60 s\n\
            portal/1  127.0.0.1:9  productsvc, registry  yes           14, 3 behind    60 s\n\
            portal/1  127.0.0.1:9  all                   no            unknown         60 s\n";
        assert_eq!(text, expected);
    }
}
