//! A catalogue with a lake, in which time can pass.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::Context as _;
use harness::postgres;
use harness::system::{Options, Role, System};
use proto::products::admin_service_client::AdminServiceClient;
use proto::products::product_service_client::ProductServiceClient;
use proto::products::{
    Archive, ArchiveVersionsRequest, ArchiveVersionsResponse, BatchCreateProductsRequest, BatchUpdateProductsRequest,
    ListArchivesRequest, ListProductVersionsRequest, Product, ProductVersion,
};
use tonic::{Status, Streaming};

use crate::products::shop::{draft, fresh, renamed};

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// A registry, product services, and a lake in a folder unless the options say where else.
pub(super) struct Depot {
    pub(super) system: System,
    pub(super) products: ProductServiceClient<mesh::Channel>,
    pub(super) admin: AdminServiceClient<mesh::Channel>,
    pub(super) database_url: Option<String>,
}

/// The same on each database that there is.
pub(super) fn each(settings: &[(&'static str, &str)]) -> anyhow::Result<Vec<Options>> {
    let settings = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Options { settings, ..Options::default() }.on_each_database()
}

/// A folder beside the database.
pub(super) const FOLDER: [(&str, &str); 1] = [("PRODUCTSVC_LAKE", "data/lake")];

impl Depot {
    pub(super) async fn open(options: Options) -> anyhow::Result<Self> {
        // Shown when a test ends in a panic.
        println!("on {options:?}");
        let database_url = options.database_url.clone();
        let count = options.products.max(1);
        let mut system = System::prepare(options)?;
        system.launch(Role::Registry).await?;
        for number in 0..count {
            system.launch(Role::Products(number)).await?;
        }
        system.ready().await;
        let channel = system.mesh().channel("productsvc", proto::products::DESCRIPTORS);
        let (products, admin) = (system.products(), AdminServiceClient::new(channel));
        Ok(Self { system, products, admin, database_url })
    }

    /// Adds so many products, and renames each so often.
    pub(super) async fn fill(&mut self, count: usize, changes: usize) -> anyhow::Result<Vec<Product>> {
        let mut products = Vec::with_capacity(count);
        let numbers: Vec<usize> = (0..count).collect();
        for numbers in numbers.chunks(1000) {
            let request = |number: &usize| {
                let named = format!("Deck screw {number}, \u{bd}\" \u{1f528}");
                proto::products::CreateProductRequest {
                    request_id: String::new(),
                    ..draft(&named, &format!("SKU-{number:06}"))
                }
            };
            let requests = numbers.iter().map(request).collect();
            let request = BatchCreateProductsRequest { requests, request_id: fresh(), ..Default::default() };
            products.extend(self.products.batch_create_products(request).await?.into_inner().products);
        }
        for change in 0..changes {
            self.rename(&mut products, &format!("Change {change}")).await?;
        }
        Ok(products)
    }

    pub(super) async fn rename(&mut self, products: &mut [Product], name: &str) -> anyhow::Result<()> {
        for products in products.chunks_mut(1000) {
            let request = |product: &Product| proto::products::UpdateProductRequest {
                request_id: String::new(),
                ..renamed(product, &format!("{name} of {}", product.id))
            };
            let requests = products.iter().map(request).collect();
            let request = BatchUpdateProductsRequest { requests, request_id: fresh(), ..Default::default() };
            let changed = self.products.batch_update_products(request).await?.into_inner().products;
            products.clone_from_slice(&changed);
        }
        Ok(())
    }

    /// Adds a product that was never changed.
    pub(super) async fn add(&mut self, sku: &str) -> anyhow::Result<Product> {
        let added = self.products.create_product(draft("Late screw", sku)).await?.into_inner().product;
        added.context("no product")
    }

    /// Everything that happened becomes so much older, beside the service's back.
    pub(super) fn pass(&self, days: i64) -> anyhow::Result<()> {
        let by = days * SECONDS_OF_A_DAY * 1_000_000;
        self.sql(&format!(
            "UPDATE products SET create_time = create_time - {by}, update_time = update_time - {by},
                delete_time = delete_time - {by};
            UPDATE product_versions SET create_time = create_time - {by}, update_time = update_time - {by},
                delete_time = delete_time - {by}, end_time = end_time - {by};
            UPDATE product_changes SET change_time = change_time - {by};"
        ))
        .map(drop)
    }

    /// A number that the database is asked for.
    pub(super) fn number(&self, query: &str) -> anyhow::Result<i64> {
        Ok(self.sql(query)?.trim().parse()?)
    }

    /// How many superseded versions are in the database.
    pub(super) fn superseded(&self) -> anyhow::Result<i64> {
        self.number("SELECT COUNT(*) FROM product_versions")
    }

    /// Runs statements as someone else; answers what the last printed.
    pub(super) fn sql(&self, statements: &str) -> anyhow::Result<String> {
        let mut client = match &self.database_url {
            Some(url) => {
                let mut client = postgres::client(url)?;
                client.args(["--single-transaction", "--command", statements]);
                client
            }
            None => {
                const SCRIPT: &str = "import sqlite3, sys\n\
                    it = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
                    for one in sys.argv[2].split(';'):\n    row = it.execute(one).fetchone()\n    \
                    if row: print(row[0])";
                let mut client = Command::new("python3");
                client.args(["-c", SCRIPT]).arg(self.system.folder().join("data/products.db")).arg(statements);
                client
            }
        };
        let Output { status, stdout, stderr } =
            client.stdin(Stdio::null()).output().context("psql and python3 reach the databases")?;
        anyhow::ensure!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        Ok(String::from_utf8(stdout)?)
    }

    /// Runs `productsvc archive`: its exit code, and what it printed.
    pub(super) async fn archive(&self, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let program = self.system.program(Role::Products(0)).argument("archive");
        let program = arguments.iter().fold(program, |program, argument| program.argument(*argument));
        let (status, output) = program.start()?.finish().await?;
        Ok((status.code(), output))
    }

    pub(super) async fn run(&mut self, through: &str) -> Result<Streaming<ArchiveVersionsResponse>, Status> {
        let request = ArchiveVersionsRequest { through_month: through.to_owned(), ..Default::default() };
        Ok(self.admin.archive_versions(request).await?.into_inner())
    }

    /// The code of the first month that is to be archived, as the database has it.
    pub(super) async fn first_month(&mut self) -> anyhow::Result<String> {
        let request = ArchiveVersionsRequest { validate_only: true, ..Default::default() };
        let mut stream = self.admin.archive_versions(request).await?.into_inner();
        let first = stream.message().await?.context("nothing is to be archived")?;
        Ok(first.month.replace('-', ""))
    }

    /// Archives everything and answers all that was told.
    pub(super) async fn archived(&mut self) -> Result<Vec<ArchiveVersionsResponse>, Status> {
        let mut stream = self.run("").await?;
        let mut told = Vec::new();
        while let Some(message) = stream.message().await? {
            told.push(message);
        }
        Ok(told)
    }

    pub(super) async fn archives(&mut self) -> anyhow::Result<Vec<Archive>> {
        let (mut archives, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListArchivesRequest { page_size: 2, page_token };
            let page = self.admin.list_archives(request).await?.into_inner();
            archives.extend(page.archives);
            if page.next_page_token.is_empty() {
                return Ok(archives);
            }
            page_token = page.next_page_token;
        }
    }

    /// The newest versions of a product.
    pub(super) async fn versions(&mut self, id: i64, count: i32) -> Result<Vec<ProductVersion>, Status> {
        let request = ListProductVersionsRequest { id, page_size: count, ..Default::default() };
        Ok(self.products.list_product_versions(request).await?.into_inner().versions)
    }

    /// All versions of these products.
    pub(super) async fn histories(&mut self, products: &[Product]) -> anyhow::Result<Vec<Vec<ProductVersion>>> {
        let mut histories = Vec::with_capacity(products.len());
        for product in products {
            histories.push(self.versions(product.id, 1000).await?);
        }
        Ok(histories)
    }

    /// The files in the lake, without manifests.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        fn walk(folder: PathBuf, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    walk(path, found);
                } else if path.extension().is_some_and(|extension| extension == "parquet") {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        walk(self.system.folder().join("data/lake"), &mut found);
        found
    }
}
