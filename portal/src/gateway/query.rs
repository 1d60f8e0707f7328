//! The query of a request: names and texts, and the fields that they fill.

use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, ReflectMessage as _};

use crate::gateway::{
    fields::{self, Violation},
    route::Route,
    rule::Body,
    said::Said,
};

/// Fills fields with what neither the path nor the body says; answers what is wrong.
pub(super) fn fill(route: &Route, query: &str, message: &mut DynamicMessage, said: &mut Said) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (name, text) in pairs(query) {
        let filled = match (&name, &text) {
            (Ok(name), Ok(text)) => set(route, message, said, (name, text)),
            (Ok(name), Err(NotText(_))) => Err(Violation::new(name, "it is not UTF-8 once it is decoded")),
            (Err(NotText(name)), _) => Err(Violation::new(name, "the name is not UTF-8 once it is decoded")),
        };
        violations.extend(filled.err());
    }
    violations
}

/// What is no text once it is decoded, as far as it is one.
#[derive(Debug, PartialEq, Eq)]
struct NotText(String);

/// Names and texts, as forms write them.
fn pairs(query: &str) -> impl Iterator<Item = (Result<String, NotText>, Result<String, NotText>)> + '_ {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, text)| (decoded(name), decoded(text)))
}

fn decoded(text: &str) -> Result<String, NotText> {
    let text = text.replace('+', " ");
    let bytes: Vec<u8> = percent_decode_str(&text).collect();
    String::from_utf8(bytes).map_err(|cause| NotText(String::from_utf8_lossy(cause.as_bytes()).into_owned()))
}

fn set(
    route: &Route,
    message: &mut DynamicMessage,
    said: &mut Said,
    (name, text): (&str, &str),
) -> Result<(), Violation> {
    let way = fields::way(&message.descriptor(), name);
    if matches!((&route.binding.body, way.first()), (Body::Field(body), Some(first)) if body == first) {
        return Err(Violation::new(name, "it is what the body says"));
    }
    if way.last().is_some_and(|field| !field.is_list()) && !said.add(&way) {
        return Err(Violation::new(name, fields::TWICE));
    }
    fields::set(message, (name, &way), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_write_it() {
        let texts: Vec<_> =
            pairs("a=b+c&&d%20e=%C3%A9=1&f").map(|(name, text)| (name.unwrap(), text.unwrap())).collect();
        let expected = [("a", "b c"), ("d e", "é=1"), ("f", "")];
        assert_eq!(texts, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }

    #[test]
    fn what_is_no_text_is_not_made_one() {
        let mut texts = pairs("text=%FF&%FE=x");
        assert_eq!(texts.next(), Some((Ok("text".into()), Err(NotText("\u{fffd}".into())))));
        assert_eq!(texts.next(), Some((Err(NotText("\u{fffd}".into())), Ok("x".into()))));
    }
}
