//! Templates and the paths that they stand for.

use proptest::prelude::*;

use super::*;

fn captured(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let template = Template::parse(template).unwrap();
    template.matches(path).then(|| {
        let captured = template.capture(path).unwrap();
        captured.into_iter().map(|(field, text)| (field.to_owned(), text)).collect()
    })
}

fn pairs(pairs: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
    Some(pairs.iter().map(|(field, text)| ((*field).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn a_template_covers_those_whose_paths_are_all_its_own() {
    for (one, other, covers) in [
        ("/v1/products", "/v1/products", true),
        ("/v1/products/{id}", "/v1/products/{name}", true),
        ("/v1/products/{id}", "/v1/products/featured", true),
        ("/v1/products/featured", "/v1/products/{id}", false),
        ("/v1/products/{id}", "/v1/products/{id}:promote", true),
        ("/v1/products", "/v1/products:promote", false),
        ("/v1/products/{id}:watch", "/v1/products/{id}", false),
        ("/v1/{name=shelves/**}", "/v1/shelves/1/books/{book}", true),
        ("/v1/{name=shelves/*}", "/v1/{name=shelves/**}", false),
        ("/v1/products/{id}", "/v1/products/{id}/versions", false),
    ] {
        let parse = |text| Template::parse(text).unwrap();
        assert_eq!(parse(one).covers(&parse(other)), covers, "{one} {other}");
    }
}

#[test]
fn a_path_fills_the_fields_that_its_template_names() {
    for (template, path, fields) in [
        ("/v1/products", "/v1/products", pairs(&[])),
        ("/v1/products/{id}", "/v1/products/7", pairs(&[("id", "7")])),
        ("/v1/products/{id}", "/v1/products/a%2Fb%20c", pairs(&[("id", "a/b c")])),
        ("/v1/products/{id}", "/v1/products/", None),
        ("/v1/products/{id}", "/v1/products", None),
        ("/v1/products/{id}", "/v1/products/7/versions", None),
        ("/v1/products/{id}:undelete", "/v1/products/7:undelete", pairs(&[("id", "7")])),
        ("/v1/products/{id}:undelete", "/v1/products/7", None),
        ("/v1/products:watch", "/v1/products:watch", pairs(&[])),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/books/2", pairs(&[("name", "shelves/1/books/2")])),
        ("/v1/{name=shelves/**}", "/v1/shelves/1%2F2/x%20y", pairs(&[("name", "shelves/1%2F2/x y")])),
        ("/v1/{name=shelves/**}", "/v1/shelves/a%2fb%2Fc%20d", pairs(&[("name", "shelves/a%2fb%2Fc d")])),
        ("/v1/{name=shelves/*/x}", "/v1/shelves/a%2Fb%2fc/x", pairs(&[("name", "shelves/a%2Fb%2fc/x")])),
        ("/v1/{name=shelves/**}", "/v1/shelves", pairs(&[("name", "shelves")])),
        ("/v1/{a.b}/**", "/v1/x/y/z", pairs(&[("a.b", "x")])),
        ("/v1/{a}", "v1/x", None),
    ] {
        assert_eq!(captured(template, path), fields, "{template} {path}");
    }
}

#[test]
fn a_template_is_written_as_it_is_read_and_filled_by_segment() {
    for (text, path, fields) in [
        ("/v1/products/{id}:undelete", "/v1/products/1:undelete", vec![("id", "1")]),
        ("/v1/{a.b=x/*/y/*}/{c}", "/v1/x/1/y/2/3", vec![("a.b", "x/1/y/2"), ("c", "3")]),
        ("/v1/*/{c=**}", "/v1/1/2", vec![("c", "2")]),
        ("/v1/{c=x}", "/v1/x", vec![("c", "x")]),
    ] {
        let template = Template::parse(text).unwrap();
        assert_eq!(template.to_string(), text);
        assert_eq!(template.filled(["1", "2", "3"]), path);
        assert!(template.matches(path), "{text}");
        for (field, value) in fields {
            assert_eq!(template.text_of(field, ["1", "2", "3"]).as_deref(), Some(value), "{text}");
        }
    }
    let template = Template::parse("/v1/{id}/{a=x/**}").unwrap();
    let wildcards: Vec<_> = template.wildcards().collect();
    assert_eq!(wildcards[0], Wildcard { field: Some("id"), is_whole: true, is_rest: false });
    assert_eq!(wildcards[1], Wildcard { field: Some("a"), is_whole: false, is_rest: true });
}

#[test]
fn what_is_no_template_is_told_in_words() {
    for (text, wrong) in [
        ("", "'/' is missing"),
        ("v1", "'/' is missing"),
        ("/v1/{id", "'}' is missing"),
        ("/v1/{}", "a name is missing"),
        ("/v1/{id}/{id}", "id stands there twice"),
        ("/v1/**/x", "** may only be the last segment"),
        ("/v1/x:y:z", "is left over"),
        ("/v1//x", "a name is missing"),
    ] {
        let error = Template::parse(text).unwrap_err();
        assert!(error.contains(wrong), "{text}: {error}");
    }
}

#[test]
fn what_says_more_comes_first() {
    let mut templates: Vec<Template> =
        ["/v1/{rest=**}", "/v1/products/{id}", "/v1/products/new", "/v1/products/{id}:undelete", "/v1/{a}/new"]
            .map(|text| Template::parse(text).unwrap())
            .into();
    templates.sort_by_key(Template::precedence);
    let order: Vec<String> = templates.iter().map(Template::to_string).collect();
    assert_eq!(
        order,
        ["/v1/products/{id}:undelete", "/v1/products/new", "/v1/products/{id}", "/v1/{a}/new", "/v1/{rest=**}"]
    );
}

mod fuzz {
    use super::*;

    proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "[/{}*=.:a-z%~-]{0,40}|\\PC{0,40}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(Template::parse(&template.to_string()), Ok(template));
            }
        }

        #[test]
        fn no_path_breaks_a_template(path in "/[/a-z0-9:%*. é-]{0,60}|\\PC{0,60}") {
            for text in ["/v1/{id}", "/v1/{id}:undelete", "/v1/{name=a/*/b/**}", "/v1/{rest=**}:x", "/**"] {
                let template = Template::parse(text).unwrap();
                if template.matches(&path) {
                    let fields = template.fields().count();
                    prop_assert!(template.capture(&path).is_ok_and(|captured| captured.len() == fields)
                        || path.contains('%'));
                }
            }
        }

        #[test]
        fn whatever_is_encoded_comes_back(text in "\\PC{1,30}") {
            let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC);
            prop_assert_eq!(captured("/v1/{id}:x", &format!("/v1/{encoded}:x")), pairs(&[("id", text.as_str())]));
        }
    }
}
