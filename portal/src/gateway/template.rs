//! Path templates of `google.api.http`, such as `/v1/products/{id}/versions/{version}:restore`.

use std::{borrow::Cow, ops::Range};

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

/// A segment of a template that may be any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wildcard<'t> {
    /// The field that it fills, perhaps with others.
    pub(crate) field: Option<&'t str>,
    /// Whether it is all that fills this field.
    pub(crate) is_whole: bool,
    /// Whether it may be several.
    pub(crate) is_rest: bool,
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

    /// Its wildcards in their order.
    pub(crate) fn wildcards(&self) -> impl Iterator<Item = Wildcard<'_>> {
        let wildcards = self.segments.iter().enumerate().filter(|(_, segment)| !matches!(segment, Segment::Literal(_)));
        wildcards.map(|(at, segment)| {
            let variable = self.variable(at);
            Wildcard {
                field: variable.map(|variable| variable.field.as_str()),
                is_whole: variable.is_some_and(|variable| self.pattern(variable) == [Segment::One]),
                is_rest: *segment == Segment::Rest,
            }
        })
    }

    /// The path that it becomes with these texts in place of its wildcards.
    pub(crate) fn filled<T: AsRef<str>>(&self, texts: impl IntoIterator<Item = T>) -> String {
        let mut path = self.joined(0..self.segments.len(), &mut texts.into_iter());
        self.verb.iter().for_each(|verb| path.extend([":", verb]));
        format!("/{path}")
    }

    /// What the field of a variable is with these texts in place of the wildcards of all.
    pub(crate) fn text_of<T: AsRef<str>>(&self, field: &str, texts: impl IntoIterator<Item = T>) -> Option<String> {
        let variable = self.variables.iter().find(|variable| variable.field == field)?;
        let before = self.segments[..variable.first].iter().filter(|segment| !matches!(segment, Segment::Literal(_)));
        let mut texts = texts.into_iter().skip(before.count());
        Some(self.joined(variable.first..variable.behind, &mut texts))
    }

    fn joined<T: AsRef<str>>(&self, range: Range<usize>, texts: &mut impl Iterator<Item = T>) -> String {
        let segments = self.segments[range].iter().map(|segment| match segment {
            Segment::Literal(text) => text.clone(),
            Segment::One | Segment::Rest => texts.next().map(|text| text.as_ref().to_owned()).unwrap_or_default(),
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// The variable that a segment is a part of.
    fn variable(&self, at: usize) -> Option<&Variable> {
        self.variables.iter().find(|variable| (variable.first..variable.behind).contains(&at))
    }

    fn pattern(&self, variable: &Variable) -> &[Segment] {
        &self.segments[variable.first..variable.behind]
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
            let single = self.pattern(variable) == [Segment::One];
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

/// The template as an annotation has it: `/v1/{name=shelves/*}:undelete`.
impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, segment) in self.segments.iter().enumerate() {
            f.write_str("/")?;
            let variable = self.variable(at);
            let is_plain = variable.is_some_and(|variable| self.pattern(variable) == [Segment::One]);
            match variable {
                Some(variable) if is_plain => write!(f, "{{{}}}", variable.field)?,
                Some(variable) if variable.first == at => write!(f, "{{{}={segment}", variable.field)?,
                _ => write!(f, "{segment}")?,
            }
            if !is_plain && variable.is_some_and(|variable| variable.behind == at + 1) {
                f.write_str("}")?;
            }
        }
        self.verb.iter().try_for_each(|verb| write!(f, ":{verb}"))
    }
}

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Segment::Literal(text) => text,
            Segment::One => "*",
            Segment::Rest => "**",
        })
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
mod tests;
