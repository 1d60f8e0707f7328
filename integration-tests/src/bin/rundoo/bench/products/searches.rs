//! Searches by their class, in the mix of a counter.

use std::time::Duration;

use harness::health;
use harness::system::{Role, System};
use proto::products::SearchProductsRequest;
use proto::products::product_service_client::ProductServiceClient;
use tokio::time::Instant;

use crate::bench::measure::{Goal, Report, ms, quantile_ms};
use crate::bench::products::Catalogue;
use crate::bench::products::queries::Class;

/// As many as a page of the portal has.
const PAGE: i32 = 50;

/// Searches at the same time: one and the database behind it are two cores' work.
const SEARCHERS: u64 = 2;

/// At most so many are judged to be truncated, of a hundred.
const MOST_TRUNCATED: f64 = 1.0;

/// So many of the slowest are told.
const SLOWEST: usize = 8;

struct Search {
    class: Class,
    query: String,
    took: Duration,
    truncated: bool,
}

pub(super) async fn measure(
    system: &System,
    report: &mut Report,
    catalogue: Catalogue,
    each: Duration,
) -> anyhow::Result<()> {
    let connection = health::connect(system.address(Role::Products(0))?).await?;
    let end = Instant::now() + each * 4;
    let searchers: Vec<_> = (0..SEARCHERS)
        .map(|seed| {
            let client = ProductServiceClient::new(connection.clone());
            mesh::spawn("searcher", search(client, catalogue.rows, seed, end))
        })
        .collect();
    let mut searches = Vec::new();
    for searcher in searchers {
        searches.extend(searcher.await??);
    }
    for (class, _) in Class::MIX {
        let mut times: Vec<Duration> = searches.iter().filter(|it| it.class == class).map(|it| it.took).collect();
        let name = |what: &str| catalogue.database.named(&format!("search_{}_{what}", class.name()));
        report.add(&name("p50"), quantile_ms(&mut times, 0.5), "ms", Goal::Stated);
        let goal = Goal::AtMost(class.goal(catalogue.database, catalogue.rows));
        report.add(&name("p99"), quantile_ms(&mut times, 0.99), "ms", goal);
        let truncated = searches.iter().filter(|it| it.class == class && it.truncated).count();
        if truncated > 0 {
            report.add(&name("truncated"), truncated as f64 / times.len() as f64 * 100.0, "%", Goal::Stated);
        }
    }
    searches.sort_by_key(|search| std::cmp::Reverse(search.took));
    for Search { class, query, took, .. } in searches.iter().take(SLOWEST) {
        println!("# {:.0} ms, {}: {query:?}", ms(*took), class.name());
    }
    let truncated = searches.iter().filter(|it| it.truncated).count() as f64 / searches.len() as f64 * 100.0;
    let name = |what: &str| catalogue.database.named(&format!("search_{what}"));
    report.add(&name("truncated"), truncated, "%", Goal::AtMost(MOST_TRUNCATED));
    report.add(&name("rate"), searches.len() as f64 / (each * 4).as_secs_f64(), "searches/s", Goal::Stated);
    Ok(())
}

async fn search(
    mut client: ProductServiceClient<tonic::transport::Channel>,
    rows: i64,
    seed: u64,
    end: Instant,
) -> anyhow::Result<Vec<Search>> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut searches = Vec::new();
    while Instant::now() < end {
        let class = Class::any(&mut random);
        let query = class.query(rows, &mut random);
        let request = SearchProductsRequest { query: query.clone(), page_size: PAGE, ..Default::default() };
        let began = Instant::now();
        let found = client.search_products(request).await?.into_inner();
        let took = began.elapsed();
        let (truncated, is_empty) = (found.truncated, found.results.is_empty());
        let is_there = !matches!(class, Class::Typo | Class::Nothing);
        anyhow::ensure!(truncated || !is_there || !is_empty, "nothing is found by {query:?}");
        searches.push(Search { class, query, took, truncated });
    }
    Ok(searches)
}
