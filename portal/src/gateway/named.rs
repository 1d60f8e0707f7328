//! What a body names: its fields, and all that fits none of the contract's, each by the way that leads to it.
//!
//! What makes messages of JSON knows no ways, stops at the first fault, and takes a number that has too many digits for
//! the nearest that has not. A field that is named twice, in one spelling or in both, is refused too: readers disagree
//! which one counts.

mod shape;

use std::{collections::HashSet, fmt};

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::gateway::{
    fields::{self, MOST_VIOLATIONS, Violation},
    named::shape::Shape,
    values::Value,
};

/// A field that an object names.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) field: FieldDescriptor,
    /// Which is to say that it has no value.
    pub(super) is_null: bool,
    /// What it names in turn, if it is a message.
    pub(super) inside: Vec<Named>,
}

/// Why a body is not read.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) violations: Vec<Violation>,
    /// Where it is no JSON at all.
    pub(super) cause: Option<serde_json::Error>,
}

/// The fields that a body names which is to be read as such a message, itself the field `outside` of the request, if it
/// is not all of it.
pub(super) fn named(message: &MessageDescriptor, json: &[u8], outside: &str) -> Result<Vec<Named>, Unfit> {
    let shape = Shape::of_one(&Kind::Message(message.clone()));
    let mut walk = Walk { way: outside.to_owned(), wrong: Vec::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let read = Seed { shape: &shape, walk: &mut walk }.deserialize(&mut deserializer);
    let read = read.and_then(|fields| deserializer.end().map(|()| fields));
    match read {
        Ok(Some(fields)) if walk.wrong.is_empty() => return Ok(fields),
        Ok(None) => walk.refuse("it is null"),
        Ok(Some(_)) => {}
        Err(cause) => {
            // Where the reading stopped is where it is wrong, unless that is behind its end.
            if walk.way != outside {
                walk.refuse(cause.to_string());
            }
            return Err(Unfit { violations: walk.wrong, cause: Some(cause) });
        }
    }
    Err(Unfit { violations: walk.wrong, cause: None })
}

/// Where the reading is, and what was wrong so far.
#[derive(Debug)]
struct Walk {
    way: String,
    wrong: Vec<Violation>,
}

impl Walk {
    /// Goes on to a field, or the entry of a map; answers the way back.
    fn enter(&mut self, name: &str) -> usize {
        let back = self.way.len();
        if back > 0 {
            self.way.push('.');
        }
        self.way.push_str(name);
        back
    }

    /// Goes on to an element of a list, which count from 0.
    fn enter_element(&mut self, index: usize) -> usize {
        let back = self.way.len();
        self.way.push_str(&format!("[{index}]"));
        back
    }

    fn leave(&mut self, back: usize) {
        self.way.truncate(back);
    }

    fn refuse(&mut self, description: impl Into<String>) {
        if self.wrong.len() < MOST_VIOLATIONS {
            self.wrong.push(Violation::new(self.way.clone(), description));
        }
    }
}

/// A name in an object.
#[derive(PartialEq, Eq, Hash)]
enum Name {
    Field(u32),
    Text(String),
}

/// A value that is to become something.
struct Seed<'w> {
    shape: &'w Shape,
    walk: &'w mut Walk,
}

impl Seed<'_> {
    /// What a value names that has no parts.
    fn plain<E>(self, value: Value<'_>) -> Result<Option<Vec<Named>>, E> {
        if let Err(wrong) = self.shape.judge(value) {
            self.walk.refuse(wrong);
        }
        Ok(Some(Vec::new()))
    }

    /// Reads the value of a name; `names` are those before it in the same object.
    fn entry<'de, A: MapAccess<'de>>(
        &mut self,
        object: &mut A,
        text: &str,
        names: &mut HashSet<Name>,
    ) -> Result<Option<Named>, A::Error> {
        let back = self.walk.enter(text);
        let inside = self.shape.inside(text);
        if inside.is_none() {
            self.walk.refuse("there is no such field");
        }
        if !self.shape.has_key(text) {
            self.walk.refuse("it is no key of this map");
        }
        let (shape, field) = inside.unwrap_or((Shape::Anything, None));
        let name = field.as_ref().map_or_else(|| Name::Text(text.to_owned()), |field| Name::Field(field.number()));
        if !names.insert(name) {
            self.walk.refuse("it is named twice");
        }
        let value = object.next_value_seed(Seed { shape: &shape, walk: &mut *self.walk })?;
        if matches!(self.shape, Shape::Entries(..)) && value.is_none() {
            self.walk.refuse("it is null");
        }
        let is_null = value.is_none();
        let named = field.map(|field| Named { field, is_null, inside: value.unwrap_or_default() });
        self.walk.leave(back);
        Ok(named)
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    /// None is null.
    type Value = Option<Vec<Named>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Option<Vec<Named>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut object: A) -> Result<Self::Value, A::Error> {
        if let Shape::List(_) | Shape::Array | Shape::Plain(_) = self.shape {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return self.plain(Value::Parts);
        }
        let (mut names, mut choices, mut fields) = (HashSet::new(), HashSet::new(), Vec::new());
        while let Some(text) = object.next_key::<String>()? {
            let Some(named) = self.entry(&mut object, &text, &mut names)? else { continue };
            let choice = named.field.containing_oneof().filter(|_| !named.is_null);
            if choice.is_some_and(|choice| !choices.insert(choice.full_name().to_owned())) {
                let back = self.walk.enter(&text);
                self.walk.refuse(fields::TWICE);
                self.walk.leave(back);
            }
            fields.push(named);
        }
        Ok(Some(fields))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let element = match self.shape {
            Shape::List(element) => element,
            Shape::Array | Shape::Anything => &Shape::Anything,
            _ => {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                return self.plain(Value::Parts);
            }
        };
        for index in 0.. {
            let back = self.walk.enter_element(index);
            let Some(value) = list.next_element_seed(Seed { shape: element, walk: &mut *self.walk })? else {
                self.walk.leave(back);
                break;
            };
            if value.is_none() {
                self.walk.refuse("it is null");
            }
            self.walk.leave(back);
        }
        Ok(Some(Vec::new()))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        self.plain(Value::Truth)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        self.plain(Value::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        self.plain(Value::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        self.plain(Value::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        self.plain(Value::Text(text))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        // Where anything may stand null is a value.
        Ok(matches!(self.shape, Shape::Anything).then(Vec::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{contract, gateway::written};

    fn named_in(message: &str, json: &str) -> Option<Vec<String>> {
        let fields = named(&contract::message(message).unwrap(), json.as_bytes(), "").ok()?;
        Some(fields.iter().map(|named| named.field.name().to_owned()).collect())
    }

    #[test]
    fn a_field_counts_once_in_each_object_in_either_spelling() {
        let list = |json| named_in("rundoo.products.v1.ListProductsRequest", json);
        assert_eq!(list(r#"{"pageSize":1,"filter":null}"#).unwrap(), ["page_size", "filter"]);
        for twice in [
            r#"{"pageSize":1,"pageSize":2}"#,
            r#"{"pageSize":1,"page_size":2}"#,
            r#"{"nobody knows":1,"nobody knows":2}"#,
            r#"{"nobody":[{"y":{"a_b":1,"a_b":1}}]}"#,
        ] {
            assert_eq!(list(twice), None, "{twice}");
        }
        let stored = |json| named_in("rundoo.logs.v1.StoredRecord", json);
        assert_eq!(stored(r#"{"record":{"requestId":"x","request_id":"y"}}"#), None, "inside of a message too");
    }

    #[test]
    fn keys_of_a_map_are_no_fields() {
        let register = |json| named_in("rundoo.registry.v1.RegisterRequest", json);
        assert!(register(r#"{"metadata":{"a_b":"1","aB":"2"}}"#).is_some());
        assert_eq!(register(r#"{"metadata":{"a_b":"1","a_b":"2"}}"#), None);
    }

    /// What is wrong with a body, by its ways.
    fn wrong(json: &str) -> Vec<(String, String)> {
        let unfit = named(&written::all(), json.as_bytes(), "").unwrap_err();
        unfit.violations.into_iter().map(|wrong| (wrong.field, wrong.description)).collect()
    }

    #[test]
    fn what_fits_no_field_is_told_by_the_way_to_it() {
        for (json, way, words) in [
            (r#"{"inner":{"nobody":1}}"#, "inner.nobody", "no such field"),
            (r#"{"inners":[{},{"number":"x"}]}"#, "inners[1].number", "not a whole number of 64 bits"),
            (r#"{"counts":{"7":"x"}}"#, "counts.7", "not a whole number of 64 bits"),
            (r#"{"counts":{"x":"7"}}"#, "counts.x", "no key"),
            (r#"{"counts":{"7":null}}"#, "counts.7", "null"),
            (r#"{"inners":[null]}"#, "inners[0]", "null"),
            (r#"{"inners":{}}"#, "inners", "not a list"),
            (r#"{"inner":[]}"#, "inner", "not an object"),
            (r#"{"text":7}"#, "text", "not a text"),
            (r#"{"text":{}}"#, "text", "not a text"),
            (r#"{"large":9007199254740993.0}"#, "large", "not a whole number"),
            (r#"{"largeUnsigned":18446744073709551616}"#, "largeUnsigned", "not a whole number"),
            (r#"{"wrappedLarge":18446744073709551616}"#, "wrappedLarge", "not a whole number"),
            (r#"{"twice":"1e400"}"#, "twice", "not a number"),
            (r#"{"twice":1e400}"#, "twice", "out of range"),
            (r#"{"left":{},"right":{}}"#, "right", "excludes"),
            (r#"{"left":{},"neither":null}"#, "neither", "excludes"),
            (r#"{"inner":{"text":"a","text":"b"}}"#, "inner.text", "twice"),
            (r#"{"anything":[]}"#, "anything", "not an object"),
        ] {
            let wrong = wrong(json);
            assert_eq!(wrong.len(), 1, "{json}: {wrong:?}");
            assert!(wrong[0].0 == way && wrong[0].1.contains(words), "{json}: {wrong:?}");
        }
        let several = wrong(r#"{"nobody":1,"small":1.5,"inner":{"number":true}}"#);
        assert_eq!(several.into_iter().map(|(way, _)| way).collect::<Vec<_>>(), ["nobody", "small", "inner.number"]);
    }

    #[test]
    fn what_fits_is_taken() {
        for json in [
            r#"{"large":1e3,"small":7.0,"largeUnsigned":18446744073709551615,"twice":"-Infinity","single":"NaN"}"#,
            r#"{"large":"-9223372036854775808","wrapped":1.5,"wrappedLarge":"7","time":"2026-11-30T00:00:00Z"}"#,
            r#"{"left":{},"right":null,"nothing":null,"value":null,"nothings":[null],"anything":{"a":[null,1e300]}}"#,
            r#"{"counts":{"-7":"7"},"inners":[{"number":1},{}],"many":["NaN",1],"colour":"COLOUR_RED","raw":"_-8"}"#,
            r#"{"text":null,"inner":null,"inners":null,"counts":null}"#,
        ] {
            assert!(named(&written::all(), json.as_bytes(), "").is_ok(), "{json}");
        }
    }

    #[test]
    fn what_is_no_json_says_where() {
        let unfit = |json: &str| {
            let unfit = named(&written::all(), json.as_bytes(), "").unwrap_err();
            (unfit.cause.is_some(), unfit.violations.into_iter().map(|wrong| wrong.field).collect::<Vec<_>>())
        };
        assert_eq!(unfit(r#"{"inner":{"text":x}}"#), (true, vec!["inner.text".to_owned()]));
        assert_eq!(unfit(r#"{"text":"x"} x"#), (true, vec![]));
        assert_eq!(unfit("[]"), (false, vec![String::new()]));
    }
}
