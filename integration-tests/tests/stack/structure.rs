//! How a process is built: what `GetGraph` says, and what a start says that does not work out.

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{Specimens, health};
use proto::mesh::mesh_service_client::MeshServiceClient;
use proto::mesh::{GetGraphRequest, GetGraphResponse};

async fn graph(specimens: &Specimens) -> anyhow::Result<GetGraphResponse> {
    let mut mesh = MeshServiceClient::new(health::connect(specimens.address(0)?).await?);
    Ok(mesh.get_graph(GetGraphRequest {}).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_names_layers_with_what_they_provide_and_steps_with_their_times() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;

    let graph = graph(&specimens).await?;

    let names: Vec<&str> = graph.inbound.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, graph.layers);
    let wanted = ["trace", "caller", "metrics", "policy", "deadline", "call", "rate", "limit", "refusals", "panics"];
    assert_eq!(names, wanted);
    let provides = |name: &str| {
        let layer = graph.inbound.iter().find(|layer| layer.name == name);
        layer.and_then(|layer| layer.provides.rsplit("::").next()).unwrap_or_default()
    };
    let provided = ["trace", "caller", "deadline", "call", "limit"].map(provides);
    assert_eq!(provided, ["Trace", "Caller", "Deadline", "Call", "Permit"]);
    assert_eq!((provides("metrics"), provides("panics")), ("", ""));
    assert!(graph.steps.len() >= 3 && graph.steps.iter().all(|step| step.elapsed.is_some()), "{:?}", graph.steps);
    assert!(graph.steps.iter().any(|step| step.name == "server"), "{:?}", graph.steps);
    for offer in ["rundoo.specimen.v1.SpecimenService", "rundoo.mesh.v1.MeshService"] {
        assert!(graph.offers.iter().any(|offered| offered == offer), "{:?}", graph.offers);
    }
    assert!(graph.needs.iter().any(|need| need == "registry"), "{:?}", graph.needs);
    Ok(())
}

/// The nodes that a statement in DOT names, without its attributes.
fn nodes(statement: &str) -> anyhow::Result<Vec<String>> {
    let statement = statement.trim().strip_suffix(';').with_context(|| format!("no end: {statement}"))?;
    let named = match statement.rsplit_once(" [") {
        Some((named, attributes)) => {
            anyhow::ensure!(attributes.ends_with(']') && attributes.contains('='), "{statement}");
            named
        }
        None => statement,
    };
    let node = |name: &str| {
        let name = name.trim();
        let quoted = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
        let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        anyhow::ensure!(is_word || quoted.is_some_and(|name| !name.contains('"')), "{statement}: {name}");
        Ok(quoted.unwrap_or(name).to_owned())
    };
    named.split(" -> ").map(node).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_graph_is_a_picture_too_in_which_every_arrow_ends_somewhere() -> anyhow::Result<()> {
    let specimens = Specimens::start(1).await?;

    let graph = graph(&specimens).await?;

    let inside = graph.dot.strip_prefix("digraph mesh {\n").and_then(|dot| dot.strip_suffix("}\n"));
    let mut drawn = Vec::new();
    let mut arrows = Vec::new();
    for statement in inside.with_context(|| graph.dot.clone())?.lines() {
        if statement.trim().starts_with("rankdir=") {
            continue;
        }
        match nodes(statement)?.as_slice() {
            [one] => drawn.push(one.clone()),
            several => arrows.extend(several.iter().cloned()),
        }
    }
    assert!(!arrows.is_empty());
    for end in &arrows {
        assert!(drawn.contains(end), "nothing is drawn for {end} in\n{}", graph.dot);
    }
    let own = format!("{}/{}", graph.service, graph.instance_id);
    let parts = graph.offers.iter().chain(&graph.needs).chain([&own]);
    for part in parts {
        assert!(drawn.contains(part), "{part} is missing in\n{}", graph.dot);
    }
    for name in graph.layers.iter().chain(graph.steps.iter().map(|step| &step.name)) {
        assert!(graph.dot.contains(name.as_str()), "{name} is missing in\n{}", graph.dot);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_names_the_step_and_the_cause_and_what_it_undoes() -> anyhow::Result<()> {
    let database_url = Some("sqlite:///dev/null/products.db".to_owned());
    let system = System::prepare(Options { database_url, ..Options::default() })?;

    let mut process = system.program(Role::Products(0)).start()?;
    let failed = process.address().await.expect_err("it has no store").to_string();

    assert!(failed.contains("exit code 1"), "{failed}");
    assert!(failed.contains("could not start productsvc: the step \"product store\" failed: "), "{failed}");
    let sentence = failed.lines().find(|line| line.contains("product store")).context("no sentence")?;
    assert!(sentence.contains("undoing: ") && sentence.contains("log shipping"), "{sentence}");
    assert!(sentence.contains("/dev/null"), "{sentence}");
    Ok(())
}
