//! The orders in which products are listed, and a place in one.

use jiff::Timestamp;

use crate::product::Product;
use crate::text::fold;

/// What products are ordered by. Equals follow each other by their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The id: the order in which they were added.
    Id,
    /// The name, folded.
    Name,
    /// The category, folded.
    Category,
    /// The SKU, folded.
    Sku,
    /// When they were added.
    CreateTime,
    /// When they were last changed.
    UpdateTime,
}

impl By {
    /// Every one, by its name.
    pub const ALL: [(&'static str, Self); 6] = [
        ("id", Self::Id),
        ("name", Self::Name),
        ("category", Self::Category),
        ("sku", Self::Sku),
        ("create_time", Self::CreateTime),
        ("update_time", Self::UpdateTime),
    ];
}

/// An order, this way or the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What it goes by.
    pub by: By,
    /// Whether the greatest come first.
    pub descending: bool,
}

/// The text names no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of id, name, category, sku, create_time and update_time, and `desc` behind it at most")]
pub struct UnknownOrder;

impl Order {
    /// What is listed when nothing is said: the newest first.
    pub const NEWEST: Self = Self { by: By::Id, descending: true };

    /// What is exported when nothing is said: what is added meanwhile comes last.
    pub const OLDEST: Self = Self { by: By::Id, descending: false };

    /// Reads an order as AIP-132 writes it, of one field.
    pub fn parse(text: &str) -> Result<Self, UnknownOrder> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (field, descending) = match words.as_slice() {
            [] => return Ok(Self::NEWEST),
            [field] | [field, "asc"] => (*field, false),
            [field, "desc"] => (*field, true),
            _ => return Err(UnknownOrder),
        };
        let by = By::ALL.into_iter().find(|(name, _)| *name == field).ok_or(UnknownOrder)?.1;
        Ok(Self { by, descending })
    }

    /// Where a product is in this order.
    pub fn place(self, product: &Product) -> Place {
        let value = match self.by {
            By::Id => Value::Nothing,
            By::Name => Value::Text(fold(&product.name)),
            By::Category => Value::Text(fold(&product.category)),
            By::Sku => Value::Text(fold(&product.sku)),
            By::CreateTime => Value::Moment(product.create_time.as_microsecond()),
            By::UpdateTime => Value::Moment(product.update_time.as_microsecond()),
        };
        Place { value, id: product.id }
    }
}

impl std::fmt::Display for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = By::ALL.into_iter().find(|(_, by)| *by == self.by).map_or("", |(name, _)| name);
        f.write_str(name)?;
        f.write_str(if self.descending { " desc" } else { "" })
    }
}

/// A place in an order: what it goes by, and the id that parts equals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What the order goes by.
    pub value: Value,
    /// The id.
    pub id: i64,
}

/// What an order goes by. Texts compare byte by byte, as both databases do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// The id alone.
    Nothing,
    /// A folded text.
    Text(String),
    /// Microseconds since 1970.
    Moment(i64),
}

impl Place {
    /// Before every product of a value.
    pub fn before(value: Value) -> Self {
        Self { value, id: i64::MIN }
    }

    /// Behind every product of a value.
    pub fn behind(value: Value) -> Self {
        Self { value, id: i64::MAX }
    }

    /// What a token holds of it.
    pub fn parts(&self) -> [String; 2] {
        let value = match &self.value {
            Value::Nothing => String::new(),
            Value::Text(text) => text.clone(),
            Value::Moment(micros) => micros.to_string(),
        };
        [self.id.to_string(), value]
    }

    /// Reads back what a token holds; none when it is no place in this order.
    pub fn parse(id: &str, value: &str, order: Order) -> Option<Self> {
        let id = id.parse().ok()?;
        let value = match order.by {
            By::Id => Value::Nothing,
            // Databases refuse the null character in a text.
            By::Name | By::Category | By::Sku if value.contains('\0') => return None,
            By::Name | By::Category | By::Sku => Value::Text(value.to_owned()),
            By::CreateTime | By::UpdateTime => {
                let micros = value.parse().ok()?;
                Timestamp::from_microsecond(micros).ok()?;
                Value::Moment(micros)
            }
        };
        Some(Self { value, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_as_they_are_written() {
        let order = |by, descending| Ok(Order { by, descending });

        assert_eq!(Order::parse(""), Ok(Order::NEWEST));
        assert_eq!(Order::parse(" name  desc "), order(By::Name, true));
        assert_eq!(Order::parse("sku asc"), order(By::Sku, false));
        assert_eq!(Order::parse("update_time"), order(By::UpdateTime, false));
        for text in ["name", "category desc", "create_time desc", "id"] {
            assert_eq!(Order::parse(text).unwrap().to_string(), text);
        }
        for text in ["price", "name up", "name desc, sku", "name desc desc", "NAME", "desc"] {
            assert_eq!(Order::parse(text), Err(UnknownOrder), "{text}");
        }
    }

    #[test]
    fn a_place_survives_its_token() {
        let product = Product {
            id: 7,
            name: "Straße".to_owned(),
            category: "Tools".to_owned(),
            sku: "S-1".to_owned(),
            version: 1,
            create_time: Timestamp::UNIX_EPOCH,
            update_time: Timestamp::from_microsecond(-5).unwrap(),
            delete_time: None,
        };
        for (_, by) in By::ALL {
            let order = Order { by, descending: false };
            let place = order.place(&product);
            let [id, value] = place.parts();

            assert_eq!(Place::parse(&id, &value, order), Some(place));
        }
        assert_eq!(Place::parse("x", "", Order::NEWEST), None);
        assert_eq!(Place::parse("1", "soon", Order { by: By::CreateTime, descending: false }), None);
        assert_eq!(Place::parse("1", "a\0b", Order { by: By::Name, descending: false }), None);
    }
}
