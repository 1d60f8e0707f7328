//! Several product services on one database: they start together, and write together.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use harness::skip::skip;
use harness::system::{Options, Role, System};
use harness::{catalogue, health, postgres};
use mesh::Refusal;
use proto::products::import_products_request::Part;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{
    CreateProductRequest, GetProductRequest, ImportOptions, ImportProductsRequest, ImportRow, ImportRows, Product,
    UpdateProductRequest,
};
use tonic::transport::Channel;
use tonic::{Code, Request};

type Client = ProductServiceClient<Channel>;

fn draft(sku: &str) -> CreateProductRequest {
    let (name, category, sku) = ("Claw hammer".to_owned(), "Tools".to_owned(), sku.to_owned());
    CreateProductRequest { name, category, sku, request_id: uuid::Uuid::new_v4().to_string(), ..Default::default() }
}

async fn create(client: &mut Client, request: CreateProductRequest) -> anyhow::Result<Product> {
    client.create_product(request).await?.into_inner().product.context("no product")
}

/// A registry and three product services, which start in the same moment.
async fn three(options: &Options) -> anyhow::Result<(System, Vec<Client>)> {
    let mut system = System::prepare(Options { products: 3, ..options.clone() })?;
    system.launch(Role::Registry).await?;
    system.launch_together(&[Role::Products(0), Role::Products(1), Role::Products(2)]).await?;
    system.ready().await;
    let mut clients = Vec::new();
    for number in 0..3 {
        clients.push(Client::new(health::connect(system.address(Role::Products(number))?).await?));
    }
    Ok((system, clients))
}

/// A client that reaches the database beside the services.
fn outsider(system: &System, options: &Options, sql: &str) -> anyhow::Result<Option<Command>> {
    if let Some(url) = &options.database_url {
        return Ok(Some(postgres::client(url)?));
    }
    if Command::new("python3").args(["-c", "import sqlite3"]).output().is_ok_and(|output| output.status.success()) {
        // Prints the first column of the first row, then waits with the transaction open.
        const SCRIPT: &str = "import sqlite3, sys\n\
            it = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
            for line in sys.stdin:\n    row = it.execute(line).fetchone()\n    print(row[0] if row else 'done', flush=True)";
        let mut client = Command::new("python3");
        client.args(["-c", SCRIPT]).arg(system.folder().join("data/products.db"));
        return Ok(Some(client));
    }
    skip(&format!("the SQLite part of a test: no python3 to run {sql:?} with"), "apt-get install python3");
    Ok(None)
}

/// Another process with a transaction, until this is dropped.
struct Outsider(Child);

impl Outsider {
    /// Runs statements, each on a line of its own, and waits for an answer to the last.
    fn run(system: &System, options: &Options, sql: &str) -> anyhow::Result<Option<(Self, String)>> {
        let Some(mut client) = outsider(system, options, sql)? else { return Ok(None) };
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        client.stdin.as_mut().context("it reads")?.write_all(sql.as_bytes())?;
        let mut answers = BufReader::new(client.stdout.take().context("it writes")?).lines();
        let mut answer = String::new();
        while answer.is_empty() || answer == "done" {
            answer = answers.next().context("it ended")??;
        }
        Ok(Some((Self(client), answer)))
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        // Its transaction is rolled back with it.
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn product_services_that_start_together_on_an_empty_database_make_its_tables_once() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        let (system, mut clients) = three(&options).await?;

        for (number, client) in clients.iter_mut().enumerate() {
            create(client, draft(&format!("SKU-{number}"))).await?;
        }

        assert_eq!(catalogue::read(&system).await?.len(), 3, "{options:?}");
        let folder = if options.database_url.is_some() { "postgres" } else { "sqlite" };
        let scripts = harness::binaries::root().join("productsvc/migrations").join(folder).read_dir()?.count();
        let count = "SELECT count(*) FROM _sqlx_migrations;\n";
        if let Some((_outsider, applied)) = Outsider::run(&system, &options, count)? {
            assert_eq!(applied, scripts.to_string(), "{options:?}");
        }
    }
    Ok(())
}

/// Creates products one after another and gives each another name through the next replica.
async fn write(mut clients: Vec<Client>, writer: usize) -> anyhow::Result<Vec<Product>> {
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let Product { id, category, sku, etag, .. } =
            create(&mut clients[writer % 3], draft(&format!("W{writer}-{number}"))).await?;
        let request_id = uuid::Uuid::new_v4().to_string();
        let change = UpdateProductRequest {
            id,
            name: "Mallet".to_owned(),
            category,
            sku,
            etag,
            request_id,
            ..Default::default()
        };
        let changed = clients[(writer + 1) % 3].update_product(change).await?.into_inner();
        acknowledged.push(changed.product.context("no product")?);
    }
    Ok(acknowledged)
}

/// Changes one product until this many changes are acknowledged; someone else may always be faster.
async fn contend(mut client: Client, id: i64, changes: usize) -> anyhow::Result<()> {
    let mut acknowledged = 0;
    while acknowledged < changes {
        let now = client
            .get_product(GetProductRequest { id, ..Default::default() })
            .await?
            .into_inner()
            .product
            .context("no product")?;
        // Another name each time: what changes nothing makes no version.
        let Product { category, sku, etag, version, .. } = now;
        let name = format!("Mallet {version}");
        let request_id = uuid::Uuid::new_v4().to_string();
        let change = UpdateProductRequest { id, name, category, sku, etag, request_id, ..Default::default() };
        match client.update_product(change).await {
            Ok(_) => acknowledged += 1,
            Err(stale) => anyhow::ensure!(stale.code() == Code::Aborted, "{stale}"),
        }
    }
    Ok(())
}

/// Imports rows of its own and one SKU that all importers have.
async fn import(mut client: Client, importer: usize) -> anyhow::Result<i64> {
    let row = |line: i64| ImportRow {
        line,
        name: "Nail".to_owned(),
        category: "Fasteners".to_owned(),
        sku: if line == 500 { "SHARED-ROW".to_owned() } else { format!("I{importer}-{line}") },
    };
    let rows = (1..=800).map(row).collect();
    let parts = [Part::Options(ImportOptions::default()), Part::Rows(ImportRows { rows })];
    let messages = parts.map(|part| ImportProductsRequest { part: Some(part) });
    let answer = client.import_products(tokio_stream::iter(messages)).await?.into_inner();
    let job = answer.job.context("no job")?;
    anyhow::ensure!(job.rows == 800 && job.refused == 0, "{job:?}");
    Ok(job.created)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_are_written_through_at_once_lose_nothing_and_repeat_nothing() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let (system, mut clients) = three(&options).await?;
        let contended = create(&mut clients[0], draft("CONTENDED")).await?;
        let (same_sku, same_id) = (draft("ONE-SKU"), draft("ONE-ID"));

        let writers = futures_util::future::try_join_all((0..9).map(|writer| write(clients.clone(), writer)));
        let contenders =
            futures_util::future::try_join_all(clients.iter().map(|client| contend(client.clone(), contended.id, 10)));
        let importers = futures_util::future::try_join_all(
            clients.iter().enumerate().map(|(importer, client)| import(client.clone(), importer)),
        );
        let rivals = futures_util::future::join_all(clients.clone().into_iter().map(|mut client| {
            let request = CreateProductRequest { request_id: String::new(), ..same_sku.clone() };
            async move { client.create_product(request).await }
        }));
        let repeated = futures_util::future::try_join_all(clients.clone().into_iter().map(|mut client| {
            let request = same_id.clone();
            async move { create(&mut client, request).await }
        }));
        let (writers, contenders, importers, rivals, repeated) =
            tokio::join!(writers, contenders, importers, rivals, repeated);
        contenders?;

        let all = catalogue::read(&system).await?;
        let acknowledged: Vec<Product> = writers?.concat();
        assert_eq!(acknowledged.len(), 9 * 20);
        for product in &acknowledged {
            assert_eq!(all.get(&product.sku), Some(product), "it is there as it was acknowledged");
            assert_eq!(product.version, 2);
        }
        assert_eq!(all["CONTENDED"].version, 1 + 3 * 10, "each change that was acknowledged counts once");
        assert_eq!(importers?.iter().sum::<i64>(), 3 * 799 + 1);
        let refused: Vec<_> = rivals.into_iter().filter_map(Result::err).collect();
        assert!(refused.iter().all(|status| Refusal::reason(status).as_deref() == Some("SKU_TAKEN")), "{refused:?}");
        assert_eq!(refused.len(), 2, "one of three got the SKU");
        let repeated = repeated?;
        assert!(repeated.iter().all(|product| *product == repeated[0]), "{repeated:?}");
        assert_eq!(all.len(), 9 * 20 + 3 * 799 + 1 + 3);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_the_lock_of_another_process_no_longer_than_its_deadline() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let (system, mut clients) = three(&options).await?;
        let there = create(&mut clients[0], draft("SKU-0")).await?;
        let lock = match options.database_url {
            Some(_) => "BEGIN; LOCK TABLE products IN EXCLUSIVE MODE;\nSELECT 'locked';\n",
            None => "BEGIN IMMEDIATE;\nSELECT 'locked';\n",
        };
        let Some((lock, _)) = Outsider::run(&system, &options, lock)? else { continue };

        let request = draft("SKU-1");
        for client in &mut clients {
            let mut write = Request::new(request.clone());
            write.set_timeout(Duration::from_millis(300));
            let late = tokio::time::timeout(Duration::from_secs(20), system.products().create_product(write)).await?;
            assert_eq!(late.expect_err("the lock is held").code(), Code::DeadlineExceeded);
            let read = client.get_product(GetProductRequest { id: there.id, ..Default::default() }).await?.into_inner();
            assert_eq!(read.product.as_ref(), Some(&there), "who reads does not wait");
        }
        // A service counts the 300 ms from when a call came, and what it has begun it may
        // finish within them: they are over before the lock is.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let mut patient = clients[0].clone();
        let waiting = mesh::spawn("patient writer", async move { create(&mut patient, draft("SKU-2")).await });
        drop(lock);

        waiting.await??;
        assert!(
            !catalogue::read(&system).await?.contains_key("SKU-1"),
            "what was too late is not written behind our back"
        );
        let written = create(&mut clients[1], request.clone()).await?;
        assert_eq!(create(&mut clients[2], request).await?, written);
        let all = catalogue::read(&system).await?;
        assert_eq!(all.into_keys().collect::<Vec<_>>(), ["SKU-0", "SKU-1", "SKU-2"]);
    }
    Ok(())
}
