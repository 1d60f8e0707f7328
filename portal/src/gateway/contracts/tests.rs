//! Services that say what ours say, or stand where ours do.

use super::*;
use crate::{
    door::{Area, Role},
    gateway::written,
};

const CREATE: &str = "/v1/products";

/// Runs with what a mesh offers in which a service of another's makes an offer too.
pub(in crate::gateway) fn with_offer(service: &str, set: Vec<u8>, work: impl FnOnce(&Known)) {
    let nobody = mesh::RegistryAddress::plain(vec!["127.0.0.1:1".to_owned()]);
    let mut given = Some((set, work));
    mesh::client(&nobody, async |mesh| {
        let (set, work) = given.take().expect("it runs once");
        let backends = Backends::of(&mesh);
        let contracts = Contracts::built_in(&backends);
        let mut pool = DescriptorPool::new();
        descriptors::add(&mut pool, &set)?;
        let services = pool.services().map(|service| service.full_name().to_owned()).collect();
        let owner = Owner { service: service.to_owned(), channel: mesh.discovered(service, &set) };
        assert!(contracts.known().places.refused().is_empty(), "all of ours have a place");
        contracts.learn(Offer { owner, set: set.into(), pool, services });
        work(&contracts.known());
        Ok(std::process::ExitCode::SUCCESS)
    });
}

/// The same of one whose contract is that of our catalogue, changed.
fn with_foreign(service: &str, change: impl Fn(&[u8]) -> Vec<u8>, work: impl FnOnce(&Known)) {
    with_offer(service, change(proto::products::DESCRIPTORS), work);
}

/// The set with some bytes in place of others, as many.
fn replaced(set: &[u8], these: &[u8], others: &[u8]) -> Vec<u8> {
    assert_eq!(these.len(), others.len());
    let (mut set, mut at) = (set.to_vec(), 0);
    while at + these.len() <= set.len() {
        if set[at..].starts_with(these) {
            set[at..at + these.len()].copy_from_slice(others);
        }
        at += 1;
    }
    set
}

/// A contract that says of each change that it is none: option 34 of a method, IDEMPOTENT, becomes `NO_SIDE_EFFECTS`.
fn harmless(set: &[u8]) -> Vec<u8> {
    replaced(set, &[0x90, 0x02, 0x02], &[0x90, 0x02, 0x01])
}

fn route(known: &Known, verb: &Verb, path: &str, asked: Option<&str>) -> Arc<Route> {
    match known.find(verb, path, asked) {
        Found::Route(route) => route,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_needed_is_said_by_the_contract_of_who_is_asked() {
    with_foreign("aaa", harmless, |known| {
        for asked in [None, Some("productsvc")] {
            let own = route(known, &Verb::POST, CREATE, asked);
            assert_eq!(own.owner.service, "productsvc", "who is first by name is not first here");
            assert_eq!(own.need(), (Area::Products, Role::Editor));
        }
        let foreign = route(known, &Verb::POST, CREATE, Some("aaa"));
        assert_eq!((foreign.owner.service.as_str(), foreign.need()), ("aaa", (Area::Products, Role::Viewer)));
        let Found::Others(names) = known.find(&Verb::POST, CREATE, Some("bbb")) else { panic!("nobody is called so") };
        assert_eq!(names, ["productsvc", "aaa"]);
    });
}

#[test]
fn nobody_takes_a_path_that_is_one_of_ours() {
    let renamed = |set: &[u8]| replaced(set, b"rundoo.products.v1", b"aaaaaa.products.v1");
    with_foreign("aaa", renamed, |known| {
        for (verb, path) in [(Verb::POST, CREATE), (Verb::GET, CREATE), (Verb::DELETE, "/v1/products/7")] {
            assert_eq!(route(known, &verb, path, None).owner.service, "productsvc", "{verb} {path}");
            assert!(matches!(known.find(&verb, path, Some("aaa")), Found::Others(_)), "{verb} {path}");
        }
        let refused = known.places.refused();
        let words = "aaaaaa.products.v1.ProductService.CreateProduct cannot be called at /v1/products: \
                     rundoo.products.v1.ProductService.CreateProduct is there";
        assert!(refused.contains(words), "{refused:?}");
    });
}

#[test]
fn each_way_to_call_a_method_stands_for_itself() {
    with_offer("shop", written::set(written::SHOP), |known| {
        for path in ["/v1/parts:books", "/v1/parts:time"] {
            assert_eq!(route(known, &Verb::GET, path, None).owner.service, "shop", "{path}");
        }
        let refused: Vec<&str> = known.places.refused().iter().map(String::as_str).collect();
        let name = "shop.v1.ProductService.GetParts cannot be called over HTTP";
        assert_eq!(
            refused,
            [
                format!("{name}: \"/v1/parts/**/x\": ** may only be the last segment"),
                format!("{name}: shop.v1.Answer has no field nobody"),
            ]
        );
    });
}

#[test]
fn a_list_or_a_moment_of_an_answer_is_sent_alone() {
    with_offer("shop", written::set(written::SHOP), |known| {
        // A book that is called a, and the first second.
        let answer = [10, 3, 10, 1, b'a', 18, 2, 8, 1];
        for (path, text) in [("/v1/parts:books", r#"[{"name":"a"}]"#), ("/v1/parts:time", r#""1970-01-01T00:00:01Z""#)]
        {
            let mut json = Vec::new();
            route(known, &Verb::GET, path, None).write(&answer, &mut json).unwrap();
            assert_eq!(String::from_utf8(json).unwrap(), text);
        }
    });
}

#[test]
fn what_answers_get_answers_head() {
    with_offer("shop", written::set(written::SHOP), |known| {
        let Found::Verbs(verbs) = known.find(&Verb::PUT, "/v1/things/7", None) else { panic!("it has others") };
        assert_eq!(verbs, [Verb::GET, Verb::HEAD, Verb::DELETE]);
    });
}
