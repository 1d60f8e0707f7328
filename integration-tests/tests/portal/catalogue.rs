//! The catalogue's pages beyond a single form: history, trash, bulk work, categories, kept pages.

use anyhow::Context as _;
use harness::http::{Page, decode, send};
use harness::{System, eventually};
use http::Method;

use super::{add, listed, submit};

const HAMMER: [&str; 3] = ["Claw hammer 16 oz", "Tools/Hand", "HAM-16"];

/// Adds products named N1, N2, … in a category.
async fn fill(system: &System, count: usize, category: &str) -> anyhow::Result<()> {
    for n in 1..=count {
        add(system, [&format!("N{n}"), category, &format!("{category}-{n}")]).await?;
    }
    Ok(())
}

/// The hidden fields and checked values of a form, with others in place of some.
fn fields<'a>(page: &Page, names: &[&str], others: &[(&'a str, &'a str)]) -> Vec<(String, String)> {
    let tags = page.text.split('<').filter(|tag| tag.starts_with("input"));
    let own = tags.filter_map(|tag| {
        let part = |name: &str| Some(tag.split_once(&format!("{name}=\""))?.1.split('"').next()?.to_owned());
        let name = part("name")?;
        names.contains(&name.as_str()).then_some((name, decode(&part("value")?)))
    });
    own.chain(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

async fn post(system: &System, path: &str, fields: &[(String, String)]) -> anyhow::Result<Page> {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    system.post(path, &fields).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_undone_by_one_click_and_later_from_the_trash() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, HAMMER).await?;

    for from_trash in [false, true] {
        let delete = format!("{product}/delete");
        let question = system.get(&delete).await?;
        let deleted = submit(&system, &delete, &question, HAMMER).await?;
        let told = system.get(deleted.location()).await?;
        assert!(told.text.contains(&format!("action=\"{product}/undelete\"")), "{}", told.text);
        let page = if from_trash { system.get("/trash").await? } else { told };
        assert!(!from_trash || page.text.contains("Claw hammer") && page.text.contains("Kept until"), "{}", page.text);

        let back = post(&system, &format!("{product}/undelete"), &fields(&page, &["request_id"], &[])).await?;

        assert_eq!((back.status.as_u16(), back.location()), (303, format!("{product}?notice=undeleted").as_str()));
        assert!(system.get(back.location()).await?.text.contains("The product is back."));
        assert_eq!(listed(&system.get("/").await?).len(), 1);
    }
    assert!(system.get("/trash").await?.text.contains("Nothing is deleted."));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_goes_back_to_what_it_was() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, HAMMER).await?;
    let edit = format!("{product}/edit");
    let form = system.get(&edit).await?;
    submit(&system, &edit, &form, ["Framing hammer", "Tools/Framing", HAMMER[2]]).await?;

    let history = system.get(&format!("{product}/history")).await?;
    assert!(history.text.contains("<del>Claw hammer 16 oz</del> <ins>Framing hammer</ins>"), "{}", history.text);
    assert!(history.text.contains("/logs/requests/") && history.text.contains(&format!("{product}/history/1")));
    let question = system.get(&format!("{product}/history/1")).await?;
    assert!(question.text.contains("<ins>Tools/Hand</ins>"), "{}", question.text);
    let restored =
        post(&system, &format!("{product}/history/1"), &fields(&question, &["request_id", "etag"], &[])).await?;

    assert_eq!(restored.location(), format!("{product}?notice=restored"));
    let shown = system.get(restored.location()).await?;
    assert!(shown.text.contains("Claw hammer 16 oz") && shown.text.contains("Tools/Hand"), "{}", shown.text);
    let again = post(&system, &format!("{product}/history/1"), &fields(&question, &["etag"], &[])).await?;
    assert!(again.status == 409 && again.text.contains("Someone else changed this product"), "{}", again.status);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ticked_products_are_moved_or_deleted_all_or_none() -> anyhow::Result<()> {
    let system = System::start().await?;
    fill(&system, 3, "Nails").await?;
    assert!(system.get("/?tick=all").await?.text.contains("value=\"3\" aria-label=\"Tick N3\" checked"));
    let names = ["do", "id", "etag", "request_id"];

    let question = system.get("/products/bulk?id=1&id=2&do=move").await?;
    let moved = post(&system, "/products/bulk", &fields(&question, &names, &[("category", "Screws/Wood")])).await?;
    assert_eq!(moved.location(), "/?category=Screws%2FWood&notice=recategorised");
    assert_eq!(listed(&system.get(moved.location()).await?), [2, 1]);
    assert_eq!(listed(&system.get("/?category=Screws").await?), [2, 1], "and those below");

    let question = system.get("/products/bulk?id=2&id=3&do=delete").await?;
    let edit = system.get("/products/3/edit").await?;
    submit(&system, "/products/3/edit", &edit, ["N3 new", "Nails", "Nails-3"]).await?;
    let refused = post(&system, "/products/bulk", &fields(&question, &names, &[])).await?;
    assert!(refused.status == 409 && refused.text.contains("so nothing was done to any"), "{}", refused.text);
    assert_eq!(listed(&system.get("/").await?).len(), 3);
    let deleted = post(&system, "/products/bulk", &fields(&refused, &names, &[])).await?;
    assert_eq!(deleted.location(), "/trash?notice=several");
    assert_eq!(listed(&system.get("/").await?), [1]);

    let empty =
        post(&system, "/products/bulk", &fields(&system.get("/products/bulk?id=1&do=move").await?, &names, &[]))
            .await?;
    assert!(empty.status == 422 && empty.text.contains("Category must not be empty."), "{}", empty.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_category_is_renamed_after_a_look_at_what_that_does() -> anyhow::Result<()> {
    let system = System::start().await?;
    fill(&system, 3, "Tools/Hand").await?;
    let tree = system.get("/categories").await?;
    assert!(tree.text.contains("/categories/rename?from=Tools%2FHand"), "{}", tree.text);

    let preview = system.get("/categories/rename?from=Tools&to=Gear").await?;
    assert!(preview.text.contains("3 products would be renamed"), "{}", preview.text);
    assert!(preview.text.contains("<del>Tools/Hand</del> <ins>Gear/Hand</ins>"), "{}", preview.text);
    let wrong = system.get("/categories/rename?from=Tools&to=Tools%2FDeeper").await?;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    let none = system.get("/categories/rename?from=Nothing&to=Gear").await?;
    assert!(none.status == 404 && none.text.contains("There is no such category"), "{}", none.text);

    let (from, to) = (("from", "Tools"), ("to", "Gear"));
    let renamed = post(&system, "/categories/rename", &fields(&preview, &["request_id"], &[from, to])).await?;

    assert!(renamed.text.contains("products are renamed") && renamed.text.ends_with("</html>"), "{}", renamed.text);
    assert_eq!(listed(&system.get("/?category=Gear%2FHand").await?).len(), 3);
    assert!(!system.get("/categories").await?.text.contains("Tools"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_sorted_searches_are_marked_and_a_sku_leads_straight_to_its_product() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, HAMMER).await?;
    add(&system, ["Adze", "Tools/Hand", "ADZ-1"]).await?;

    assert_eq!(listed(&system.get("/?sort=name").await?), [2, 1]);
    assert_eq!(listed(&system.get("/?sort=name%20desc").await?), [1, 2]);
    let home = system.get("/?sort=sku").await?;
    assert!(home.text.contains("aria-sort=\"ascending\"") && home.text.contains("/?sort=sku%20desc"), "{}", home.text);
    assert!(home.text.contains("<span class=\"num\">2</span> products"), "{}", home.text);

    let found = system.get("/search?q=claw+ham").await?;
    assert!(found.text.contains("<mark>Claw</mark> <mark>ham</mark>mer"), "{}", found.text);
    let straight = system.get("/search?q=ham-16").await?;
    assert_eq!((straight.status.as_u16(), straight.location()), (303, format!("{product}?q=ham-16").as_str()));
    let there = system.get(straight.location()).await?;
    assert!(there.text.contains("is the SKU of this product") && there.text.contains("all=1"), "{}", there.text);
    assert!(system.get("/search?q=ham-16&all=1").await?.text.contains("<mark>HAM-16</mark>"));
    eventually("a typo is understood", async || {
        let typo = system.get("/search?q=hamner").await?;
        anyhow::ensure!(typo.text.contains("Did you mean") && typo.text.contains("q=hammer"), "{}", typo.text);
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kept_page_is_right_until_the_catalogue_changes() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, HAMMER).await?;
    let tag = eventually("the portal follows the catalogue", async || {
        let page = system.get("/").await?;
        Ok(page.headers.get("etag").context("no tag")?.to_str()?.to_owned())
    })
    .await;
    let again = async |headers: &[(&str, &str)]| send(system.portal(), Method::GET, "/", headers, String::new()).await;

    let kept = again(&[("if-none-match", &tag)]).await?;
    assert!(kept.status == 304 && kept.text.is_empty() && kept.headers["etag"] == tag, "{}", kept.status);
    assert_eq!(again(&[("if-none-match", &tag), ("cookie", "seen=999999")]).await?.status, 200, "it changed more");
    assert_eq!(again(&[("if-none-match", &tag), ("cookie", "zone=Asia/Tokyo")]).await?.status, 200, "another zone");

    let edit = format!("{product}/edit");
    let saved = submit(&system, &edit, &system.get(&edit).await?, ["Adze", HAMMER[1], HAMMER[2]]).await?;

    let seen = saved.headers["set-cookie"].to_str()?.split(';').next().context("a cookie")?.to_owned();
    let fresh = again(&[("if-none-match", &tag), ("cookie", &seen)]).await?;
    assert!(fresh.status == 200 && fresh.text.contains("Adze"), "{}: {}", fresh.status, fresh.text);
    assert_eq!(again(&[("if-none-match", &tag)]).await?.status, 200, "and nobody else gets the old one");
    assert_eq!(again(&[("if-none-match", fresh.headers["etag"].to_str()?), ("cookie", &seen)]).await?.status, 304);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_read_in_the_zone_that_was_chosen() -> anyhow::Result<()> {
    let system = System::start().await?;

    let refused = system.post("/times", &[("zone", "Middle/Earth")]).await?;
    assert!(refused.status == 422 && refused.text.contains("There is no zone of this name"), "{}", refused.text);
    let chosen = system.post("/times", &[("zone", "Asia/Tokyo")]).await?;
    assert_eq!((chosen.status.as_u16(), chosen.location()), (303, "/times?notice=zone"));
    let cookie = chosen.headers["set-cookie"].to_str()?.split(';').next().context("a cookie")?;

    let page = send(system.portal(), Method::GET, "/services", &[("cookie", cookie)], String::new()).await?;

    assert!(page.text.contains("times are in <a class=\"calm\" href=\"/times\">Asia/Tokyo</a>"), "{}", page.text);
    Ok(())
}
