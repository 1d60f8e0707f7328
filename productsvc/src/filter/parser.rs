//! Reads filters. What is not of the subset is refused where it stands, never ignored.

use jiff::Timestamp;

use crate::category;
use crate::filter::{Begins, Field, Relation, Restriction, Test};
use crate::text::fold;

/// Longer filters are not read.
const MOST_CHARACTERS: usize = 1000;

/// What a person would write, and many times over.
const MOST_RESTRICTIONS: usize = 10;

/// Where a filter is wrong, and what is expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is wrong at character {position}: expected {expected}")]
pub struct FilterFault {
    /// The first character that is wrong, from 1.
    pub position: usize,
    /// What should stand there.
    pub expected: String,
}

/// Reads restrictions, in the order in which they stand.
pub(super) fn parse(text: &str) -> Result<Vec<Restriction>, FilterFault> {
    let mut parser = Parser { characters: text.chars().collect(), at: 0 };
    if parser.characters.len() > MOST_CHARACTERS {
        return Err(fault(MOST_CHARACTERS, format!("the end: a filter has at most {MOST_CHARACTERS} characters")));
    }
    let mut restrictions = Vec::new();
    while parser.skip_spaces() {
        if !restrictions.is_empty() {
            parser.and()?;
        }
        if restrictions.len() == MOST_RESTRICTIONS {
            return parser.expected(format!("the end: a filter has at most {MOST_RESTRICTIONS} restrictions"));
        }
        restrictions.push(parser.restriction()?);
    }
    Ok(restrictions)
}

struct Parser {
    characters: Vec<char>,
    /// How many were read.
    at: usize,
}

/// A value as it was written.
struct Literal {
    begins: usize,
    text: String,
    /// Where a `*` stands that is no character of the text.
    star: Option<usize>,
}

/// What is between a field and its value.
enum Operator {
    Compare(Relation),
    Has,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    /// Whether anything follows.
    fn skip_spaces(&mut self) -> bool {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        self.peek().is_some()
    }

    fn expected<T>(&self, expected: impl Into<String>) -> Result<T, FilterFault> {
        Err(fault(self.at, expected))
    }

    /// Letters, digits and underscores; empty when something else stands here.
    fn word(&mut self) -> String {
        let rest = self.characters[self.at..].iter();
        let word: String = rest.take_while(|c| c.is_alphanumeric() || **c == '_').collect();
        self.at += word.chars().count();
        word
    }

    fn and(&mut self) -> Result<(), FilterFault> {
        let begins = self.at;
        match self.word().as_str() {
            "AND" if self.skip_spaces() => Ok(()),
            "AND" => self.expected("a field behind AND"),
            "OR" => Err(fault(begins, "AND: a filter has no OR")),
            _ => Err(fault(begins, "AND, or the end")),
        }
    }

    fn restriction(&mut self) -> Result<Restriction, FilterFault> {
        let begins = self.at;
        if let Some(c @ ('(' | ')')) = self.peek() {
            return self.expected(format!("a field: a filter has no `{c}`"));
        }
        if self.peek() == Some('-') {
            return self.expected("a field: a filter has no negation but `!=`");
        }
        let word = self.word();
        if word == "NOT" {
            return Err(fault(begins, "a field: a filter has no NOT, but `!=`"));
        }
        let names = Field::ALL.map(|(name, _)| name);
        let Some((_, field)) = Field::ALL.into_iter().find(|(name, _)| *name == word) else {
            return Err(fault(begins, format!("one of {}", names.join(", "))));
        };
        self.skip_spaces();
        let operator = self.operator(field)?;
        self.skip_spaces();
        let literal = self.literal()?;
        Ok(Restriction { field, test: test(field, &operator, literal)? })
    }

    fn operator(&mut self, field: Field) -> Result<Operator, FilterFault> {
        let begins = self.at;
        let rest = &self.characters[begins..];
        let signs = if rest.get(1) == Some(&'=') && matches!(rest[0], '!' | '<' | '>') { 2 } else { 1 };
        let sign: String = rest.iter().take(signs).collect();
        self.at += sign.chars().count();
        let relation = Relation::ALL.into_iter().find(|(name, _)| *name == sign).map(|(_, relation)| relation);
        match (field, relation) {
            (Field::Deleted, Some(relation @ (Relation::Equal | Relation::Unequal))) => Ok(Operator::Compare(relation)),
            (Field::Deleted, _) => Err(fault(begins, "`=` or `!=`")),
            (_, Some(relation)) => Ok(Operator::Compare(relation)),
            (Field::Category, None) if sign == ":" => Ok(Operator::Has),
            (Field::Category, None) => Err(fault(begins, "one of `=`, `!=`, `<`, `<=`, `>`, `>=` and `:`")),
            (_, None) => Err(fault(begins, "one of `=`, `!=`, `<`, `<=`, `>` and `>=`")),
        }
    }

    fn literal(&mut self) -> Result<Literal, FilterFault> {
        let mut literal = Literal { begins: self.at, text: String::new(), star: None };
        if self.peek() == Some('"') {
            self.at += 1;
            self.quoted(&mut literal)?;
        } else {
            self.bare(&mut literal)?;
        }
        Ok(literal)
    }

    fn quoted(&mut self, literal: &mut Literal) -> Result<(), FilterFault> {
        loop {
            let Some(c) = self.peek() else { return self.expected("a closing `\"`") };
            match c {
                '"' => break,
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped @ ('"' | '\\' | '*')) => self.push(literal, escaped)?,
                        _ => return self.expected("`\"`, `\\` or `*` behind `\\`"),
                    }
                }
                '*' => self.star(literal)?,
                other => self.push(literal, other)?,
            }
            self.at += 1;
        }
        self.at += 1;
        Ok(())
    }

    fn bare(&mut self, literal: &mut Literal) -> Result<(), FilterFault> {
        while let Some(c) = self.peek().filter(|c| !c.is_whitespace()) {
            match c {
                '"' | '\\' | '(' | ')' | ',' | '=' | '<' | '>' | '!' => {
                    return self.expected(format!("quotes around a value that has a `{c}`"));
                }
                '*' => self.star(literal)?,
                other => self.push(literal, other)?,
            }
            self.at += 1;
        }
        if self.at == literal.begins || matches!(literal.text.as_str(), "AND" | "OR" | "NOT") {
            return Err(fault(literal.begins, "a value"));
        }
        Ok(())
    }

    fn star(&self, literal: &mut Literal) -> Result<(), FilterFault> {
        self.no_star(literal)?;
        literal.star = Some(self.at);
        Ok(())
    }

    fn push(&self, literal: &mut Literal, c: char) -> Result<(), FilterFault> {
        self.no_star(literal)?;
        if c.is_control() {
            return self.expected("no control character");
        }
        literal.text.push(c);
        Ok(())
    }

    fn no_star(&self, literal: &Literal) -> Result<(), FilterFault> {
        match literal.star {
            Some(star) => Err(fault(star, "`\\*` in quotes: `*` stands for any end, and only there")),
            None => Ok(()),
        }
    }
}

fn test(field: Field, operator: &Operator, literal: Literal) -> Result<Test, FilterFault> {
    let Literal { begins, text, star } = literal;
    let is_text = matches!(field, Field::Name | Field::Category | Field::Sku);
    match (star, operator) {
        (Some(_), Operator::Compare(Relation::Equal)) if is_text => Ok(Test::Prefix(prefix(&text), Begins::So)),
        (Some(_), Operator::Compare(Relation::Unequal)) if is_text => {
            Ok(Test::Prefix(prefix(&text), Begins::Otherwise))
        }
        (Some(star), _) => Err(fault(star, "no `*`: it stands for any end of a text behind `=` or `!=`")),
        (None, Operator::Has) => match category::key(&text) {
            key if key.is_empty() => Err(fault(begins, "a category")),
            key => Ok(Test::Within(key)),
        },
        (None, Operator::Compare(relation)) => compared(field, *relation, &text).map_err(|what| fault(begins, what)),
    }
}

fn compared(field: Field, relation: Relation, text: &str) -> Result<Test, &'static str> {
    match field {
        Field::Id | Field::Version => {
            text.parse().map(|number| Test::Number(relation, number)).map_err(|_| "a whole number")
        }
        Field::CreateTime | Field::UpdateTime => {
            let moment = text.parse::<Timestamp>();
            moment.map(|moment| Test::Moment(relation, moment)).map_err(|_| "a moment such as 2026-11-25T09:30:00Z")
        }
        Field::Category => Ok(Test::Text(relation, category::key(text))),
        Field::Name | Field::Sku => Ok(Test::Text(relation, fold(text))),
        Field::Deleted => match text {
            "true" => Ok(Test::Is(relation == Relation::Equal)),
            "false" => Ok(Test::Is(relation != Relation::Equal)),
            _ => Err("true or false"),
        },
    }
}

/// The key of what a text begins with: a space at its end is one between words.
fn prefix(text: &str) -> String {
    let mut key = fold(text);
    if !key.is_empty() && text.ends_with(char::is_whitespace) {
        key.push(' ');
    }
    key
}

fn fault(at: usize, expected: impl Into<String>) -> FilterFault {
    FilterFault { position: at + 1, expected: expected.into() }
}
