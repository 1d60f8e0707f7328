//! Conformance: every kind of value by path, query and body, and what proto3's JSON says of each.

use http::Method;
use serde_json::{Value, json};

use super::{ask, read, with_specimen};

/// What is sent, and what of it comes back: bodies of `{"shapes": …}`.
const ALIKE: [(&str, &str); 31] = [
    (r#"{"text":"a\"\\\u0001é🔨"}"#, r#"{"text":"a\"\\\u0001é🔨"}"#),
    (r#"{"text":null}"#, r#"{}"#),
    (r#"{"text":""}"#, r#"{}"#),
    (r#"{"small":-2147483648,"smallUnsigned":4294967295}"#, r#"{"small":-2147483648,"smallUnsigned":4294967295}"#),
    (r#"{"small":"7","small_zigzag":-8}"#, r#"{"small":7,"smallZigzag":-8}"#),
    (r#"{"small":7.0}"#, r#"{"small":7}"#),
    (r#"{"large":9007199254740993}"#, r#"{"large":"9007199254740993"}"#),
    (r#"{"large":"-9223372036854775808"}"#, r#"{"large":"-9223372036854775808"}"#),
    (r#"{"largeUnsigned":"18446744073709551615"}"#, r#"{"largeUnsigned":"18446744073709551615"}"#),
    (
        r#"{"largeZigzag":"-1","largeFixed":"1","largeSignedFixed":"-1"}"#,
        r#"{"largeZigzag":"-1","largeFixed":"1","largeSignedFixed":"-1"}"#,
    ),
    (r#"{"smallFixed":1,"smallSignedFixed":-1}"#, r#"{"smallFixed":1,"smallSignedFixed":-1}"#),
    (r#"{"single":1.5,"twice":1e300}"#, r#"{"single":1.5,"twice":1e300}"#),
    (r#"{"single":"NaN","twice":"-Infinity"}"#, r#"{"single":"NaN","twice":"-Infinity"}"#),
    (r#"{"truth":true,"raw":"AP8="}"#, r#"{"truth":true,"raw":"AP8="}"#),
    (r#"{"raw":"_-8"}"#, r#"{"raw":"/+8="}"#),
    (
        r#"{"kind":"KIND_SECOND","kinds":["KIND_FIRST",2]}"#,
        r#"{"kind":"KIND_SECOND","kinds":["KIND_FIRST","KIND_SECOND"]}"#,
    ),
    (r#"{"kind":1}"#, r#"{"kind":"KIND_FIRST"}"#),
    (r#"{"time":"2026-11-30T12:00:00+02:00"}"#, r#"{"time":"2026-11-30T10:00:00Z"}"#),
    (r#"{"time":"1969-12-31T23:59:59.000000001Z"}"#, r#"{"time":"1969-12-31T23:59:59.000000001Z"}"#),
    (r#"{"time":"2026-01-01T00:00:00.5Z","span":"-1.5s"}"#, r#"{"time":"2026-01-01T00:00:00.500Z","span":"-1.500s"}"#),
    (r#"{"mask":"text,inner.text"}"#, r#"{"mask":"text,inner.text"}"#),
    (r#"{"texts":["","a"],"numbers":["1",2]}"#, r#"{"texts":["","a"],"numbers":["1","2"]}"#),
    (r#"{"counts":{"a":"1"}}"#, r#"{"counts":{"a":"1"}}"#),
    (r#"{"maybe":""}"#, r#"{"maybe":""}"#),
    (r#"{"left":""}"#, r#"{"left":""}"#),
    (r#"{"inner":{"inner":{"text":"deep"}}}"#, r#"{"inner":{"inner":{"text":"deep"}}}"#),
    (
        r#"{"wrapped":"","anything":{"a":[1,null,{"b":true}]}}"#,
        r#"{"wrapped":"","anything":{"a":[1.0,null,{"b":true}]}}"#,
    ),
    (r#"{"large":1e3,"largeUnsigned":7.0}"#, r#"{"large":"1000","largeUnsigned":"7"}"#),
    (r#"{"measure":"-Infinity"}"#, r#"{"measure":"-Infinity"}"#),
    (r#"{"measure":"NaN","nothing":null}"#, r#"{"measure":"NaN","nothing":null}"#),
    (r#"{"measure":0}"#, r#"{"measure":0.0}"#),
];

/// Bodies that fit no contract, and the way to what does not.
const WRONG: [(&str, &str); 29] = [
    (r#"{"shapes":{"text":"a","text":"b"}}"#, "shapes.text"),
    (r#"{"shapes":{"unknown":1}}"#, "shapes.unknown"),
    (r#"{"shapes":{"inner":{"unknown":1}}}"#, "shapes.inner.unknown"),
    (r#"{"shapes":{"text":7}}"#, "shapes.text"),
    (r#"{"shapes":{"small":2147483648}}"#, "shapes.small"),
    (r#"{"shapes":{"small":1.5}}"#, "shapes.small"),
    (r#"{"shapes":{"smallUnsigned":-1}}"#, "shapes.smallUnsigned"),
    (r#"{"shapes":{"large":"9223372036854775808"}}"#, "shapes.large"),
    (r#"{"shapes":{"large":-9223372036854775809}}"#, "shapes.large"),
    (r#"{"shapes":{"large":9007199254740993.0}}"#, "shapes.large"),
    (r#"{"shapes":{"largeUnsigned":18446744073709551616}}"#, "shapes.largeUnsigned"),
    (r#"{"shapes":{"numbers":[1,1e19]}}"#, "shapes.numbers[1]"),
    (r#"{"shapes":{"counts":{"a":9223372036854775808}}}"#, "shapes.counts.a"),
    (r#"{"shapes":{"single":1e39}}"#, "shapes.single"),
    (r#"{"shapes":{"single":"inf"}}"#, "shapes.single"),
    (r#"{"shapes":{"twice":"1e400"}}"#, "shapes.twice"),
    (r#"{"shapes":{"twice":1e400}}"#, "shapes.twice"),
    (r#"{"shapes":{"measure":"nan"}}"#, "shapes.measure"),
    (r#"{"shapes":{"truth":"true"}}"#, "shapes.truth"),
    (r#"{"shapes":{"raw":"?"}}"#, "shapes.raw"),
    (r#"{"shapes":{"kind":"KIND_NONE"}}"#, "shapes.kind"),
    (r#"{"shapes":{"time":"yesterday"}}"#, "shapes.time"),
    (r#"{"shapes":{"span":"1 minute"}}"#, "shapes.span"),
    (r#"{"shapes":{"texts":"a"}}"#, "shapes.texts"),
    (r#"{"shapes":{"left":"a","right":"1"}}"#, "shapes.right"),
    (r#"{"shapes":{"first":{},"second":{}}}"#, "shapes.second"),
    (r#"{"shapes":{"wrapped":["a"]}}"#, "shapes.wrapped"),
    (r#"{"shapes":[]}"#, "shapes"),
    (r#"[]"#, ""),
];

/// Verb, path, headers and body of a request, and what comes of it.
type Case<'a> = (Method, &'a str, Headers<'a>, &'a str, Value);

type Headers<'a> = &'a [(&'a str, &'a str)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_service_is_on_the_gateway_with_every_kind_of_value() -> anyhow::Result<()> {
    let mut specimens = with_specimen().await?;
    let system = specimens.system();
    for (sent, expected) in ALIKE {
        let page = ask(system, &Method::POST, "/v1/mirror", &[], &format!("{{\"shapes\":{sent}}}")).await?;
        let expected: Value = serde_json::from_str(expected)?;
        assert_eq!(page.status, 200, "{sent}: {}", page.text);
        assert_eq!(read(&page)?, json!({"shapes": expected}), "{sent}");
    }
    for (body, way) in WRONG {
        let page = ask(system, &Method::POST, "/v1/mirror", &[], body).await?;
        assert_eq!(page.status, 400, "{body}: {}", page.text);
        let problem = read(&page)?;
        assert_eq!(problem["reason"], json!("INVALID_REQUEST"), "{body}");
        assert_eq!(problem["violations"][0]["field"].as_str().unwrap_or_default(), way, "{body}: {problem}");
    }
    Ok(())
}

/// Requests, and what the service saw of them.
fn bindings() -> Vec<Case<'static>> {
    let mut cases = queries();
    cases.extend(others());
    cases.extend(corners());
    cases
}

fn queries() -> Vec<Case<'static>> {
    vec![
        (
            Method::GET,
            "/v1/mirror?shapes.text=a%20b&shapes.small=-1&shapes.large=9007199254740993&shapes.truth=true&shapes.kind=KIND_FIRST",
            &[],
            "",
            json!({"shapes": {"text": "a b", "small": -1, "large": "9007199254740993", "truth": true, "kind": "KIND_FIRST"}}),
        ),
        (
            Method::GET,
            "/v1/mirror?shapes.texts=a&shapes.texts=b&shapes.numbers=1&shapes.kinds=2&shapes.raw=AP8",
            &[],
            "",
            json!({"shapes": {"texts": ["a", "b"], "numbers": ["1"], "kinds": ["KIND_SECOND"], "raw": "AP8="}}),
        ),
        (
            Method::GET,
            "/v1/mirror?shapes.time=2026-11-30T00:00:00Z&shapes.span=1.5s&shapes.mask=text,inner.text&shapes.wrapped=x",
            &[],
            "",
            json!({"shapes": {"time": "2026-11-30T00:00:00Z", "span": "1.500s", "mask": "text,inner.text", "wrapped": "x"}}),
        ),
        (
            Method::GET,
            "/v1/mirror?shapes.largeUnsigned=18446744073709551615&shapes.twice=1.5&shapes.inner.inner.text=deep",
            &[],
            "",
            json!({"shapes": {"largeUnsigned": "18446744073709551615", "twice": 1.5, "inner": {"inner": {"text": "deep"}}}}),
        ),
    ]
}

fn others() -> Vec<Case<'static>> {
    vec![
        (
            Method::GET,
            "/v1/mirror/a%2Fb/kinds/KIND_SECOND?tag=x",
            &[],
            "",
            json!({"shapes": {"text": "a/b", "kind": "KIND_SECOND"}, "tag": "x"}),
        ),
        (Method::GET, "/v1/mirror/folders/1/files/2/3%2F4", &[], "", json!({"tag": "folders/1/files/2/3%2F4"})),
        (Method::GET, "/v1/mirror:shapes?shapes.text=only", &[], "", json!({"text": "only"})),
        (
            Method::PUT,
            "/v1/mirror/t?etag=e",
            &[],
            r#"{"text":"in the body"}"#,
            json!({"shapes": {"text": "in the body"}, "tag": "t", "etag": "e"}),
        ),
        (
            Method::PATCH,
            "/v1/mirror/t",
            &[("if-match", "\"3\""), ("idempotency-key", "\"k\"")],
            r#"{"shapes":{"text":"x"}}"#,
            json!({"shapes": {"text": "x"}, "tag": "t", "etag": "\"3\"", "requestId": "k", "updateMask": "shapes"}),
        ),
        (
            Method::PATCH,
            "/v1/mirror/t",
            &[],
            r#"{"shapes":{"text":"x"},"updateMask":"tag"}"#,
            json!({"shapes": {"text": "x"}, "tag": "t", "updateMask": "tag"}),
        ),
        (
            Method::PATCH,
            "/v1/mirror/t:shapes",
            &[],
            r#"{"text":"x","kind":null}"#,
            json!({"shapes": {"text": "x"}, "tag": "t", "updateMask": "kind,text"}),
        ),
        (
            Method::PATCH,
            "/v1/mirror/t:shapes?updateMask=flag",
            &[],
            r#"{"text":"x"}"#,
            json!({"shapes": {"text": "x"}, "tag": "t", "updateMask": "flag"}),
        ),
        (Method::DELETE, "/v1/mirror/t:away", &[], "", json!({"tag": "t"})),
        (Method::HEAD, "/v1/mirror?tag=x", &[], "", Value::Null),
    ]
}

/// What is easily lost on the way.
fn corners() -> Vec<Case<'static>> {
    vec![
        (
            Method::GET,
            "/v1/mirror/folders/1/files/a%2fb%2Fc%20d",
            &[],
            "",
            json!({"tag": "folders/1/files/a%2fb%2Fc d"}),
        ),
        (Method::GET, "/v1/mirror:tag?tag=alone", &[], "", json!("alone")),
        (Method::GET, "/v1/mirror:tag", &[], "", json!("")),
        (
            Method::PATCH,
            "/v1/mirror/texts/x",
            &[],
            r#"{"text":"x","small":1}"#,
            json!({"shapes": {"text": "x", "small": 1}, "updateMask": "small"}),
        ),
        (
            Method::GET,
            "/v1/mirror?shapes.measure=Infinity&shapes.twice=-Infinity&shapes.first.code=0",
            &[],
            "",
            json!({"shapes": {"twice": "-Infinity", "measure": "Infinity", "first": {}}}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn paths_queries_bodies_and_headers_fill_the_fields_that_the_annotation_says() -> anyhow::Result<()> {
    let mut specimens = with_specimen().await?;
    let system = specimens.system();
    for (verb, path, headers, body, expected) in bindings() {
        let page = ask(system, &verb, path, headers, body).await?;
        assert_eq!(page.status, 200, "{verb} {path}: {}", page.text);
        let came = if verb == Method::HEAD { Value::Null } else { read(&page)? };
        assert_eq!(came, expected, "{verb} {path}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_is_refused_and_never_reaches_the_service() -> anyhow::Result<()> {
    let mut specimens = with_specimen().await?;
    let system = specimens.system();
    let cases: [(Method, &str, Headers<'_>, &str, u16); 26] = [
        (Method::GET, "/v1/mirror?shapes=x", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.inner=x", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.counts.a=1", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.text=a&shapes.text=b", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.left=a&shapes.right=1", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.small=2147483648", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.first.code=1&shapes.second.code=2", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.twice=1e400", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.single=inf", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.measure=nan", &[], "", 400),
        (Method::GET, "/v1/mirror?shapes.text=%FF", &[], "", 400),
        (Method::GET, "/v1/mirror/a/kinds/KIND_NONE", &[], "", 400),
        (Method::GET, "/v1/mirror", &[], "{}", 400),
        (Method::POST, "/v1/mirror?tag=x", &[], "{}", 400),
        (Method::POST, "/v1/mirror", &[], r#"{"shapes":{"largeUnsigned":"1","large_unsigned":"1"}}"#, 400),
        (Method::PATCH, "/v1/mirror/t", &[], r#"{"tag":"other"}"#, 400),
        (Method::PATCH, "/v1/mirror/t", &[("if-match", "\"3\"")], r#"{"etag":"\"4\""}"#, 400),
        (Method::PATCH, "/v1/mirror/t", &[("if-match", "\"3\", \"4\"")], "{}", 400),
        (Method::PATCH, "/v1/mirror/t", &[], r#"{"tag":"t"}"#, 400),
        (Method::PATCH, "/v1/mirror/t", &[("if-match", "W/\"3\"")], r#"{"shapes":{}}"#, 412),
        (Method::PATCH, "/v1/mirror/t", &[("if-none-match", "\"3\"")], r#"{"shapes":{}}"#, 400),
        (Method::POST, "/v1/mirror", &[("if-none-match", "*")], "{}", 400),
        (Method::PATCH, "/v1/mirror/texts/x", &[], r#"{"text":"x"}"#, 400),
        (Method::GET, "/v1/specimens:emit?count=1", &[("sec-fetch-site", "cross-site")], "", 403),
        (Method::POST, "/v1/specimens:gather", &[], "{}", 404),
        (Method::POST, "/v1/specimens:log", &[], "{}", 404),
    ];
    for (verb, path, headers, body, status) in cases {
        let page = ask(system, &verb, path, headers, body).await?;
        assert_eq!(page.status.as_u16(), status, "{verb} {path} {body}: {}", page.text);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_code_of_grpc_has_its_status_in_http() -> anyhow::Result<()> {
    let mut specimens = with_specimen().await?;
    let system = specimens.system();
    let codes: [(i32, &str, u16); 16] = [
        (1, "CANCELLED", 499),
        (2, "UNKNOWN", 500),
        (3, "INVALID_ARGUMENT", 400),
        (4, "DEADLINE_EXCEEDED", 504),
        (5, "NOT_FOUND", 404),
        (6, "ALREADY_EXISTS", 409),
        (7, "PERMISSION_DENIED", 403),
        (8, "RESOURCE_EXHAUSTED", 429),
        (9, "FAILED_PRECONDITION", 400),
        (10, "ABORTED", 409),
        (11, "OUT_OF_RANGE", 400),
        (12, "UNIMPLEMENTED", 501),
        (13, "INTERNAL", 500),
        (14, "UNAVAILABLE", 503),
        (15, "DATA_LOSS", 500),
        (16, "UNAUTHENTICATED", 401),
    ];
    for (code, name, status) in codes {
        let page =
            ask(system, &Method::POST, "/v1/specimens:write", &[], &format!(r#"{{"task":{{"code":{code}}}}}"#)).await?;
        assert_eq!((page.status.as_u16(), &read(&page)?["code"]), (status, &json!(name)), "{}", page.text);
        assert_eq!(page.headers.contains_key("retry-after"), [8, 14].contains(&code), "{name}");
        assert_eq!(page.headers.contains_key("www-authenticate"), code == 16, "{name}");
    }
    let slow = "/v1/specimens:echo?task.wait=5s";
    let page = ask(system, &Method::GET, slow, &[("request-timeout", "0.2")], "").await?;
    assert_eq!((page.status.as_u16(), &read(&page)?["code"]), (504, &json!("DEADLINE_EXCEEDED")), "{}", page.text);
    let left = ask(system, &Method::GET, "/v1/specimens:echo?text=x", &[("request-timeout", "60")], "").await?;
    let left = read(&left)?["left"].as_str().map(str::to_owned).unwrap_or_default();
    let seconds: f64 = left.strip_suffix('s').unwrap_or_default().parse()?;
    assert!(seconds > 30.0 && seconds <= 60.0, "{left}");
    Ok(())
}
