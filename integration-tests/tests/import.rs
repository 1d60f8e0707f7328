//! `productsvc import`: files of any size into the catalogue, each row once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use harness::system::{Options, Role, System};
use harness::{binaries, catalogue, eventually};
use proto::products::{ListProductsRequest, Product, UpdateProductRequest};

pub(crate) const ROWS: usize = 50_000;

/// Rows as stores have them: commas, quotes, line ends in quotes, other scripts.
pub(crate) fn varied(count: usize) -> String {
    let mut text = "\u{feff}sku,Name,CATEGORY\r\n".to_owned();
    for n in 0..count {
        let (name, category) = match n % 5 {
            0 => (format!("\"Deck screw #{n}, 3\"\" coated\""), "Fasteners/Screws"),
            1 => (format!("Wandfarbe weiß {n} l"), "Paint/Interior"),
            2 => (format!("\"{n}\"\" PVC pipe\""), "\"Plumbing, Pipe\""),
            3 => (format!("<b>Outlet</b> {n}A & 100% copper"), "Electrical"),
            _ => (format!("Hammer {n} 🔨"), "Tools/Hand"),
        };
        write!(text, "SKU-{n:06},{name},{category}\r\n").expect("a string takes everything");
    }
    text
}

pub(crate) fn file(system: &System, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = system.folder().join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// Imports a file as a person does: the exit code, and what was printed.
pub(crate) async fn import(system: &System, file: &Path, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let program = system.program(Role::Products(0)).argument("import").argument(file.display().to_string());
    let program = arguments.iter().fold(program, |program, argument| program.argument(*argument));
    let (status, output) = program.start()?.finish().await?;
    Ok((status.code(), output))
}

/// A summary in one line: `created 1, changed 2, unchanged 3, refused 4`.
pub(crate) fn counts(output: &str) -> String {
    let count = |what: &str| {
        let line = output.lines().find(|line| line.trim_start().starts_with(what)).unwrap_or_default();
        format!("{what} {}", line.split_whitespace().nth(1).unwrap_or("?"))
    };
    ["created", "changed", "unchanged", "refused"].map(count).join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_rows_come_in_are_shown_and_change_nothing_when_they_come_again() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::with(options).await?;
        let path = file(&system, "big.csv", &varied(ROWS))?;

        let (code, output) = import(&system, &path, &[]).await?;

        assert_eq!((code, counts(&output)), (Some(0), "created 50000, changed 0, unchanged 0, refused 0".to_owned()));
        let all = catalogue::read(&system).await?;
        assert_eq!(all.len(), ROWS);
        let text = |sku: &str| (all[sku].name.as_str(), all[sku].category.as_str(), all[sku].version);
        assert_eq!(text("SKU-000000"), ("Deck screw #0, 3\" coated", "Fasteners/Screws", 1));
        assert_eq!(text("SKU-000002"), ("2\" PVC pipe", "Plumbing, Pipe", 1));
        assert_eq!(text("SKU-049999"), ("Hammer 49999 🔨", "Tools/Hand", 1));

        let mut address = "/".to_owned();
        for shown in [49_999, 49_949, 49_899, 49_849] {
            let page = system.get(&address).await?;
            assert_eq!(page.status, 200);
            assert_eq!(page.text.matches("SKU-0").count(), 50);
            assert!(page.text.contains(&format!("SKU-{shown:06}")), "{address}");
            address = page.link("next").expect("there is more");
        }
        for query in ["q=hammer", "q=WEISS&field=name", "q=plumbing%2C&field=category", "q=sku-0123&field=sku"] {
            let page = system.get(&format!("/search?{query}")).await?;
            assert!(page.status.is_success() && page.text.matches("SKU-0").count() == 50, "{query}: {}", page.status);
            let next = system.get(&page.link("next").expect("there is more")).await?;
            assert!(next.status.is_success() && next.text.matches("SKU-0").count() == 50, "{query}: {}", next.status);
        }

        let (code, output) = import(&system, &path, &[]).await?;
        assert_eq!((code, counts(&output)), (Some(0), "created 0, changed 0, unchanged 50000, refused 0".to_owned()));
        assert_eq!(catalogue::read(&system).await?, all);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_rows_are_named_with_their_line_and_why() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::with(options).await?;
        let long = "x".repeat(201);
        let text = format!(
            "name,category,sku\n\
             Saw,Tools,SAW-1\n\
             ,Tools,SAW-2\n\
             \"Two\nlines\",Tools,SAW-3\n\
             {long},Tools,SAW-4\n\
             Saw,Tools,saw-1\n\
             \"Saw, \"\"small\"\"\",Tools,SAW-6\n\
             Saw\n\
             Straße,Tools,STRASSE\n\
             Strasse,Tools,straße\n"
        );
        let path = file(&system, "crooked.csv", &text)?;

        let (code, output) = import(&system, &path, &["--refused", "refused.csv"]).await?;

        assert_eq!((code, counts(&output)), (Some(2), "created 3, changed 0, unchanged 0, refused 6".to_owned()));
        let expected = [
            "line 3      name      name must not be empty",
            "line 4      name      name must not hold control characters",
            "line 6      name      name must have at most 200 characters, has 201",
            "line 7      sku       the SKU stands on line 2 already",
            "line 9      category  category must not be empty; sku must not be empty",
            "line 11     sku       the SKU stands on line 10 already",
        ];
        let refused: Vec<&str> = output.lines().map(str::trim).filter(|line| line.starts_with("line ")).collect();
        assert_eq!(refused, expected);
        let written = std::fs::read_to_string(system.folder().join("refused.csv"))?;
        assert!(written.starts_with("name,category,sku,line,field,reason,message\n,Tools,SAW-2,3,name,INVALID_FIELD,"));
        assert!(written.contains("\"Two\nlines\",Tools,SAW-3,4,name,INVALID_FIELD,"), "{written}");
        assert!(written.contains(&format!("\n{long},Tools,SAW-4,6,")), "the row is whole, to be corrected");
        assert!(written.contains("Saw,Tools,saw-1,7,sku,DUPLICATE_SKU,"), "{written}");

        let corrected = written.replace(&long, "Long saw").replace("saw-1", "SAW-5").replace("\"Two\nlines\"", "Lines");
        let path = file(&system, "corrected.csv", &corrected)?;
        let (code, output) = import(&system, &path, &["--mode", "create"]).await?;
        assert_eq!((code, counts(&output)), (Some(2), "created 3, changed 0, unchanged 0, refused 3".to_owned()));
        assert!(output.contains("the column \"line\" is ignored") && output.contains(" has this SKU"), "{output}");
        let skus: Vec<String> = catalogue::read(&system).await?.into_keys().collect();
        assert_eq!(skus, ["SAW-1", "SAW-3", "SAW-4", "SAW-5", "SAW-6", "STRASSE"]);

        let broken = file(&system, "broken.csv", "name,category,sku\nNail,Tools,NAIL-1\n\"Nail,Tools,NAIL-2\n")?;
        let (code, output) = import(&system, &broken, &[]).await?;
        assert_eq!(code, Some(1));
        assert!(output.contains("line 3 has a quote that is never closed") && output.contains("nothing was sent"));
        let many = (0..30).fold("name,category,sku\n".to_owned(), |text, _| text + "Nail,Tools,\n");
        let (_, output) = import(&system, &file(&system, "many.csv", &many)?, &[]).await?;
        assert!(output.contains("and 10 more; --refused FILE.csv writes all of them to a file"), "{output}");
        assert_eq!(catalogue::read(&system).await?.len(), 6);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_applied_once_for_its_request_id_and_only_if_new_when_that_is_asked() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let system = System::with(options).await?;
        let sample = binaries::root().join("productsvc/sample/catalogue.csv");

        let id = uuid::Uuid::new_v4().to_string();
        let (code, first) = import(&system, &sample, &["--only-if-new", "--request-id", &id]).await?;
        let all = catalogue::read(&system).await?;
        assert_eq!((code, all.len() >= 200), (Some(0), true), "{first}");
        assert_eq!(counts(&first), format!("created {}, changed 0, unchanged 0, refused 0", all.len()));

        let product = all.values().next().expect("there is one");
        let Product { id: number, category, sku, etag, .. } = product.clone();
        let change = UpdateProductRequest {
            id: number,
            name: "Another".into(),
            category,
            sku,
            etag,
            request_id: String::new(),
            ..Default::default()
        };
        system.products().update_product(change).await?;
        let changed = catalogue::read(&system).await?;

        let (code, again) = import(&system, &sample, &["--only-if-new", "--request-id", &id]).await?;
        assert_eq!((code, counts(&again)), (Some(0), counts(&first)), "it answers as the first time");
        assert_eq!(catalogue::read(&system).await?, changed, "and changes nothing");
        let (code, other) = import(&system, &sample, &["--request-id", &id]).await?;
        assert!(code == Some(1) && other.contains("this request id belongs to another import"), "{other}");
        let (code, refused) = import(&system, &sample, &["--only-if-new"]).await?;
        assert!(code == Some(3) && refused.contains("the catalogue is not new: nothing was imported"), "{refused}");
        assert_eq!(catalogue::read(&system).await?, changed);

        let (code, output) = import(&system, &sample, &[]).await?;
        assert_eq!(code, Some(0));
        assert_eq!(counts(&output), format!("created 0, changed 1, unchanged {}, refused 0", all.len() - 1));
        assert_eq!(catalogue::read(&system).await?[&product.sku].name, product.name);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_when_the_product_service_is_killed_and_started_again() -> anyhow::Result<()> {
    for options in Options::default().on_each_database()? {
        println!("on {options:?}");
        let mut system = System::with(options).await?;
        let path = file(&system, "big.csv", &varied(ROWS))?;
        let program = system.program(Role::Products(0)).argument("import").argument(path.display().to_string());
        let mut importing = program.start()?;
        eventually("rows come in", async || {
            let page = system.products().list_products(ListProductsRequest::default()).await?.into_inner();
            anyhow::ensure!(!page.products.is_empty(), "none yet");
            Ok(())
        })
        .await;

        system.kill(Role::Products(0)).await?;
        assert!(importing.ended().is_none(), "it is in the middle");
        eventually("it waits", async || {
            anyhow::ensure!(importing.output().contains("waiting up to 30 s for the product service"));
            Ok(())
        })
        .await;
        system.launch(Role::Products(0)).await?;
        let (status, output) = importing.finish().await?;

        assert!(status.success(), "{output}");
        assert_eq!(counts(&output), "created 50000, changed 0, unchanged 0, refused 0");
        let all = catalogue::read(&system).await?;
        assert_eq!(all.len(), ROWS);
        assert!(all.values().all(|product| product.version == 1), "each row was stored once");
    }
    Ok(())
}
