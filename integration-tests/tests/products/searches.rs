//! Searches through the wire: the same results, ranges and suggestions on both databases.

use std::sync::Mutex;

use anyhow::Context as _;
use harness::system::Options;
use proto::products::{MatchTier, SearchField, SearchProductsRequest, SearchProductsResponse};

use crate::products::keeping::ask;
use crate::products::shop::{Shop, everywhere};

async fn search(
    shop: &mut Shop,
    query: &str,
    page_size: i32,
    page_token: &str,
) -> anyhow::Result<SearchProductsResponse> {
    let request = SearchProductsRequest {
        query: query.to_owned(),
        field: SearchField::Any.into(),
        page_size,
        page_token: page_token.to_owned(),
    };
    // A machine that does ten other things may need more than a search may take.
    let page = harness::eventually("a search ends in time", async || {
        let page = shop.products.search_products(request.clone()).await?.into_inner();
        anyhow::ensure!(!page.truncated, "it was truncated");
        Ok(page)
    });
    Ok(page.await)
}

/// What differs between databases left out: ids and moments.
fn told(page: &SearchProductsResponse) -> String {
    let results: Vec<String> = page
        .results
        .iter()
        .map(|result| {
            let product = result.product.clone().unwrap_or_default();
            let ranges: Vec<String> = result
                .ranges
                .iter()
                .map(|range| {
                    let text = match range.field() {
                        SearchField::Name => &product.name,
                        SearchField::Category => &product.category,
                        _ => &product.sku,
                    };
                    text[range.begin as usize..range.end as usize].to_owned()
                })
                .collect();
            format!("{} {:?} {ranges:?}", product.sku, result.tier())
        })
        .collect();
    format!("{results:?} {:?} {}", page.suggestions, page.truncated)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_are_ranked_and_told_alike() -> anyhow::Result<()> {
    let all: Mutex<Vec<Vec<String>>> = Mutex::default();
    everywhere(async |shop| {
        for (name, sku) in [
            ("Sledgehammer", "SL-1"),
            ("Hammer drill", "DR-9"),
            ("Claw hammer 16 oz", "CH-16"),
            ("Hammock", "HAMMER-2"),
            ("Rubber mallet", "HAMMER"),
            ("Café sign ½\" × 2 x 4", "SIGN"),
            ("R13 insulation", "IN-13"),
        ] {
            shop.add(name, sku).await?;
        }
        let mut answers = Vec::new();
        let page = search(shop, "hammer", 0, "").await?;
        let skus: Vec<&str> =
            page.results.iter().filter_map(|result| Some(result.product.as_ref()?.sku.as_str())).collect();
        assert_eq!(skus, ["HAMMER", "HAMMER-2", "DR-9", "CH-16", "SL-1"]);
        let tiers: Vec<MatchTier> = page.results.iter().map(|result| result.tier()).collect();
        assert_eq!(
            tiers,
            [MatchTier::SkuExact, MatchTier::SkuPrefix, MatchTier::NamePrefix, MatchTier::Words, MatchTier::Substring]
        );
        answers.push(told(&page));
        for query in
            ["cafe", "1/2", "½", "2x4", "2×4 SIGN", "13", "h", "16", "tools hand", "hamer", "sledge hammer", "%", "'"]
        {
            let page = search(shop, query, 0, "").await?;
            answers.push(format!("{query}: {}", told(&page)));
        }
        assert!(answers[1].contains("Café"), "{}", answers[1]);
        assert!(
            answers.iter().any(|answer| answer.starts_with("hamer") && answer.contains("[\"hammer\"]")),
            "{answers:?}"
        );

        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let page = search(shop, "hammer", 2, &token).await?;
            pages.push(told(&page));
            if page.next_page_token.is_empty() {
                let back = search(shop, "hammer", 2, &page.previous_page_token).await?;
                assert_eq!(told(&back), pages[pages.len() - 2]);
                break;
            }
            token = page.next_page_token;
        }
        assert_eq!(pages.len(), 3);
        answers.extend(pages);
        all.lock().expect("no panic").push(answers);
        Ok(())
    })
    .await?;
    let all = all.into_inner()?;
    all.windows(2).for_each(|pair| assert_eq!(pair[0], pair[1]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_indexed_is_found_like_what_is_not() -> anyhow::Result<()> {
    let Some(url) = harness::postgres::database()? else { return Ok(()) };
    let options = Options { database_url: Some(url.clone()), ..Default::default() };
    let mut shop = Shop::open(options).await?;
    // More than waits for the index.
    shop.fill(17_000).await?;
    let before = search(&mut shop, "product 77", 1000, "").await?;
    assert!(before.results.len() > 100, "{}", before.results.len());
    harness::eventually("the index has them", async || {
        let state = "SELECT indexed_sequence, (SELECT COUNT(*) FROM search_postings) FROM search_state";
        let told = ask(&url, state)?;
        let (sequence, lists) = told.trim().split_once('|').context("two numbers")?;
        anyhow::ensure!(sequence.parse::<i64>()? > 16_000 && lists != "0", "{told}");
        Ok(())
    })
    .await;
    let after = search(&mut shop, "product 77", 1000, "").await?;
    assert_eq!(told(&after), told(&before));
    let typo = search(&mut shop, "prodct 77", 5, "").await?;
    assert_eq!(typo.suggestions, ["product 77"]);
    Ok(())
}
