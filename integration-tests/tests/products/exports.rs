//! Exports: each product once, wherever they break off and whoever goes on.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use harness::system::{Options, Role, System};
use harness::{binaries, catalogue, eventually, health};
use mesh::Refusal;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{ExportProductsRequest, ExportProductsResponse, ListProductsRequest, Product};
use rustix::process::Signal;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

use crate::products::shop::{Shop, draft, everywhere, renamed, why};

/// More than what may wait between a service and a client that does not read.
const MANY: usize = 60_000;

fn of(filter: &str, order_by: &str) -> ExportProductsRequest {
    ExportProductsRequest { filter: filter.to_owned(), order_by: order_by.to_owned(), ..Default::default() }
}

/// All batches until the stream ends, and how it ended.
async fn rest(mut stream: Streaming<ExportProductsResponse>) -> (Vec<ExportProductsResponse>, Option<Status>) {
    let mut batches = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => return (batches, None),
            Err(status) => return (batches, Some(status)),
        }
    }
}

async fn export(shop: &mut Shop, request: ExportProductsRequest) -> Result<Vec<ExportProductsResponse>, Status> {
    let (batches, ended) = rest(shop.products.export_products(request).await?.into_inner()).await;
    match ended {
        None => Ok(batches),
        Some(status) => Err(status),
    }
}

fn products(batches: &[ExportProductsResponse]) -> Vec<Product> {
    batches.iter().flat_map(|batch| batch.products.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_the_list_and_goes_on_behind_each_batch() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(2_300).await?;
        for id in [3, 40, 500] {
            shop.delete(id, "").await?;
        }
        for (filter, order_by, show_deleted) in [
            ("", "", false),
            ("", "name desc", true),
            ("category = \"Aisle 3\"", "sku", false),
            ("version != 1", "id desc", true),
            ("deleted = true", "update_time desc", true),
            ("name = nothing", "", false),
        ] {
            let request = ExportProductsRequest { show_deleted, ..of(filter, order_by) };
            let batches = export(shop, request.clone()).await?;
            assert!(batches.iter().rev().skip(1).all(|batch| !batch.is_last && batch.products.len() <= 500));
            assert!(batches.last().is_some_and(|batch| batch.is_last));

            let mut listed = Vec::new();
            let order_by = if order_by.is_empty() { "id" } else { order_by }.to_owned();
            let mut list = ListProductsRequest {
                page_size: 1000,
                order_by,
                filter: filter.to_owned(),
                show_deleted,
                ..Default::default()
            };
            loop {
                let page = shop.products.list_products(list.clone()).await?.into_inner();
                assert_eq!((batches[0].total_size, batches[0].total_size_is_exact), (page.total_size, true));
                listed.extend(page.products);
                if page.next_page_token.is_empty() {
                    break;
                }
                list.page_token = page.next_page_token;
            }
            assert_eq!(products(&batches), listed, "{request:?}");
            assert_eq!(batches[0].total_size, i64::try_from(listed.len())?);

            for (number, batch) in batches.iter().enumerate().filter(|(_, batch)| !batch.page_token.is_empty()) {
                let request = ExportProductsRequest { page_token: batch.page_token.clone(), ..request.clone() };
                let further = export(shop, request).await?;
                assert_eq!(products(&further), products(&batches[number + 1..]));
            }
        }

        let token = export(shop, of("", "")).await?[0].page_token.clone();
        let listed = shop.list(10, "").await?.next_page_token;
        let invalid = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()]);
        for (filter, order_by, page_token) in
            [("id > 1", "", &token), ("", "id desc", &token), ("", "id desc", &listed)]
        {
            let request = ExportProductsRequest { page_token: page_token.clone(), ..of(filter, order_by) };
            assert_eq!(why(&export(shop, request).await.expect_err("it is foreign")), invalid);
        }
        let wrong = export(shop, of("name", "price")).await.expect_err("both are wrong");
        assert_eq!(
            why(&wrong),
            (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["filter".to_owned(), "order_by".to_owned()])
        );
        Ok(())
    })
    .await
}

/// Rows of many products, as an import takes them.
fn rows(count: usize) -> String {
    let mut text = "name,category,sku\n".to_owned();
    for number in 0..count {
        text.push_str(&format!(
            "Deck screw {number} of a long name that fills the line,Aisle {},SKU-{number:06}\n",
            number % 7
        ));
    }
    text
}

async fn import(system: &System, name: &str, text: &str) -> anyhow::Result<String> {
    std::fs::write(system.folder().join(name), text)?;
    let (status, output) =
        system.program(Role::Products(0)).argument("import").argument(name).start()?.finish().await?;
    anyhow::ensure!(status.success(), "{output}");
    Ok(output)
}

/// A registry and several product services with many products.
async fn stocked(options: Options, services: usize, text: &str) -> anyhow::Result<System> {
    let mut system = System::prepare(options)?;
    system.launch(Role::Registry).await?;
    for number in 0..services {
        system.launch(Role::Products(number)).await?;
    }
    system.ready().await;
    import(&system, "rows.csv", text).await?;
    Ok(system)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_whose_instance_is_killed_or_stops_goes_on_at_another() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let mut system = stocked(options, 3, &rows(MANY)).await?;
        let client = async |system: &System, number| {
            anyhow::Ok(ProductServiceClient::<Channel>::new(
                health::connect(system.address(Role::Products(number))?).await?,
            ))
        };
        let whole = rest(client(&system, 2).await?.export_products(of("", "name")).await?.into_inner()).await;
        let whole = products(&whole.0);
        assert_eq!(whole.len(), MANY);

        let mut stream = client(&system, 0).await?.export_products(of("", "name")).await?.into_inner();
        let first = stream.message().await?.context("a batch")?;
        system.kill(Role::Products(0)).await?;
        let (mut told, ended) = rest(stream).await;
        told.insert(0, first);
        assert!(ended.is_some() && !told.iter().any(|batch| batch.is_last), "it broke off and says so");
        let before = products(&told);
        assert_eq!(before, whole[..before.len()]);

        let behind = |told: &[ExportProductsResponse]| ExportProductsRequest {
            page_token: told.last().map(|batch| batch.page_token.clone()).unwrap_or_default(),
            ..of("", "name")
        };
        let mut stream = client(&system, 1).await?.export_products(behind(&told)).await?.into_inner();
        told.push(stream.message().await?.context("a batch")?);
        let (stopped, (more, ended)) = tokio::join!(system.stop(Role::Products(1)), rest(stream));
        stopped?;
        told.extend(more);
        let ended = ended.context("it broke off")?;
        assert_eq!((ended.code(), Refusal::reason(&ended).as_deref()), (Code::Unavailable, Some("STOPPING")));

        let (more, ended) = rest(client(&system, 2).await?.export_products(behind(&told)).await?.into_inner()).await;
        assert!(ended.is_none());
        told.extend(more);
        assert_eq!(products(&told), whole, "nothing is lost or repeated");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_whole_though_the_service_is_killed_while_it_is_written() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let mut system = stocked(options, 1, &rows(MANY)).await?;
        let mut export = Command::new(binaries::build()?.join("productsvc"))
            .args(["export", "-", "--order-by", "sku"])
            .env("RUNDOO_REGISTRY", system.address(Role::Registry)?.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        // Nobody reads what it writes: it waits, and so does the service.
        let mut lines = BufReader::new(export.stdout.take().context("it writes")?).lines();
        assert_eq!(lines.next().context("a header")??, "name,category,sku,id,version,create_time,update_time");

        system.kill(Role::Products(0)).await?;
        system.launch(Role::Products(0)).await?;

        let written = tokio::task::spawn_blocking(move || lines.collect::<Result<Vec<_>, _>>()).await??;
        let sku = |line: &String| line.split(',').nth(2).unwrap_or_default().to_owned();
        assert!(written.iter().map(sku).eq((0..MANY).map(|number| format!("SKU-{number:06}"))));
        let status = tokio::task::spawn_blocking(move || export.wait_with_output()).await??;
        let said = String::from_utf8_lossy(&status.stderr).into_owned();
        assert!(status.status.success() && said.contains("waiting for the product service"), "{said}");
    }
    Ok(())
}

/// Texts that spreadsheets, CSV and databases take for something else.
const HOSTILE: [&str; 14] = [
    "=1+1",
    "+49 rabatt",
    "-10 °C sealant",
    "@SUM(A1:A9)",
    "'=quoted",
    "''-twice",
    "'twas",
    "a, b; c",
    "3/4\" \"pipe\"",
    "½ Straße ÄÖ",
    "＝cmd",
    "'; DROP TABLE products; --",
    "%_\\*",
    "😀 \u{200d}x",
];

async fn exported(system: &System, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let program = system.program(Role::Products(0)).argument("export");
    let program = arguments.iter().fold(program, |program, argument| program.argument(*argument));
    let (status, output) = program.start()?.finish().await?;
    Ok((status.code(), output))
}

fn parts(folder: &Path) -> anyhow::Result<usize> {
    Ok(folder.read_dir()?.flatten().filter(|entry| entry.file_name().to_string_lossy().ends_with(".part")).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_and_imported_again_changes_nothing() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = stocked(options, 1, "name,category,sku\n").await?;
        for (number, text) in HOSTILE.into_iter().enumerate() {
            let request = proto::products::CreateProductRequest {
                category: text.to_owned(),
                ..draft(text, &format!("{text}{number}"))
            };
            let product =
                system.products().create_product(request).await?.into_inner().product.context("no product")?;
            if number % 5 == 1 {
                system.products().update_product(renamed(&product, &format!("{text}!"))).await?;
            }
        }
        let all = catalogue::read(&system).await?;

        let (code, said) = exported(&system, &["all.csv"]).await?;
        assert!(code == Some(0) && said.contains("14 products to all.csv"), "{said}");
        let text = std::fs::read_to_string(system.folder().join("all.csv"))?;
        assert!(
            text.starts_with("\u{feff}name,category,sku,id,version,create_time,update_time\n'=1+1,'=1+1,'=1+10,1,1,"),
            "{text}"
        );
        let imported = import(&system, "again.csv", &text).await?;
        assert!(imported.lines().any(|line| line.split_whitespace().eq(["unchanged", "14"])), "{imported}");
        assert_eq!(catalogue::read(&system).await?, all);

        let (code, said) = exported(&system, &["-", "--filter", "name = \"'*\"", "--order-by", "name desc"]).await?;
        assert_eq!(code, Some(0));
        let names: Vec<&str> = said.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        assert_eq!(names, ["'twas!", "''=quoted", "'; DROP TABLE products; --!", "'''-twice"]);
        let (code, said) = exported(&system, &["all.csv", "--filter", "id = 1 OR id = 2"]).await?;
        assert!(code == Some(1) && said.contains("filter is wrong at character 8: expected AND"), "{said}");
        assert_eq!(std::fs::read_to_string(system.folder().join("all.csv"))?, text, "it is as it was");
        assert_eq!(parts(system.folder())?, 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_that_is_interrupted_leaves_the_file_as_it_was() -> anyhow::Result<()> {
    let mut system = stocked(Options::default(), 1, &rows(10)).await?;
    std::fs::write(system.folder().join("all.csv"), "old")?;
    system.process(Role::Products(0))?.freeze().await?;
    let export = system.program(Role::Products(0)).argument("export").argument("all.csv").start()?;
    eventually("the file is begun", async || {
        anyhow::ensure!(parts(system.folder())? == 1, "it is not");
        Ok(())
    })
    .await;

    export.signal(Signal::INT)?;
    let (status, said) = export.finish().await?;

    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("stopped: all.csv is as it was"), "{said}");
    assert_eq!(
        (std::fs::read_to_string(system.folder().join("all.csv"))?.as_str(), parts(system.folder())?),
        ("old", 0)
    );
    Ok(())
}
