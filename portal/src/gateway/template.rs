//! Path templates of `google.api.http`, such as `/v1/products/{id}/versions/{version}:restore`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
    variables: Vec<Variable>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    /// `*`: one segment.
    One,
    /// `**`: all that is left, which may be nothing.
    Rest,
}

/// A field of the request that a part of the path fills.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Variable {
    field: String,
    first: usize,
    behind: usize,
}

/// What a path says of the fields of the request: their paths and texts.
pub(crate) type Captured<'t> = Vec<(&'t str, String)>;

/// A path that is no text once it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotText;

impl Template {
    /// Reads a template; the error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Template, String> {
        let mut reader = Reader { rest: text, template: Template { segments: vec![], verb: None, variables: vec![] } };
        reader.read().map_err(|wrong| format!("{text:?}: {wrong}"))?;
        Ok(reader.template)
    }

    /// The fields that the path fills.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        self.variables.iter().map(|variable| variable.field.as_str())
    }

    /// Whether this is the template of a path as it came, still encoded.
    pub(crate) fn matches(&self, path: &str) -> bool {
        self.cut(path).is_some_and(|parts| self.fits(&parts))
    }

    /// What a path that [matches](Self::matches) says of the request's fields.
    pub(crate) fn capture(&self, path: &str) -> Result<Captured<'_>, NotText> {
        let parts = self.cut(path).unwrap_or_default();
        let captured = self.variables.iter().map(|variable| {
            let behind = if self.segments.get(variable.behind - 1) == Some(&Segment::Rest) {
                parts.len()
            } else {
                variable.behind
            };
            let own = parts.get(variable.first..behind).unwrap_or_default();
            let single = self.segments[variable.first..variable.behind] == [Segment::One];
            let texts = own.iter().map(|part| if single { decoded(part) } else { decoded_but_slashes(part) });
            Ok((variable.field.as_str(), texts.collect::<Result<Vec<_>, _>>()?.join("/")))
        });
        captured.collect()
    }

    /// The order in which templates are tried: what says more about its paths comes first.
    pub(crate) fn precedence(&self) -> impl Ord + use<> {
        let rank = |segment: &Segment| match segment {
            Segment::Literal(_) => 0_u8,
            Segment::One => 1,
            Segment::Rest => 2,
        };
        (self.verb.is_none(), self.segments.iter().map(rank).collect::<Vec<_>>(), self.to_string())
    }

    /// Whether both stand for the same paths.
    pub(crate) fn collides_with(&self, other: &Template) -> bool {
        self.verb == other.verb && self.segments == other.segments
    }

    /// Whether each path of the other is one of this too.
    pub(crate) fn covers(&self, other: &Template) -> bool {
        let open = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(open);
        let length = if open { other.segments.len() >= fixed } else { other.segments.len() == fixed };
        // A wildcard at the end takes what is a verb elsewhere as a part of its text.
        let verb = self.verb == other.verb
            || (self.verb.is_none() && matches!(self.segments.last(), Some(Segment::One | Segment::Rest)));
        verb && length
            && self.segments.iter().zip(&other.segments).all(|(own, segment)| match own {
                Segment::Literal(_) => own == segment,
                Segment::One => *segment != Segment::Rest,
                Segment::Rest => true,
            })
    }

    /// The segments of a path without its verb; nothing when it has another.
    fn cut<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let path = path.strip_prefix('/')?;
        let path = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        Some(path.split('/').collect())
    }

    fn fits(&self, parts: &[&str]) -> bool {
        let open = self.segments.last() == Some(&Segment::Rest);
        let fixed = self.segments.len() - usize::from(open);
        let length = if open { parts.len() >= fixed } else { parts.len() == fixed };
        length
            && self.segments.iter().zip(parts).all(|(segment, part)| match segment {
                Segment::Literal(text) => decoded(part).is_ok_and(|part| part == *text),
                Segment::One => !part.is_empty(),
                Segment::Rest => true,
            })
    }
}

/// The template with its variables by name, as `OpenAPI` writes it: `/v1/products/{id}:undelete`.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut at = 0;
        while at < self.segments.len() {
            if let Some(variable) = self.variables.iter().find(|variable| variable.first == at) {
                write!(f, "/{{{}}}", variable.field)?;
                at = variable.behind;
                continue;
            }
            match &self.segments[at] {
                Segment::Literal(text) => write!(f, "/{text}")?,
                Segment::One => f.write_str("/*")?,
                Segment::Rest => f.write_str("/**")?,
            }
            at += 1;
        }
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

struct Reader<'t> {
    rest: &'t str,
    template: Template,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), String> {
        loop {
            self.expect('/')?;
            if self.eat('{') {
                self.variable()?
            } else {
                self.segment()?
            }
            if self.eat(':') {
                self.template.verb = Some(self.word()?);
                break;
            }
            if self.rest.is_empty() {
                break;
            }
        }
        if !self.rest.is_empty() {
            return Err(format!("{:?} is left over", self.rest));
        }
        let rests = self.template.segments.iter().rev().skip(1);
        if rests.clone().any(|segment| *segment == Segment::Rest) {
            return Err("** may only be the last segment".into());
        }
        Ok(())
    }

    fn variable(&mut self) -> Result<(), String> {
        let mut field = self.word()?;
        while self.eat('.') {
            field = format!("{field}.{}", self.word()?);
        }
        let first = self.template.segments.len();
        if self.eat('=') {
            self.segment()?;
            while self.eat('/') {
                self.segment()?;
            }
        } else {
            self.template.segments.push(Segment::One);
        }
        self.expect('}')?;
        if self.template.variables.iter().any(|known| known.field == field) {
            return Err(format!("{field} stands there twice"));
        }
        let behind = self.template.segments.len();
        self.template.variables.push(Variable { field, first, behind });
        Ok(())
    }

    fn segment(&mut self) -> Result<(), String> {
        let segment = if self.rest.starts_with("**") {
            self.rest = &self.rest[2..];
            Segment::Rest
        } else if self.eat('*') {
            Segment::One
        } else {
            Segment::Literal(self.word()?)
        };
        self.template.segments.push(segment);
        Ok(())
    }

    /// A name or a literal: letters that a path has as they are.
    fn word(&mut self) -> Result<String, String> {
        let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || "-_~".contains(letter));
        // A dot parts the names of a field's path, and is a letter elsewhere; templates have no file names.
        let end = self.rest.find(is_end).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        if word.is_empty() {
            return Err(format!("a name is missing before {:?}", self.rest));
        }
        self.rest = rest;
        Ok(word.to_owned())
    }

    fn eat(&mut self, letter: char) -> bool {
        let rest = self.rest.strip_prefix(letter);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, letter: char) -> Result<(), String> {
        if self.eat(letter) { Ok(()) } else { Err(format!("{letter:?} is missing before {:?}", self.rest)) }
    }
}

fn decoded(part: &str) -> Result<Cow<'_, str>, NotText> {
    percent_decode_str(part).decode_utf8().map_err(|_| NotText)
}

/// An encoded slash of several segments stays as it came, or nobody could tell it from one that parts them.
fn decoded_but_slashes(part: &str) -> Result<Cow<'_, str>, NotText> {
    let mut whole = String::new();
    let mut rest = part;
    let slash = |rest: &str| rest.as_bytes().windows(3).position(|letters| letters.eq_ignore_ascii_case(b"%2f"));
    while let Some(at) = slash(rest) {
        whole.push_str(&decoded(&rest[..at])?);
        whole.push_str(&rest[at..at + 3]);
        rest = &rest[at + 3..];
    }
    whole.push_str(&decoded(rest)?);
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
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
            ["/v1/products/{id}:undelete", "/v1/products/new", "/v1/products/{id}", "/v1/{a}/new", "/v1/{rest}"]
        );
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn no_text_breaks_the_parser(text in "[/{}*=.:a-z%~-]{0,40}|\\PC{0,40}") {
                if let Ok(template) = Template::parse(&text) {
                    prop_assert!(Template::parse(&template.to_string()).is_ok());
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
}
