//! The catalogue through the mesh: the same words on SQLite and on PostgreSQL.

mod shop;
mod changes;
mod versions;
mod replay;
mod batches;
mod watchers;
mod crashes;
mod orders;
mod archives;
mod searches;
mod categories;
mod filters;
mod exports;
mod plans;
mod hangs;
mod keeping;
mod adoption;
mod backups;
mod checks;
mod jobs;
mod takeover;
mod commands;

use std::collections::BTreeSet;

use proto::products::{CreateProductRequest, DeleteProductRequest, SearchField, UpdateProductRequest};
use tonic::Code;

use crate::products::shop::{draft, everywhere, fresh, renamed, skus, why};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_added_read_changed_and_deleted() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let added = shop.add("  Claw \u{a0} hammer ", "HAM-1").await?;
        assert_eq!((added.name.as_str(), added.version, added.etag.as_str()), ("Claw hammer", 1, "\"1\""));
        assert!(added.id > 0 && added.create_time.is_some() && added.create_time == added.update_time);
        assert_eq!(shop.get(added.id).await?, added);

        let changed = shop.update(renamed(&added, "Framing hammer")).await?;
        assert_eq!((changed.id, changed.name.as_str(), changed.version), (added.id, "Framing hammer", 2));
        assert_eq!(changed.create_time, added.create_time);
        assert_eq!(skus(&shop.list(0, "").await?.products), ["HAM-1"]);

        let deleted = shop.delete(changed.id, &changed.etag).await?;
        assert!(deleted.delete_time.is_some() && deleted.version == 3);
        assert_eq!(shop.get(added.id).await?, deleted, "a deleted product is answered as it was");
        assert!(shop.list(0, "").await?.products.is_empty());
        assert!(shop.search(SearchField::Any, "hammer", 0, "").await?.products.is_empty());

        let refused = shop.update(renamed(&deleted, "Hammer")).await.expect_err("it is deleted");
        assert_eq!(why(&refused), (Code::FailedPrecondition, "PRODUCT_DELETED".to_owned(), Vec::new()));
        let again = shop.delete(added.id, "").await.expect_err("it is deleted already");
        assert_eq!(why(&again), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        let never = shop.get(i64::MAX).await.expect_err("it never was");
        assert_eq!(why(&never), (Code::NotFound, "PRODUCT_NOT_FOUND".to_owned(), Vec::new()));
        let never = shop.update(UpdateProductRequest { id: i64::MAX, ..renamed(&added, "Saw") }).await;
        assert_eq!(never.expect_err("it never was").code(), Code::NotFound);

        let next = shop.add("Claw hammer", "ham-1").await?;
        assert!(next.id > added.id, "the SKU is free again, the id is not");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_etag_is_told_the_present_version() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let first = shop.add("Claw hammer", "HAM-1").await?;
        let second = shop.update(renamed(&first, "Framing hammer")).await?;

        let update = shop.update(renamed(&first, "Sledgehammer")).await.expect_err("someone was faster");
        let delete = shop.delete(first.id, &first.etag).await.expect_err("someone was faster");

        for stale in [update, delete] {
            assert_eq!(why(&stale), (Code::Aborted, "STALE_VERSION".to_owned(), Vec::new()));
            assert_eq!(mesh::Refusal::metadata_of(&stale, "version").as_deref(), Some("2"));
        }
        assert_eq!(shop.get(first.id).await?, second, "nothing was changed");
        for etag in ["2", "\"02\"", "W/\"2\"", "\"-2\"", "garbage"] {
            let request = UpdateProductRequest { etag: etag.to_owned(), ..renamed(&second, "Sledgehammer") };
            let refused = shop.update(request).await.expect_err("it is no etag");
            assert_eq!(why(&refused), (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec!["etag".to_owned()]));
        }
        let future = UpdateProductRequest { etag: "\"3\"".to_owned(), ..renamed(&second, "Sledgehammer") };
        assert_eq!(shop.update(future).await.expect_err("there is no version 3 yet").code(), Code::Aborted);
        assert_eq!(shop.delete(first.id, "").await?.version, 3, "without an etag it is whichever version");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sku_is_unique_without_regard_to_case_in_any_script() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let pairs = [
            ("ham-1", "HAM-1"),
            ("äöå-1", "ÄÖÅ-1"),
            ("e\u{301}-1", "É-1"),
            ("straße", "STRASSE"),
            ("σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("молоток", "МОЛОТОК"),
            ("ＡＢＣ－２", "abc-2"),
            ("a  b", "A\u{3000}B"),
        ];
        let other = shop.add("Other", "OTHER").await?;
        for (sku, same) in pairs {
            let holder = shop.add("Claw hammer", sku).await?;

            let created = shop.create(draft("Claw hammer", same)).await.expect_err(same);
            let updated = UpdateProductRequest { sku: same.to_owned(), ..renamed(&other, "Other") };
            let updated = shop.update(updated).await.expect_err(same);

            for taken in [created, updated] {
                assert_eq!(why(&taken), (Code::AlreadyExists, "SKU_TAKEN".to_owned(), vec!["sku".to_owned()]));
                let named = mesh::Refusal::metadata_of(&taken, "product_id");
                assert_eq!(named, Some(holder.id.to_string()), "{same}");
            }
            let own = UpdateProductRequest { sku: same.to_owned(), ..renamed(&holder, "Claw hammer") };
            let changed = shop.update(own).await?;
            shop.delete(changed.id, &changed.etag).await?;
            shop.add("Claw hammer", sku).await?;
        }
        assert_eq!(shop.list(0, "").await?.products.len(), pairs.len() + 1);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_field_at_fault_is_named() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let whole = shop.add(&"ä".repeat(200), &"ß".repeat(64)).await?;
        let invalid = |fields: &[&str]| {
            let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
            (Code::InvalidArgument, "INVALID_FIELD".to_owned(), fields)
        };
        let (name, category, sku) = ("x".repeat(201), "x".repeat(121), "x".repeat(65));
        let cases: [(&str, &str, &str, &[&str]); 8] = [
            ("", "", "", &["name", "category", "sku"]),
            (" \t ", "\u{3000}", "\u{a0}", &["name", "category", "sku"]),
            (&name, &category, &sku, &["name", "category", "sku"]),
            ("a\0b", "a\u{202e}b", "a\nb", &["name", "category", "sku"]),
            ("a\u{1b}[31mb", "Tools", "T\u{feff}1", &["name", "sku"]),
            ("Saw", &category, "SAW-1", &["category"]),
            ("Saw", "Tools", "", &["sku"]),
            ("Saw", "Tools", &"\u{fdfa}".repeat(64), &["sku"]),
        ];
        for (name, category, sku, fields) in cases {
            let (name, category, sku) = (name.to_owned(), category.to_owned(), sku.to_owned());
            let create = CreateProductRequest { name, category, sku, request_id: fresh(), ..Default::default() };
            let update = UpdateProductRequest {
                name: create.name.clone(),
                category: create.category.clone(),
                sku: create.sku.clone(),
                ..renamed(&whole, "")
            };

            assert_eq!(why(&shop.create(create).await.expect_err("it is refused")), invalid(fields));
            assert_eq!(why(&shop.update(update).await.expect_err("it is refused")), invalid(fields));
        }

        let empty = shop.update(UpdateProductRequest::default()).await.expect_err("all is missing");
        assert_eq!(why(&empty), invalid(&["id", "name", "category", "sku"]));
        for id in [0, -1, i64::MIN] {
            assert_eq!(why(&shop.get(id).await.expect_err("it is no id")), invalid(&["id"]));
            assert_eq!(why(&shop.delete(id, "x").await.expect_err("it is no id")), invalid(&["id", "etag"]));
        }
        for query in [String::new(), " ".to_owned(), "x".repeat(201), "a\0b".to_owned()] {
            let refused = shop.search(SearchField::Any, &query, -1, "").await.expect_err("it is no query");
            assert_eq!(why(&refused), invalid(&["query", "page_size"]));
        }
        assert_eq!(why(&shop.list(-1, "").await.expect_err("it is negative")), invalid(&["page_size"]));
        assert_eq!(why(&shop.list(i32::MIN, "").await.expect_err("it is negative")), invalid(&["page_size"]));
        assert_eq!(shop.list(i32::MAX, "").await?.products, [whole], "nothing was changed");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_applied_once_for_its_request_id() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let request = draft("Claw hammer", "HAM-1");
        let mut clients: Vec<_> = (0..8).map(|_| shop.products.clone()).collect();
        let calls = clients.iter_mut().map(|client| client.create_product(request.clone()));
        let answers = futures_util::future::try_join_all(calls).await?;
        let answers: Vec<_> = answers.into_iter().map(|answer| answer.into_inner().product).collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let first = shop.create(request.clone()).await?;
        assert_eq!(Some(&first), answers[0].as_ref());
        assert_eq!(shop.list(0, "").await?.products.len(), 1);

        let change = renamed(&first, "Framing hammer");
        let changed = shop.update(change.clone()).await?;
        assert_eq!(shop.update(change.clone()).await?, changed, "stale only if it were another change");
        let last = shop.update(renamed(&changed, "Sledgehammer")).await?;
        assert_eq!(shop.update(change.clone()).await?, changed, "it is answered as the first time");
        assert_eq!(shop.get(first.id).await?, last);

        let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED".to_owned(), vec!["request_id".to_owned()]);
        let other = CreateProductRequest { name: "Saw".to_owned(), ..request.clone() };
        assert_eq!(why(&shop.create(other).await.expect_err("another request")), reused);
        let other = UpdateProductRequest { request_id: request.request_id.clone(), ..renamed(&last, "Saw") };
        assert_eq!(why(&shop.update(other).await.expect_err("another method")), reused);
        let other = DeleteProductRequest {
            id: first.id,
            etag: String::new(),
            request_id: change.request_id,
            ..Default::default()
        };
        let refused = shop.products.delete_product(other).await.expect_err("another method");
        assert_eq!(why(&refused), reused);
        let other = CreateProductRequest { request_id: "no uuid".to_owned(), ..draft("Saw", "SAW-1") };
        let malformed = shop.create(other).await.expect_err("it is no UUID");
        assert_eq!(why(&malformed).2, ["request_id"]);

        let refused = draft("Claw hammer", "ham-1");
        shop.create(refused.clone()).await.expect_err("the SKU is taken");
        shop.delete(first.id, &last.etag).await?;
        let created = shop.create(refused).await?;
        assert_eq!(created.sku, "ham-1", "a refused write leaves its request id free");
        assert_eq!(skus(&shop.list(0, "").await?.products), ["ham-1"]);
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_lead_there_and_back_without_loss_or_repetition() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(1300).await?;
        let mut expected: Vec<String> = (1..=1300).rev().map(|line| format!("SKU-{line:04}")).collect();

        for size in [97, 650, i32::MAX] {
            let (mut there, mut token) = (Vec::new(), String::new());
            let last = loop {
                let page = shop.list(size, &token).await?;
                there.push(skus(&page.products).into_iter().map(str::to_owned).collect::<Vec<_>>());
                if page.next_page_token.is_empty() {
                    break page;
                }
                token.clone_from(&page.next_page_token);
            };
            assert_eq!(there.concat(), expected);
            assert!(there.iter().rev().skip(1).all(|page| page.len() == usize::try_from(size).unwrap().min(1000)));

            let (mut back, mut token) = (Vec::new(), last.previous_page_token);
            while !token.is_empty() {
                let page = shop.list(size, &token).await?;
                back.push(skus(&page.products).into_iter().map(str::to_owned).collect::<Vec<_>>());
                token = page.previous_page_token;
            }
            back.reverse();
            assert_eq!(back, there[..there.len() - 1], "the way back shows the same pages");
        }

        // While someone pages, products come and go.
        let first = shop.list(100, "").await?;
        let on_the_next: Vec<_> = shop.list(50, &first.next_page_token).await?.products;
        for product in &on_the_next {
            shop.delete(product.id, &product.etag).await?;
        }
        shop.add("Newest", "NEWEST").await?;
        let rest = shop.list(1000, &first.next_page_token).await?;
        let end = shop.list(1000, &rest.next_page_token).await?;
        expected.drain(100..150);
        let seen = [skus(&first.products), skus(&rest.products), skus(&end.products)].concat();
        assert_eq!(seen, expected);

        let (mut found, mut token) = (BTreeSet::new(), String::new());
        loop {
            let page = shop.search(SearchField::Category, "aisle 3", 20, &token).await?;
            assert!(page.products.iter().all(|product| product.category == "Aisle 3"));
            assert!(page.products.into_iter().all(|product| found.insert(product.sku)), "it was shown before");
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        let left = expected.iter().filter(|sku| sku[4..].parse::<u32>().unwrap() % 7 == 3);
        assert!(left.eq(found.iter().rev()));
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_take_every_character_as_it_is() -> anyhow::Result<()> {
    everywhere(async |shop| {
        let names = [
            ("100% cotton drop cloth", "A"),
            ("100 x cotton drop cloth", "B"),
            ("snap_line", "C"),
            ("snapXline", "D"),
            (r"in\out valve", "E"),
            ("in/out valve", "F"),
            ("3/4\" pipe, 'red'", "G"),
            ("<script>alert(1)</script>", "H"),
            ("'; DROP TABLE products; --", "I"),
            ("½ in. Straßenfarbe ÖL", "J"),
            ("*.* [a-z] ^$ ?", "K"),
        ];
        for (name, sku) in names {
            shop.add(name, sku).await?;
        }
        let cases = [
            ("100%", vec!["A"]),
            ("%", vec!["A"]),
            ("0% c", vec![]),
            ("100% c", vec!["A"]),
            ("_", vec!["C"]),
            ("snap_line", vec!["C"]),
            (r"\", vec!["E"]),
            (r"\_", vec![]),
            (r"n\o", vec!["E"]),
            ("\"", vec!["G"]),
            ("'", vec!["I", "G"]),
            ("''", vec![]),
            ("<SCRIPT>", vec!["H"]),
            ("'; DROP TABLE products; --", vec!["I"]),
            ("' OR '1'='1", vec![]),
            ("1/2 IN", vec!["J"]),
            ("STRASSENFARBE öl", vec!["J"]),
            ("o\u{308}l", vec!["J"]),
            ("*", vec!["K"]),
            ("[a-z]", vec!["K"]),
            ("drop", vec!["I", "B", "A"]),
        ];
        for (query, expected) in cases {
            for field in [SearchField::Unspecified, SearchField::Any, SearchField::Name] {
                let found = shop.search(field, query, 0, "").await?;
                assert_eq!(skus(&found.products), expected, "{query:?} in {field:?}");
            }
        }

        let everywhere = shop.search(SearchField::Category, "TOOLS/", 0, "").await?;
        assert_eq!(everywhere.products.len(), names.len());
        assert!(shop.search(SearchField::Name, "tools/", 0, "").await?.products.is_empty());
        assert_eq!(skus(&shop.search(SearchField::Sku, "h", 0, "").await?.products), ["H"]);
        assert_eq!(shop.list(0, "").await?.products.len(), names.len(), "no table was dropped");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn page_tokens_of_another_request_are_refused() -> anyhow::Result<()> {
    everywhere(async |shop| {
        shop.fill(30).await?;
        let listed = shop.list(10, "").await?.next_page_token;
        let found = shop.search(SearchField::Any, "product", 10, "").await?.next_page_token;
        let other = shop.search(SearchField::Name, "product", 10, "").await?.next_page_token;
        let invalid = (Code::InvalidArgument, "INVALID_PAGE_TOKEN".to_owned(), vec!["page_token".to_owned()]);
        let mut tampered: Vec<char> = listed.chars().collect();
        tampered[6] = if tampered[6] == 'A' { 'B' } else { 'A' };
        let garbage = ["x", "not a token", "AAAA", "'; DROP TABLE products; --", "%00", &"A".repeat(100_000)];

        let foreign = [found.as_str(), &tampered.iter().collect::<String>(), &listed[1..], &format!("{listed}A")];
        for token in garbage.into_iter().chain(foreign) {
            assert_eq!(why(&shop.list(10, token).await.expect_err(token)), invalid, "{token}");
        }
        for token in garbage.into_iter().chain([listed.as_str(), &other]) {
            let refused = shop.search(SearchField::Any, "product", 10, token).await.expect_err(token);
            assert_eq!(why(&refused), invalid, "{token}");
        }
        let refused = shop.search(SearchField::Any, "products", 10, &found).await.expect_err("another query");
        assert_eq!(why(&refused), invalid);

        let same = shop.search(SearchField::Unspecified, " PRODUCT ", 5, &found).await?;
        assert_eq!(same.products.len(), 5, "it is the same query in other words");
        Ok(())
    })
    .await
}
