//! A database of the first Rundoo, which becomes ours: PostgreSQL, as its README makes it.

use std::io::Write as _;
use std::process::Stdio;

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{catalogue, eventually, postgres};
use proto::products::{ChangeKind, GetProductRequest, ListProductVersionsRequest, Product, SearchProductsRequest};

use crate::products::keeping::{ask, keep};
use crate::products::shop::draft;

/// Its table and the indexes that its README advises.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS products (
        id bigserial PRIMARY KEY,
        created_at timestamp(0) with time zone NOT NULL DEFAULT NOW(),
        name text NOT NULL,
        category text NOT NULL,
        sku text NOT NULL,
        version integer NOT NULL DEFAULT 1
    );
    CREATE INDEX idx_name ON products (name);
    CREATE INDEX idx_category ON products (category);
    CREATE INDEX idx_sku ON products (sku);
    CREATE INDEX idx_name_category_sku ON products (name, category, sku);";

/// Some products as it has them.
const PRODUCTS: &str = "INSERT INTO products (name, category, sku, created_at, version) VALUES
    ('Central Winery Chardonnay', 'wine', 'CW21001', '2023-06-01 12:00:00+00', 1),
    ('Eastern Vines  Sauvignon', 'wine', 'EV23001', '2023-06-02 12:00:00+02', 4),
    ('Electric Chainsaw', 'tool', 'ET1838845', '2023-06-03 12:00:00+00', 1);";

/// A database of the first Rundoo, and a system on it of which nothing runs yet.
fn first_rundoo(products: usize, rows: &str) -> anyhow::Result<Option<(String, System)>> {
    let Some(url) = postgres::database()? else { return Ok(None) };
    ask(&url, TABLE)?;
    if !rows.is_empty() {
        ask(&url, rows)?;
    }
    let options = Options { products, database_url: Some(url.clone()), ..Options::default() };
    Ok(Some((url, System::prepare(options)?)))
}

async fn serve(system: &mut System) -> anyhow::Result<()> {
    for role in [Role::Registry, Role::Products(0)] {
        system.launch(role).await?;
    }
    system.ready().await;
    Ok(())
}

async fn get(system: &System, id: i64) -> anyhow::Result<Product> {
    let request = GetProductRequest { id, ..Default::default() };
    system.products().get_product(request).await?.into_inner().product.context("no product")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_rundoo_s_products_keep_their_ids_times_and_versions() -> anyhow::Result<()> {
    let deleted =
        "INSERT INTO products (name, category, sku) VALUES ('Gone', 'book', 'G'); DELETE FROM products WHERE id = 4;";
    let Some((url, mut system)) = first_rundoo(1, &format!("{PRODUCTS}{deleted}"))? else { return Ok(()) };

    serve(&mut system).await?;

    let product = get(&system, 2).await?;
    assert_eq!((product.name.as_str(), product.category.as_str()), ("Eastern Vines Sauvignon", "wine"));
    assert_eq!((product.sku.as_str(), product.version, product.etag.as_str()), ("EV23001", 4, "\"4\""));
    let moment = product.create_time.context("it has one")?;
    assert_eq!((moment.seconds, moment.nanos), (1_685_700_000, 0));
    let request = ListProductVersionsRequest { id: 2, ..Default::default() };
    let versions = system.products().list_product_versions(request).await?.into_inner().versions;
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_eq!(versions[0].kind(), ChangeKind::Unspecified, "it is older than the history");

    let found = eventually("it is found", async || {
        let request = SearchProductsRequest { query: "sauvignon".to_owned(), ..Default::default() };
        let found = system.products().search_products(request).await?.into_inner();
        anyhow::ensure!(!found.truncated && !found.results.is_empty(), "{found:?}");
        Ok(found)
    })
    .await;
    assert_eq!(found.results.len(), 1, "{found:?}");

    let next = system.products().create_product(draft("Claw hammer", "HAM-1")).await?.into_inner();
    assert_eq!(next.product.context("no product")?.id, 5, "the id of what was deleted is not given again");
    assert_eq!(catalogue::read(&system).await?.len(), 4);
    assert_eq!(ask(&url, "SELECT count(*) FROM first_rundoo.products")?, "3", "its table is kept as it was");

    system.stop(Role::Products(0)).await?;
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    assert_eq!(catalogue::read(&system).await?.len(), 4, "it is adopted once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn product_services_that_start_together_adopt_a_large_catalogue_once() -> anyhow::Result<()> {
    let many = "INSERT INTO products (name, category, sku)
        SELECT 'Product ' || number, 'aisle ' || number % 7, 'CW' || (20000 + number)
        FROM generate_series(1, 82000) AS number;";
    let Some((url, mut system)) = first_rundoo(3, many)? else { return Ok(()) };

    system.launch(Role::Registry).await?;
    system.launch_together(&[Role::Products(0), Role::Products(1), Role::Products(2)]).await?;
    system.ready().await;

    assert_eq!(catalogue::read(&system).await?.len(), 82_000);
    assert_eq!(ask(&url, "SELECT last_id || ' ' || live_products FROM catalogue")?, "82000 82000");
    let same =
        "SELECT count(*) FROM products JOIN first_rundoo.products AS old USING (id, name, category, sku, version)
        WHERE products.create_time = EXTRACT(EPOCH FROM old.created_at) * 1000000";
    assert_eq!(ask(&url, same)?, "82000");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_table_of_the_first_rundoo_is_adopted_without_a_word() -> anyhow::Result<()> {
    let Some((_, mut system)) = first_rundoo(1, "")? else { return Ok(()) };

    serve(&mut system).await?;

    let first = system.products().create_product(draft("Claw hammer", "HAM-1")).await?.into_inner();
    assert_eq!(first.product.context("no product")?.id, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_refused_values_are_told_and_wait_for_a_decision() -> anyhow::Result<()> {
    let doubtful = "INSERT INTO products (name, category, sku) VALUES
        ('Chardonnay again', 'wine', 'cw21001'), ('', 'tool', 'ET7'), ('Chardonnay ' || repeat('x', 200), 'wine', 'CW9');";
    let Some((url, mut system)) = first_rundoo(1, &format!("{PRODUCTS}{doubtful}"))? else { return Ok(()) };
    let tables = "SELECT string_agg(table_schema || '.' || table_name, ' ' ORDER BY table_name)
        FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";
    let told = [
        "product 4, \"Chardonnay again\", SKU \"cw21001\": has the SKU of product 1",
        "product 5, \"\", SKU \"ET7\": name must not be empty",
        "name must have at most 200 characters, has 211",
    ];

    system.launch(Role::Registry).await?;
    let (status, output) = system.program(Role::Products(0)).start()?.finish().await?;
    assert_eq!(status.code(), Some(1), "{output}");
    assert!(output.contains("3 of the first Rundoo's 6 products need a decision; nothing was changed"), "{output}");
    assert!(told.iter().all(|line| output.contains(line)) && output.contains("productsvc adopt --dry-run"), "{output}");
    assert_eq!(ask(&url, tables)?, "public.products", "nothing was changed");

    let (code, output) = keep(&system, &["adopt", "--duplicates", "rename"]).await?;
    assert_eq!(code, Some(2), "{output}");
    let every = ["adopt", "--duplicates", "rename", "--refused", "mend"];
    let (code, output) = keep(&system, &[&every[..], &["--dry-run"]].concat()).await?;
    assert!(code == Some(0) && output.contains("and gets the SKU \"cw21001-2\""), "{output}");
    assert_eq!(ask(&url, tables)?, "public.products", "nothing was changed");

    let (code, output) = keep(&system, &every).await?;
    assert!(code == Some(0) && output.contains("6 of 6 rows are products"), "{output}");
    let (code, output) = keep(&system, &every).await?;
    assert!(code == Some(0) && output.contains("there is nothing to adopt"), "{output}");
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    let renamed = get(&system, 4).await?;
    assert_eq!((renamed.sku.as_str(), renamed.version), ("cw21001-2", 2), "its old SKU is in its history");
    assert_eq!(get(&system, 5).await?.name, "Product 5");
    assert_eq!(get(&system, 6).await?.name.chars().count(), 200);
    assert_eq!(ask(&url, "SELECT length(name) FROM first_rundoo.products WHERE id = 6")?, "211");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_duplicates_one_can_stay_and_the_others_be_deleted() -> anyhow::Result<()> {
    let doubtful = "INSERT INTO products (name, category, sku) VALUES
        ('Chardonnay again', 'wine', 'cw21001'), ('  ', 'tool', 'ET7');";
    let Some((url, mut system)) = first_rundoo(1, &format!("{PRODUCTS}{doubtful}"))? else { return Ok(()) };

    let (code, output) = keep(&system, &["adopt", "--duplicates", "keep-last", "--refused", "leave"]).await?;
    assert!(code == Some(0) && output.contains("4 of 5 rows are products"), "{output}");
    serve(&mut system).await?;

    assert_eq!(get(&system, 4).await?.sku, "cw21001");
    let parted = get(&system, 1).await?;
    assert!(parted.delete_time.is_some() && parted.version == 2 && parted.sku == "CW21001", "{parted:?}");
    let left = get(&system, 5).await.err().context("it is left behind")?;
    assert!(left.to_string().contains("there is no product 5"), "{left}");
    assert_eq!(ask(&url, "SELECT live_products FROM catalogue")?, "3");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_adoption_that_is_killed_has_done_nothing() -> anyhow::Result<()> {
    let Some((url, mut system)) = first_rundoo(1, PRODUCTS)? else { return Ok(()) };
    let mut reader = postgres::client(&url)?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    reader.stdin.as_mut().context("it reads")?.write_all(b"BEGIN; SELECT count(*) FROM products;\n")?;
    let connections = async |state: &str, wanted: &str| {
        let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {state}");
        eventually(state, async || {
            let found = ask(&url, &sql)?;
            anyhow::ensure!(found == wanted, "{found} are");
            Ok(())
        })
        .await;
    };
    connections("state = 'idle in transaction' AND application_name = 'psql'", "1").await;

    system.launch(Role::Registry).await?;
    let starting = system.program(Role::Products(0)).start()?;
    connections("wait_event_type = 'Lock' AND application_name = 'productsvc'", "1").await;
    starting.kill().await?;
    reader.kill()?;
    reader.wait()?;
    connections("application_name = 'productsvc'", "0").await;

    let count = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
    assert_eq!(ask(&url, count)?, "1", "there is its table, and nothing of ours");
    system.launch(Role::Products(0)).await?;
    system.ready().await;
    assert_eq!(catalogue::read(&system).await?.len(), 3);
    Ok(())
}
