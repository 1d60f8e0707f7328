//! Why calls are refused: every reason of every contract.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use crate::{
    frame::{Frame, Nav},
    gateway::{
        Gateway,
        comments::{self, Piece},
        problem::OWN_REASONS,
    },
    pages,
    visit::Visit,
};

/// The enum of reasons of a package, and what its values begin with.
const REASONS: (&str, &str) = ("ErrorReason", "ERROR_REASON_");

/// The reasons of one package.
struct Domain {
    name: String,
    reasons: Vec<(String, Vec<Vec<Piece>>)>,
}

#[derive(Template)]
#[template(path = "problems.html")]
struct Problems {
    frame: Frame,
    domains: Vec<Domain>,
}

pub(crate) async fn show(State(gateway): State<Gateway>, visit: Visit) -> Response {
    let known = gateway.contracts.known();
    let own = OWN_REASONS.iter().map(|(name, said)| ((*name).to_owned(), comments::paragraphs(said)));
    let mut domains = vec![Domain { name: "The gateway itself".into(), reasons: own.collect() }];
    for offer in known.offers() {
        for kind in offer.pool.all_enums().filter(|kind| kind.name() == REASONS.0) {
            let name = kind.package_name().to_owned();
            if domains.iter().any(|domain| domain.name == name) {
                continue;
            }
            let comments = known.comments(&kind.parent_file());
            let named = kind.values().filter(|value| value.number() != 0).map(|value| {
                let short = value.name().strip_prefix(REASONS.1).unwrap_or(value.name()).to_owned();
                (short, comments::paragraphs(comments.at(value.path())))
            });
            domains.push(Domain { name, reasons: named.collect() });
        }
    }
    pages::page(StatusCode::OK, &Problems { frame: Frame::behind(&visit, Nav::Elsewhere, "Problems"), domains })
}
