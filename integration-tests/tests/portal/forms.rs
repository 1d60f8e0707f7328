//! Products come, change and go by forms; lists and searches show them.

use harness::System;

use super::{add, listed, submit, typed};

/// What is typed, and why which field is refused.
type Case<'a> = ([&'a str; 3], &'a [(&'a str, &'a str)]);

const HAMMER: [&str; 3] = ["Claw hammer 16 oz", "Tools/Hand", "HAM-16"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_is_added_found_changed_and_deleted_with_forms() -> anyhow::Result<()> {
    let system = System::start().await?;
    assert!(system.get("/").await?.text.contains("No products yet."));

    let product = add(&system, HAMMER).await?;
    add(&system, ["Nail", "Fasteners", "N-1"]).await?;

    let shown = system.get(&format!("{product}?notice=added")).await?;
    assert!(shown.status.is_success() && shown.text.contains("The product was added."));
    assert!(HAMMER.iter().all(|text| shown.text.contains(text)), "{}", shown.text);
    let home = system.get("/").await?;
    assert!(home.text.contains(HAMMER[0]) && listed(&home).len() == 2);
    for query in ["q=LAW+ham", "q=law+ham&field=name", "q=tools%2Fh&field=category", "q=am-16&field=sku"] {
        let found = system.get(&format!("/search?{query}")).await?;
        let text = found.text.replace("<mark>", "").replace("</mark>", "");
        assert!(text.contains(HAMMER[0]) && listed(&found).len() == 1, "{query}: {text}");
    }
    let nothing = system.get("/search?q=tools&field=sku").await?;
    assert!(nothing.status.is_success() && nothing.text.contains("Nothing found for “tools”."), "{}", nothing.text);

    let edit = format!("{product}/edit");
    let form = system.get(&edit).await?;
    assert_eq!(typed(&form), HAMMER);
    let saved = submit(&system, &edit, &form, ["Framing hammer", HAMMER[1], HAMMER[2]]).await?;
    assert_eq!((saved.status.as_u16(), saved.location()), (303, format!("{product}?notice=changed").as_str()));
    assert!(system.get(saved.location()).await?.text.contains("Framing hammer"));

    let delete = format!("{product}/delete");
    let question = system.get(&delete).await?;
    assert!(question.text.contains("Delete this product?") && question.text.contains("Framing hammer"));
    assert_eq!(listed(&system.get("/").await?).len(), 2, "it was only asked");
    let deleted = submit(&system, &delete, &question, HAMMER).await?;
    assert_eq!((deleted.status.as_u16(), deleted.location()), (303, "/?notice=deleted&undo=1"));
    let home = system.get(deleted.location()).await?;
    assert!(home.text.contains("The product was deleted.") && !home.text.contains("Framing hammer"));
    for path in [&product, &edit, &delete] {
        let gone = system.get(path).await?;
        assert!(gone.status == 410 && gone.text.contains("This product was deleted"), "{path}: {}", gone.status);
    }
    assert!(listed(&system.get("/search?q=hammer").await?).is_empty());
    add(&system, HAMMER).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_is_sent_twice_is_applied_once() -> anyhow::Result<()> {
    let system = System::start().await?;
    let form = system.get("/products/new").await?;

    let sent = (0..4).map(|_| submit(&system, "/products", &form, HAMMER));
    let answers = futures_util::future::try_join_all(sent).await?;

    assert!(answers.iter().all(|answer| answer.status == 303 && answer.location() == answers[0].location()));
    assert_eq!(listed(&system.get("/").await?).len(), 1);
    let other = submit(&system, "/products", &form, ["Saw", "Tools", "SAW-1"]).await?;
    assert!(other.status == 409 && other.text.contains("This form was sent before, with other values"));
    assert_eq!(typed(&other), ["Saw", "Tools", "SAW-1"]);
    let once_more = submit(&system, "/products", &other, ["Saw", "Tools", "SAW-1"]).await?;
    assert_eq!(once_more.status, 303);

    let product = format!("/products/{}", listed(&system.get("/").await?)[0]);
    let question = system.get(&format!("{product}/delete")).await?;
    for _ in 0..2 {
        let deleted = submit(&system, &format!("{product}/delete"), &question, HAMMER).await?;
        assert!(deleted.status == 303 && deleted.location().starts_with("/?notice=deleted&undo="));
    }
    assert_eq!(listed(&system.get("/").await?).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_form_keeps_what_was_typed_and_says_why_beside_the_field() -> anyhow::Result<()> {
    let system = System::start().await?;
    let holder = add(&system, HAMMER).await?;
    let long = "ä".repeat(201);
    let cases: [Case<'_>; 4] = [
        (["", " ", ""], &[("name", "Name must not be empty."), ("sku", "SKU must not be empty.")]),
        ([&long, "Tools", "A-1"], &[("name", "Name must have at most 200 characters, has 201.")]),
        (["Saw", "Too\u{7}ls", "A-1"], &[("category", "Category must not hold control characters.")]),
        (["Saw \"small\" & <b>", "Tools", "ham-16"], &[("sku", "Another product has this SKU.")]),
    ];

    for (texts, reasons) in cases {
        for (form, to) in [("/products/new", "/products"), (&format!("{holder}/edit"), &format!("{holder}/edit"))] {
            let own_sku = to != "/products" && texts[2] == "ham-16";
            let form = system.get(form).await?;
            let refused = submit(&system, to, &form, texts).await?;
            if own_sku {
                assert_eq!(refused.status, 303, "a product may change the case of its own SKU");
                continue;
            }

            assert_eq!(refused.status, 422, "{texts:?}");
            assert_eq!(typed(&refused), texts.map(str::to_owned));
            for (field, reason) in reasons {
                let (_, beside) = refused.text.split_once(&format!("id=\"{field}-error\"")).expect(reason);
                let beside = beside.split("</p>").next().unwrap_or_default();
                assert!(beside.contains(reason), "{beside}");
            }
            assert!(refused.title().starts_with("Error: "), "{}", refused.title());
        }
    }
    assert_eq!(listed(&system.get("/").await?).len(), 1, "nothing was added");
    let long = harness::http::encode(&long);
    for (query, reason) in [("+", "Type what you are looking for."), (&*long, "must have at most 200 characters")] {
        let refused = system.get(&format!("/search?q={query}")).await?;
        assert!(refused.status == 422 && refused.text.contains(reason), "{}", refused.text);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_people_who_change_a_product_at_once_the_second_sees_both() -> anyhow::Result<()> {
    let system = System::start().await?;
    let product = add(&system, HAMMER).await?;
    let (edit, delete) = (format!("{product}/edit"), format!("{product}/delete"));
    let (mine, theirs, question) = (system.get(&edit).await?, system.get(&edit).await?, system.get(&delete).await?);
    submit(&system, &edit, &theirs, ["Their hammer", HAMMER[1], HAMMER[2]]).await?;

    let conflict = submit(&system, &edit, &mine, ["My hammer", HAMMER[1], HAMMER[2]]).await?;
    let asked_again = submit(&system, &delete, &question, HAMMER).await?;

    assert_eq!(conflict.status, 409);
    assert_eq!(typed(&conflict), ["My hammer", HAMMER[1], HAMMER[2]]);
    assert!(conflict.text.contains("value=\"Their hammer\"") && conflict.text.contains("Someone else changed"));
    assert!(system.get(&product).await?.text.contains("Their hammer"), "nothing was overwritten");
    assert!(asked_again.status == 409 && asked_again.text.contains("Their hammer"), "{}", asked_again.text);

    let saved = submit(&system, &edit, &conflict, ["My hammer", HAMMER[1], HAMMER[2]]).await?;
    assert_eq!(saved.status, 303, "who has seen both may decide");
    let late = system.get(&edit).await?;
    let question = system.get(&delete).await?;
    submit(&system, &delete, &question, HAMMER).await?;
    let deleted = submit(&system, &edit, &late, ["My hammer", HAMMER[1], HAMMER[2]]).await?;
    assert!(deleted.status == 409 && deleted.text.contains("Someone else deleted this product in the meantime"));
    let anew = submit(&system, "/products", &deleted, ["My hammer", HAMMER[1], HAMMER[2]]).await?;
    assert!(anew.status == 303 && !anew.location().starts_with(&format!("{product}?")), "it becomes a new product");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stored_text_is_shown_as_text_on_every_page() -> anyhow::Result<()> {
    const HOSTILE: &str = "<script>alert(1)</script>'; DROP TABLE products; --\" onfocus=\"x";
    let system = System::start().await?;
    let texts = [HOSTILE, HOSTILE, &HOSTILE[..60]];

    let product = add(&system, texts).await?;

    let query = harness::http::encode(HOSTILE);
    let form = system.get(&format!("{product}/edit")).await?;
    let question = system.get(&format!("{product}/delete")).await?;
    assert_eq!(typed(&form), texts);
    assert_eq!(typed(&question), texts);
    // The forms above are stale from now on.
    let others = [HOSTILE, HOSTILE, &HOSTILE[..59]];
    for texts in [others, texts] {
        submit(&system, &format!("{product}/edit"), &system.get(&format!("{product}/edit")).await?, texts).await?;
    }
    let pages = [
        system.get("/").await?,
        system.get(&product).await?,
        system.get(&format!("/search?q={query}")).await?,
        system.get(&format!("/search?q={query}&field=category")).await?,
        submit(&system, "/products", &system.get("/products/new").await?, texts).await?,
        submit(&system, &format!("{product}/edit"), &form, texts).await?,
        submit(&system, &format!("{product}/delete"), &question, texts).await?,
        form,
        question,
    ];
    for page in pages {
        assert!(!page.text.contains("<script") && !page.text.contains("\" onfocus"), "{}", page.text);
        let shown = "&#60;script&#62;alert(1)&#60;/script&#62;&#39;; DROP TABLE products; --&#34; onfocus=&#34;x";
        assert!(page.text.contains(shown), "{}: {}", page.status, page.text);
    }
    assert_eq!(listed(&system.get(&format!("/search?q={query}&field=name")).await?).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_lead_there_and_back() -> anyhow::Result<()> {
    let system = System::start().await?;
    for n in 1..=120 {
        add(&system, [&format!("Nail {n}"), "Fasteners", &format!("N-{n}")]).await?;
    }

    for start in ["/", "/search?q=fasteners&field=category"] {
        let first = system.get(start).await?;
        let second = system.get(&first.link("next").expect("there is more")).await?;
        let third = system.get(&second.link("next").expect("there is more")).await?;
        assert_eq!((third.link("next"), first.link("prev")), (None, None));
        let all = [listed(&first), listed(&second), listed(&third)];
        assert_eq!(all.concat(), (1..=120).rev().collect::<Vec<u64>>());

        let back = system.get(&third.link("prev").expect("there is a way back")).await?;
        assert_eq!(listed(&back), all[1]);
        assert_eq!(listed(&system.get(&back.link("prev").expect("there is a way back")).await?), all[0]);
        let separator = if start.contains('?') { '&' } else { '?' };
        let stale = system.get(&format!("{start}{separator}page=tampered")).await?;
        assert!(stale.status == 400 && stale.text.contains("This link into the list is not valid any more"));
    }
    Ok(())
}
