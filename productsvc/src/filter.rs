//! Filters of products: a small part of AIP-160, checked and folded, as values.
//!
//! A filter is restrictions that hold together: `category:"Paint" AND sku = "HAM-*"`.
//! Pure: what a database reads to answer one is the store's business. Whatever it
//! reads, [`Filter::matches`] decides, so that both databases answer alike.

mod parser;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;

use crate::category::is_within;
use crate::order::{By, Place, Value};
use crate::product::Product;
use crate::range::Range;
use crate::text::fold;

pub use crate::filter::parser::FilterFault;

/// What a filter compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The id.
    Id,
    /// The number of the present version.
    Version,
    /// The name, folded.
    Name,
    /// The category, folded.
    Category,
    /// The SKU, folded.
    Sku,
    /// When it was added.
    CreateTime,
    /// When it was last changed.
    UpdateTime,
    /// Whether it is deleted.
    Deleted,
}

impl Field {
    const ALL: [(&'static str, Self); 8] = [
        ("id", Self::Id),
        ("version", Self::Version),
        ("name", Self::Name),
        ("category", Self::Category),
        ("sku", Self::Sku),
        ("create_time", Self::CreateTime),
        ("update_time", Self::UpdateTime),
        ("deleted", Self::Deleted),
    ];

    /// The order that goes by it, if there is one.
    fn order(self) -> Option<By> {
        match self {
            Self::Id => Some(By::Id),
            Self::Name => Some(By::Name),
            Self::Category => Some(By::Category),
            Self::Sku => Some(By::Sku),
            Self::CreateTime => Some(By::CreateTime),
            Self::UpdateTime => Some(By::UpdateTime),
            Self::Version | Self::Deleted => None,
        }
    }
}

/// How a value stands to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Relation {
    const ALL: [(&'static str, Self); 6] = [
        ("=", Self::Equal),
        ("!=", Self::Unequal),
        ("<", Self::Less),
        ("<=", Self::AtMost),
        (">", Self::Greater),
        (">=", Self::AtLeast),
    ];

    fn holds<T: Ord + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::Greater => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// How its number stands to another.
    Number(Relation, i64),
    /// How its moment stands to another.
    Moment(Relation, Timestamp),
    /// How its key stands to another.
    Text(Relation, String),
    /// Whether its key begins with this one, or does not.
    Prefix(String, Begins),
    /// Whether it is this category or one below.
    Within(String),
    /// Whether it is so.
    Is(bool),
}

/// Whether a text is to begin with a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It is.
    So,
    /// It must not.
    Otherwise,
}

/// A field and what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restriction {
    /// The field.
    pub field: Field,
    /// What is asked.
    pub test: Test,
}

/// Restrictions that hold together, in one order and each once. The empty filter lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    restrictions: Vec<Restriction>,
}

impl Filter {
    /// Reads a filter, or says where it is wrong and what is expected there.
    pub fn parse(text: &str) -> Result<Self, FilterFault> {
        parser::parse(text).map(Self::new)
    }

    fn new(mut restrictions: Vec<Restriction>) -> Self {
        // In one order, filters that say the same in other words are the same.
        restrictions.sort_by_cached_key(Restriction::to_string);
        restrictions.dedup();
        Self { restrictions }
    }

    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.restrictions.is_empty()
    }

    /// Whether a product is one that is meant.
    pub fn matches(&self, product: &Product) -> bool {
        self.restrictions.iter().all(|restriction| restriction.holds(product))
    }

    /// What it asks of whether products are deleted.
    pub fn deleted(&self) -> impl Iterator<Item = bool> {
        self.restrictions.iter().filter_map(|restriction| match restriction.test {
            Test::Is(deleted) => Some(deleted),
            _ => None,
        })
    }

    /// The range of an order that all products that are meant lie in.
    pub fn range(&self, by: By) -> Range {
        let mut range = Range::default();
        let own = self.restrictions.iter().filter(|restriction| restriction.field.order() == Some(by));
        own.for_each(|restriction| restriction.narrow(&mut range));
        range
    }

    /// Whether every product in the range of this order is meant, deleted or not as asked.
    pub fn is_range_of(&self, by: By) -> bool {
        self.restrictions.iter().all(|Restriction { field, test }| match test {
            Test::Is(_) => true,
            Test::Number(Relation::Unequal, _) | Test::Moment(Relation::Unequal, _) => false,
            Test::Text(Relation::Unequal, _) | Test::Prefix(_, Begins::Otherwise) | Test::Within(_) => false,
            _ => field.order() == Some(by),
        })
    }
}

impl Restriction {
    fn holds(&self, product: &Product) -> bool {
        match &self.test {
            Test::Number(relation, number) => {
                relation.holds(if self.field == Field::Id { &product.id } else { &product.version }, number)
            }
            Test::Moment(relation, moment) => {
                let created = self.field == Field::CreateTime;
                relation.holds(if created { &product.create_time } else { &product.update_time }, moment)
            }
            Test::Text(relation, key) => relation.holds(self.key(product).as_str(), key),
            Test::Prefix(prefix, begins) => self.key(product).starts_with(prefix) == (*begins == Begins::So),
            Test::Within(category) => is_within(&self.key(product), category),
            Test::Is(deleted) => product.delete_time.is_some() == *deleted,
        }
    }

    fn key(&self, product: &Product) -> String {
        fold(match self.field {
            Field::Name => &product.name,
            Field::Category => &product.category,
            _ => &product.sku,
        })
    }

    /// Leaves out of a range of the field's order what cannot be meant.
    fn narrow(&self, range: &mut Range) {
        match &self.test {
            Test::Number(relation, number) => {
                let place = |id| Place { value: Value::Nothing, id };
                let (below, above) = (place(number.saturating_sub(1)), place(number.saturating_add(1)));
                between(range, *relation, [below, place(*number)], [place(*number), above]);
            }
            Test::Moment(relation, moment) => {
                // Products have microseconds; a filter may have finer moments.
                let nanos = moment.as_nanosecond();
                let micros = |micros: i128| Value::Moment(i64::try_from(micros).unwrap_or(i64::MAX));
                let (floor, ceiling) = (micros(nanos.div_euclid(1000)), micros(-(-nanos).div_euclid(1000)));
                let (before, behind) = (Place::before(ceiling), Place::behind(floor));
                between(range, *relation, [before.clone(), behind.clone()], [before, behind]);
            }
            Test::Text(relation, key) => {
                let (before, behind) =
                    (Place::before(Value::Text(key.clone())), Place::behind(Value::Text(key.clone())));
                between(range, *relation, [before.clone(), behind.clone()], [before, behind]);
            }
            Test::Prefix(prefix, Begins::So) => range.beginning_with(prefix),
            Test::Within(category) => range.within(category),
            Test::Prefix(_, Begins::Otherwise) | Test::Is(_) => {}
        }
    }
}

/// Leaves out what does not stand so to a value. `lower` is what is below of it, and all up to
/// it; `upper` is what begins with it, and what is beyond.
fn between(range: &mut Range, relation: Relation, lower: [Place; 2], upper: [Place; 2]) {
    let ([without, with], [up_to, including]) = (lower, upper);
    match relation {
        Relation::Equal => {
            range.above(without);
            range.below(including);
        }
        Relation::Unequal => {}
        Relation::Less => range.below(up_to),
        Relation::AtMost => range.below(including),
        Relation::Greater => range.above(with),
        Relation::AtLeast => range.above(without),
    }
}

impl fmt::Display for Filter {
    /// The filter in its one form, which tokens of pages are bound to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, restriction) in self.restrictions.iter().enumerate() {
            f.write_str(if number == 0 { "" } else { " AND " })?;
            restriction.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Restriction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = Field::ALL.into_iter().find(|(_, field)| *field == self.field).map_or("", |(name, _)| name);
        match &self.test {
            Test::Number(relation, number) => write!(f, "{field} {relation} {number}"),
            Test::Moment(relation, moment) => write!(f, "{field} {relation} \"{moment}\""),
            Test::Text(relation, key) => write!(f, "{field} {relation} \"{}\"", Escaped(key)),
            Test::Prefix(prefix, begins) => {
                let relation = if *begins == Begins::So { Relation::Equal } else { Relation::Unequal };
                write!(f, "{field} {relation} \"{}*\"", Escaped(prefix))
            }
            Test::Within(category) => write!(f, "{field}:\"{}\"", Escaped(category)),
            Test::Is(deleted) => write!(f, "{field} = {deleted}"),
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.into_iter().find(|(_, relation)| relation == self).map_or("", |(sign, _)| sign))
    }
}

/// A text as it stands between quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if matches!(c, '"' | '\\' | '*') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        Ok(())
    }
}
