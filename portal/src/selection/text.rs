//! The one line in which people type what to look for in the log.
//!
//! `word`, `-word`, `"exactly this"`, `name=value`, and `request_id=` or `trace_id=` with an id.

use proto::logs::{FieldMatch, Filter};

/// Words, and fields, that the log service takes at most.
const MOST: usize = 32;

/// Reads a line into a filter; what is wrong with it is said in a sentence.
pub(super) fn read(text: &str) -> Result<Filter, String> {
    let mut filter = Filter::default();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (term, behind) = Term::first(rest);
        rest = behind.trim_start();
        term.add_to(&mut filter)?;
    }
    if filter.words.len().max(filter.without_words.len()).max(filter.fields.len()) > MOST {
        return Err("At most 32 words can be looked for at a time.".into());
    }
    Ok(filter)
}

/// One thing that is looked for.
#[derive(Debug, Clone, Copy)]
struct Term<'a> {
    is_excluded: bool,
    name: Option<&'a str>,
    value: &'a str,
    is_quoted: bool,
}

impl<'a> Term<'a> {
    /// The first term of a text that is not empty, and what stands behind it.
    fn first(text: &'a str) -> (Term<'a>, &'a str) {
        let excluded =
            text.strip_prefix('-').filter(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '"'));
        let bare = excluded.unwrap_or(text);
        let (name, value) = match bare.split_once('=') {
            Some((name, value)) if !name.is_empty() && name.chars().all(is_of_a_name) => (Some(name), value),
            _ => (None, bare),
        };
        let (value, is_quoted, behind) = match value.strip_prefix('"') {
            // Who forgets the second quotation mark means the rest.
            Some(quoted) => match quoted.split_once('"') {
                Some((value, behind)) => (value, true, behind),
                None => (quoted, true, ""),
            },
            None => {
                let (value, behind) = value.split_at(value.find(char::is_whitespace).unwrap_or(value.len()));
                (value, false, behind)
            }
        };
        (Term { is_excluded: excluded.is_some(), name, value, is_quoted }, behind)
    }

    fn add_to(self, filter: &mut Filter) -> Result<(), String> {
        let Term { is_excluded, name, value, is_quoted } = self;
        match (is_excluded, name, is_quoted) {
            (true, Some(name), _) => return Err(format!("Only words can be left out, not fields such as {name}.")),
            (true, None, true) => return Err("Only single words can be left out, not quoted text.".into()),
            (false, Some("request_id"), _) => value.clone_into(&mut filter.request_id),
            (false, Some("trace_id"), _) => value.clone_into(&mut filter.trace_id),
            (false, Some(name), _) => {
                filter.fields.push(FieldMatch { name: name.to_owned(), value: value.to_owned() });
            }
            (false, None, true) if value.is_empty() => {}
            (false, None, true) if filter.substring.is_empty() => value.clone_into(&mut filter.substring),
            (false, None, true) => return Err("Only one quoted text can be looked for at a time.".into()),
            (_, None, false) if !value.contains(char::is_alphanumeric) => {
                return Err(format!("{value} has no letter or digit. Put it into \"quotes\" to find it exactly so."));
            }
            (true, None, false) => filter.without_words.push(value.to_owned()),
            (false, None, false) => filter.words.push(value.to_owned()),
        }
        Ok(())
    }
}

/// What names of fields are made of, so that an address with a `=` in it is still words.
fn is_of_a_name(letter: char) -> bool {
    letter.is_alphanumeric() || "._-".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_exclusions_and_fields_are_told_apart() {
        let filter = read("  refused -timeout \"GET /products\" http.status=503 who=\"a b\" x-1 ").unwrap();

        assert_eq!(filter.words, ["refused", "x-1"]);
        assert_eq!(filter.without_words, ["timeout"]);
        assert_eq!(filter.substring, "GET /products");
        let fields: Vec<_> = filter.fields.iter().map(|field| (field.name.as_str(), field.value.as_str())).collect();
        assert_eq!(fields, [("http.status", "503"), ("who", "a b")]);
    }

    #[test]
    fn ids_and_addresses_are_what_they_look_like() {
        let filter = read("request_id=abc trace_id=4bf9 http://host/?q=1").unwrap();

        assert_eq!((filter.request_id.as_str(), filter.trace_id.as_str()), ("abc", "4bf9"));
        assert_eq!(filter.words, ["http://host/?q=1"]);
        assert_eq!(read("\"never closed").unwrap().substring, "never closed");
        assert_eq!(read("").unwrap(), Filter::default());
        assert_eq!(read("\"\"").unwrap(), Filter::default());
    }

    #[test]
    fn what_cannot_be_looked_for_is_said() {
        for (text, words) in [
            ("\"a\" \"b\"", "Only one quoted text"),
            ("-\"a b\"", "Only single words"),
            ("-a=b", "not fields such as a"),
            ("->", "-> has no letter or digit"),
            (&"word ".repeat(33), "At most 32"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn hostile_text_is_words() {
        let filter = read("<script>alert(1)</script> '; DROP -- é=ü").unwrap_err();
        assert!(filter.starts_with("';"), "{filter}");
    }
}
