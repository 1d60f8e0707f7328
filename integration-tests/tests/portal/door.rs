//! The door: who comes in, with a password, a session or a token, and what is refused.

pub(super) mod people;
mod streams;

use futures_util::future::join_all;
use harness::eventually;
use harness::http::{Page, encode, send};
use harness::system::{Options, Role, System, free_port};
use http::Method;
use proto::products::ListProductVersionsRequest;

use people::{House, PASSWORD};

/// How a page says that the role is too low.
const TOO_LOW: &str = "Your role does not allow this";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn off_loopback_the_portal_starts_only_when_somebody_can_log_in() -> anyhow::Result<()> {
    let system = System::prepare(Options::default())?;
    let exposed = format!("0.0.0.0:{}", free_port()?);
    let portal = || system.program(Role::Portal).set("PORTAL_HTTP_LISTEN", &exposed);

    let bare = portal().start()?.address().await.expect_err("nothing would be encrypted");
    assert!(bare.to_string().contains("--insecure"), "{bare}");
    let nobody = portal().argument("--insecure").start()?.address().await.expect_err("nobody could log in");
    assert!(nobody.to_string().contains("portal user add NAME --role administrator"), "{nobody}");

    people::command(&system, &["user", "add", "ed", "--role", "editor"], Some(PASSWORD))?;
    let editor = portal().argument("--insecure").start()?.address().await.expect_err("an editor is not enough");
    assert!(editor.to_string().contains("administrator"), "{editor}");
    people::command(&system, &["user", "role", "ed", "administrator"], None)?;
    let mut open = portal().argument("--insecure").start()?;
    open.address().await?;
    assert!(open.output().contains("people log in"), "{}", open.output());

    let local = system.program(Role::Portal).set("PORTAL_ACCOUNTS", "none/here.db");
    local.set("PORTAL_HTTP_LISTEN", "127.0.0.2:0").start()?.address().await?;
    assert!(!system.folder().join("none").exists(), "on loopback no accounts are needed, and none are opened");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_logged_in_sees_nothing_and_changes_nothing() -> anyhow::Result<()> {
    let house = House::start(&[]).await?;
    let nobody = house.nobody();

    for path in
        ["/", "/products/1?x=y", "/search?q=a", "/logs", "/services", "/users", "/audit", "/account", "/nowhere"]
    {
        let page = nobody.get(path).await?;
        assert_eq!(page.status, 303, "{path}");
        let next = path.replace('/', "%2F").replace('?', "%3F").replace('=', "%3D");
        assert!(page.location().starts_with("/login?next="), "{path}: {}", page.location());
        assert!(page.location().ends_with(&next) || page.location().contains(path), "{path}: {}", page.location());
    }
    for path in ["/healthz", "/style.css", "/favicon.svg", "/robots.txt", "/login"] {
        assert!(nobody.get(path).await?.status.is_success(), "{path}");
    }
    let refused = nobody.post("/products", &[("name", "Saw"), ("sku", "S-1")]).await?;
    assert_eq!(refused.status, 401);
    assert!(refused.text.contains("Log in first") && refused.headers.contains_key("www-authenticate"));
    assert!(!refused.text.contains("Saw"), "what was typed is nobody's to keep");
    assert_eq!(nobody.get("/metrics").await?.status, 401, "a program is not sent to a form");
    assert_eq!(
        house
            .system
            .products()
            .list_products(proto::products::ListProductsRequest::default())
            .await?
            .into_inner()
            .products
            .len(),
        0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_opens_a_session_that_ends_when_it_is_told_to() -> anyhow::Result<()> {
    let house = House::start(&[("ann", "editor")]).await?;
    let form = house.nobody().get("/login?next=%2Fcategories").await?;
    assert_eq!(form.input("next").as_deref(), Some("/categories"));

    let page =
        house.nobody().post("/login", &[("name", "Ann"), ("password", PASSWORD), ("next", "/categories")]).await?;
    assert_eq!((page.status.as_u16(), page.location()), (303, "/categories"));
    let cookie = page.headers["set-cookie"].to_str()?;
    assert!(cookie.starts_with("session=") && cookie.contains("; HttpOnly; SameSite=Lax"), "{cookie}");
    let foreign =
        house.nobody().post("/login", &[("name", "ann"), ("password", PASSWORD), ("next", "//evil.example")]).await?;
    assert_eq!(foreign.location(), "/");

    let ann = house.log_in("ann").await?;
    let home = ann.get("/").await?;
    assert!(home.text.contains("</span>ann</a>") && home.text.contains("editor") && home.text.contains("Log out"));
    assert!(!home.text.contains("href=\"/users\""), "the users are an administrator's");
    let stolen = ann.clone();
    let left = ann.post("/logout", &[]).await?;
    assert!(left.headers["set-cookie"].to_str()?.contains("Max-Age=0"));
    assert_eq!(stolen.get("/").await?.status, 303, "the cookie is worth nothing now");

    let (one, other) = (house.log_in("ann").await?, house.log_in("ann").await?);
    assert!(one.get("/account").await?.text.contains("End all others"));
    one.post("/account/sessions", &[("session", "others")]).await?;
    assert_eq!((one.get("/").await?.status.as_u16(), other.get("/").await?.status.as_u16()), (200, 303));
    people::command(&house.system, &["user", "sessions", "ann", "--revoke"], None)?;
    eventually("the command counts while the portal runs", async || {
        anyhow::ensure!(one.get("/").await?.status == 303, "still in");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_passwords_are_told_the_same_as_wrong_names_and_cost_time() -> anyhow::Result<()> {
    let house = House::start(&[("ann", "viewer")]).await?;
    let try_in = async |name: &str, password: &str| {
        house.nobody().post("/login", &[("name", name), ("password", password)]).await
    };
    let bare = |page: &Page| {
        let main = page.text.split("<main").nth(1).and_then(|rest| rest.split("</main>").next()).unwrap_or_default();
        main.replace("nobody", "ann")
    };

    let (wrong, unknown) = (try_in("ann", "wrong").await?, try_in("nobody", "wrong").await?);
    assert_eq!((wrong.status.as_u16(), unknown.status.as_u16()), (401, 401));
    assert_eq!(bare(&wrong), bare(&unknown));
    assert!(!wrong.text.contains("value=\"wrong\""));
    for _ in 0..4 {
        assert_eq!(try_in("ann", "wrong").await?.status, 401);
    }
    // The first pauses are as short as a busy machine takes for a password.
    for _ in 0..3 {
        eventually("another wrong one counts", async || {
            anyhow::ensure!(try_in("ann", "wrong").await?.status == 401, "not yet");
            Ok(())
        })
        .await;
    }
    let slowed = try_in("ann", PASSWORD).await?;
    assert_eq!(slowed.status, 429, "not even the right one");
    assert!(slowed.headers["retry-after"].to_str()?.parse::<u64>()? >= 1);
    assert!(slowed.text.contains("Too many tries went wrong"), "{}", slowed.text);
    eventually("the right password counts again a moment later", async || {
        anyhow::ensure!(try_in("ann", PASSWORD).await?.status == 303, "not yet");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_may_what_it_may_and_an_editors_changes_bear_the_name() -> anyhow::Result<()> {
    let house = House::start(&[("vic", "viewer"), ("ed", "editor")]).await?;
    let (vic, ed, root) = (house.log_in("vic").await?, house.log_in("ed").await?, house.log_in("root").await?);
    let fields = [
        ("name", "Claw hammer"),
        ("category", "Tools"),
        ("sku", "CH-1"),
        ("request_id", "0190d3b0-0000-4000-8000-000000000001"),
    ];

    let refused = vic.post("/products", &fields).await?;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains(TOO_LOW) && refused.text.contains("the role editor"), "{}", refused.text);
    assert!(vic.get("/products/new").await?.text.contains(TOO_LOW));
    assert!(!vic.get("/").await?.text.contains("href=\"/products/new\""), "what is not allowed is not offered");
    let added = ed.post("/products", &fields).await?;
    assert_eq!(added.status, 303, "{}", added.text);
    let product = added.location().split('?').next().unwrap_or_default().to_owned();
    for visitor in [&vic, &ed] {
        assert!(visitor.get(&product).await?.status.is_success());
        for path in ["/users", "/audit", "/users/root"] {
            let page = visitor.get(path).await?;
            assert!(page.status == 403 && page.text.contains("the role administrator"), "{path}: {}", page.text);
        }
        assert_eq!(visitor.post("/users/root/remove", &[]).await?.status, 403);
    }

    let history = ed.get(&format!("{product}/history")).await?;
    assert!(history.text.contains("<span>ed</span>"), "{}", history.text);
    let id = product.rsplit('/').next().unwrap_or_default().parse()?;
    let versions =
        house.system.products().list_product_versions(ListProductVersionsRequest { id, ..Default::default() }).await?;
    assert_eq!(versions.into_inner().versions[0].actor, "ed");
    house
        .shows(
            &root,
            "/audit",
            &["<th scope=\"row\" role=\"rowheader\">ed</th>", "added product", "its history", "logged in"],
        )
        .await;
    house.shows(&root, "/audit?actor=vic&since=1d", &["logged in"]).await;
    let of_vic = root.get("/audit?actor=vic").await?;
    assert!(!of_vic.text.contains("added product"), "{}", of_vic.text);
    house.shows(&root, "/logs?q=actor%3Ded%20service%3Aproductsvc", &["Logs"]).await;
    house.record("productsvc", "ed").await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_says_who_they_are_by_themselves() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor")]).await?;
    let ed = house.log_in("ed").await?;
    let form = "name=Saw&category=Tools&sku=S-1&request_id=0190d3b0-0000-4000-8000-000000000001";
    let cookie = ed.cookie.clone();
    let headers = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("cookie", cookie.as_str()),
        ("x-rundoo-actor", "root"),
        ("x-rundoo-caller", "portal/1"),
    ];
    let added = send(house.system.portal(), Method::POST, "/products", &headers, form.into()).await?;
    assert_eq!(added.status, 303);
    let product = added.location().split('?').next().unwrap_or_default();
    assert!(ed.get(&format!("{product}/history")).await?.text.contains("<span>ed</span>"));

    let foreign = [headers[0], headers[1], ("origin", "http://evil.example")];
    let refused = send(house.system.portal(), Method::POST, "/products", &foreign, form.into()).await?;
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("sent by another site"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_does_what_it_is_for_and_each_refusal_has_its_own_words() -> anyhow::Result<()> {
    let house = House::start(&[("ed", "editor")]).await?;
    let ed = house.log_in("ed").await?;
    let page = ed.post("/account/tokens", &[("label", "till"), ("scope", "products:read"), ("days", "9")]).await?;
    let token = page.text.split("rundoo_").nth(1).and_then(|rest| rest.get(..64)).expect("it is shown once");
    let program = house.program(&format!("rundoo_{token}"));
    assert!(!ed.get("/account").await?.text.contains(token), "and never again");

    let docs = ed.get("/docs/rundoo.products.v1.ProductService").await?;
    assert!(docs.text.contains("Authorization: Bearer $RUNDOO_TOKEN"), "{}", docs.text);
    assert!(program.get("/").await?.status.is_success());
    assert!(program.get("/export.csv").await?.status.is_success());
    for path in ["/logs", "/products/new", "/metrics"] {
        let refused = program.get(path).await?;
        assert_eq!(refused.status, 403, "{path}");
        assert!(
            refused.text.contains("This API token is not for that") || path == "/metrics",
            "{path}: {}",
            refused.text
        );
    }
    assert!(program.get("/account").await?.text.contains("This is not for API tokens"));
    assert!(
        program.post("/account/tokens", &[("label", "more"), ("scope", "admin"), ("days", "9")]).await?.status == 403
    );
    let wide = people::command(&house.system, &["token", "add", "ed", "--scope", "admin", "--days", "1"], None)?;
    let refused = house.program(wide.trim()).get("/users").await?;
    assert!(refused.status == 403 && refused.text.contains(TOO_LOW), "no more than its account: {}", refused.text);
    let numbers = people::command(&house.system, &["token", "add", "ed", "--scope", "logs:read"], None)?;
    assert!(house.program(numbers.trim()).get("/metrics").await?.status.is_success());

    let unknown = house.program(&format!("rundoo_{}", "0".repeat(64))).get("/").await?;
    assert_eq!(unknown.status, 401);
    assert!(unknown.text.contains("This API token is not known"));
    assert!(unknown.headers["www-authenticate"].to_str()?.contains("invalid_token"));
    people::command(&house.system, &["token", "remove", "1"], None)?;
    eventually("it is revoked", async || {
        let page = program.get("/").await?;
        anyhow::ensure!(page.status == 401 && page.text.contains("This API token was revoked"), "{}", page.status);
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_looks_after_accounts_and_never_shuts_everybody_out() -> anyhow::Result<()> {
    let house = House::start(&[]).await?;
    let root = house.log_in("root").await?;
    let add = async |name: &str, password: &str| {
        root.post("/users", &[("name", name), ("role", "viewer"), ("password", password)]).await
    };
    for (name, password, words) in [
        ("a b", PASSWORD, "A name is 1 to 64"),
        ("ann", "short", "12 letters at least"),
        ("root", PASSWORD, "an account of this name already"),
    ] {
        let page = add(name, password).await?;
        assert!(page.status.is_client_error() && page.text.contains(words), "{name}: {}", page.text);
        assert!(!page.text.contains(&format!("value=\"{password}\"")));
    }
    assert_eq!(add("ann", PASSWORD).await?.location(), "/users/ann?notice=user");

    let ann = house.log_in("ann").await?;
    assert_eq!(ann.get("/products/new").await?.status, 403);
    root.post("/users/ann/role", &[("role", "editor")]).await?;
    assert_eq!(ann.get("/products/new").await?.status, 200);
    root.post("/users/ann/password", &[("password", "another battery horse")]).await?;
    assert_eq!(ann.get("/").await?.status, 303);
    for (path, field) in [("/users/root/remove", ("", "")), ("/users/root/role", ("role", "viewer"))] {
        let page = root.post(path, &[field]).await?;
        assert!(page.status == 409 && page.text.contains("Nobody would be an administrator"), "{}", page.text);
    }
    assert_eq!(root.post("/users/ann/remove", &[]).await?.location(), "/users?notice=removed");
    assert!(root.get("/users/ann").await?.status == 404);
    house
        .shows(&root, "/audit", &["added account ann as viewer", "made account ann a editor", "removed account ann"])
        .await;

    people::command(&house.system, &["user", "add", "bea", "--role", "viewer"], Some(PASSWORD))?;
    house.shows(&root, "/audit?actor=command+line", &["added account bea as viewer (user "]).await;
    let users = root.get("/users.csv").await?;
    assert!(users.text.starts_with("\u{feff}name,role,created,seen,sessions,tokens\nbea,viewer,20"), "{}", users.text);
    let bea = house.log_in("bea").await?;
    assert!(bea.get("/users.csv").await?.status == 403);
    let sessions = bea.get("/account/sessions.csv").await?.text;
    assert!(sessions.starts_with("\u{feff}session,begun,seen,address,agent,own\n") && sessions.contains(",true"));
    assert!(bea.get("/account/tokens.csv").await?.text.starts_with("\u{feff}id,label,scopes,expires,used,ended\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_asks_too_often_is_told_when_to_come_again_and_others_are_served() -> anyhow::Result<()> {
    let house = House::with(&[("ed", "editor")], vec![("PORTAL_CLIENT_RATE", "20".into())]).await?;
    let (ed, root) = (house.log_in("ed").await?, house.log_in("root").await?);

    let pages = join_all((0..200).map(|_| ed.get("/search"))).await.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    let refused = pages.iter().find(|page| page.status == 429).expect("nobody asks 200 times at once");
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(refused.text.contains("Too many requests"));
    assert_eq!(root.get("/search").await?.status, 200, "another session is another client");
    // What is refused before anybody is asked who they are counts too.
    let foreign = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    let portal = house.system.portal();
    let pages = join_all((0..200).map(|_| send(portal, Method::POST, "/products", &foreign, "name=x".into()))).await;
    let statuses =
        pages.into_iter().map(|page| anyhow::Ok(page?.status.as_u16())).collect::<anyhow::Result<Vec<_>>>()?;
    assert!(statuses.contains(&403) && statuses.contains(&429), "{statuses:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_proxy_that_ends_tls_the_cookie_travels_by_tls_only() -> anyhow::Result<()> {
    let house = House::with(&[], vec![("PORTAL_TRUSTED_PROXY", "127.0.0.1".into())]).await?;
    let (portal, form) = (house.system.portal(), format!("name=root&password={}", encode(PASSWORD)));
    let proxied = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "6.6.6.6, 192.0.2.44"),
    ];

    let page = send(portal, Method::POST, "/login", &proxied, form).await?;
    assert_eq!(page.status, 303, "{}", page.text);
    assert_eq!(page.headers["strict-transport-security"], "max-age=31536000");
    let cookie = page.headers["set-cookie"].to_str()?.to_owned();
    assert!(cookie.starts_with("__Host-session=") && cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    let cookie = cookie.split(';').next().unwrap_or_default();

    let secure = [proxied[1], proxied[2], ("cookie", cookie)];
    let account = send(portal, Method::GET, "/account", &secure, String::new()).await?;
    assert!(account.text.contains("192.0.2.44") && !account.text.contains("6.6.6.6"), "{}", account.text);
    let plain = send(portal, Method::GET, "/account", &[("cookie", cookie)], String::new()).await?;
    assert_eq!(plain.status, 303);
    assert!(!plain.headers.contains_key("strict-transport-security"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hundred_bad_passwords_at_once_disturb_nobody() -> anyhow::Result<()> {
    let mut house = House::start(&[("ed", "editor")]).await?;
    let ed = house.log_in("ed").await?;
    let before = house.memory()?;

    let attack = async |from: usize| {
        let mut statuses = std::collections::BTreeMap::new();
        for n in 0..8 {
            let name = format!("user{}", from * 1000 + n);
            let page = house.nobody().post("/login", &[("name", &name), ("password", "wrong")]).await?;
            *statuses.entry(page.status.as_u16()).or_insert(0) += 1;
        }
        anyhow::Ok(statuses)
    };
    let others = async {
        for _ in 0..50 {
            let page = ed.get("/").await?;
            anyhow::ensure!(page.status == 200, "{}", page.status);
        }
        anyhow::Ok(())
    };
    let attacks = futures_util::future::try_join_all((0..100).map(attack));
    let (statuses, ()) = futures_util::future::try_join(attacks, others).await?;

    let all = statuses.iter().flatten();
    assert!(all.clone().all(|(status, _)| [401, 429, 503].contains(status)), "{statuses:?}");
    let computed: i32 = all.filter(|(status, _)| **status == 401).map(|(_, count)| count).sum();
    assert!((1..790).contains(&computed), "many are refused without computing: {statuses:?}");
    let grown = house.memory()?.saturating_sub(before);
    assert!(grown < 100 << 20, "{} MiB more", grown >> 20);
    Ok(())
}
