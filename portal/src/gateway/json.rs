//! Messages become JSON as they come off the wire, without being built in between.
//!
//! A table for each message says how its fields are written; it is made once for a
//! contract. What a table cannot do, such as a message whose list comes in two parts,
//! the dynamic messages of `prost-reflect` do: slower, and the same to a letter of meaning.

mod plain;
mod single;
mod wire;

use std::collections::HashMap;

use prost::Message as _;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};

pub(crate) use single::field;
pub(crate) use wire::Reader;

use crate::gateway::json::{plain::Plain, wire::Item};

/// How a message and all that it can contain are written. Index 0 is the message itself.
#[derive(Debug)]
pub(crate) struct Tables(Vec<Table>);

#[derive(Debug)]
struct Table {
    message: MessageDescriptor,
    /// In the order of their numbers.
    fields: Vec<Field>,
}

#[derive(Debug)]
struct Field {
    number: u32,
    /// The key as it stands in JSON: `"name":`.
    key: String,
    shape: Shape,
    /// Whether a value that is the default is left out.
    implicit: bool,
    how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
}

/// How one value is written.
#[derive(Debug)]
enum How {
    Plain(Plain),
    /// By another table.
    Message(usize),
    /// By whoever knows all of JSON's rules: Any, Struct and the like.
    Dynamic(MessageDescriptor),
    /// An entry of a map, whose key and value stand in a table of their own.
    Entry(usize),
}

/// How deep messages may be inside of each other; what reads them by the wire has the same limit.
const DEEPEST: u32 = 100;

/// Why a table cannot write a message. Another can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unusual;

/// A message that is none of the kind that was promised.
#[derive(Debug, thiserror::Error)]
#[error("an answer that is not what its contract says: {0}")]
pub(crate) struct Malformed(String);

impl Tables {
    /// The tables of a message.
    pub(crate) fn of(message: &MessageDescriptor) -> Tables {
        let mut maker = Maker { tables: Vec::new(), known: HashMap::new() };
        maker.table(message);
        Tables(maker.tables.into_iter().flatten().collect())
    }

    /// Appends the JSON of an encoded message.
    pub(crate) fn write(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        let (begin, kind) = (out.len(), &self.0[0].message);
        // What is protobuf's own is not written by its fields.
        if kind.full_name().starts_with("google.protobuf.") {
            return whole(kind, message, out);
        }
        if self.message((0, DEEPEST), message, out).is_ok() {
            return Ok(());
        }
        out.truncate(begin);
        let message = decoded(kind, message)?;
        // As it is encoded again its lists are whole.
        if self.message((0, DEEPEST), &message.encode_to_vec(), out).is_ok() {
            return Ok(());
        }
        out.truncate(begin);
        serialized(&message, out)
    }

    /// Writes a message by a table; so many more may be inside of it.
    fn message(&self, (table, depth): (usize, u32), bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unusual> {
        let (table, depth) = (&self.0[table], depth.checked_sub(1).ok_or(Unusual)?);
        let mut open = Open { seen: 0, list: None };
        out.push(b'{');
        let begin = out.len();
        let mut reader = Reader::new(bytes);
        while let Some((number, item)) = reader.next()? {
            let Ok(index) = table.fields.binary_search_by_key(&number, |field| field.number) else { continue };
            let field = &table.fields[index];
            if open.list != Some(index) {
                open.close(table, out);
                // A field that comes again elsewhere: the last counts, or it goes on a list.
                let bit = 1_u128.checked_shl(u32::try_from(index).unwrap_or(u32::MAX)).ok_or(Unusual)?;
                if open.seen & bit != 0 {
                    return Err(Unusual);
                }
                if field.implicit && item.is_default() {
                    continue;
                }
                open.seen |= bit;
                if out.len() > begin {
                    out.push(b',');
                }
                out.extend_from_slice(field.key.as_bytes());
                match field.shape {
                    Shape::One => {}
                    Shape::List => out.push(b'['),
                    Shape::Map => out.push(b'{'),
                }
                open.list = (field.shape != Shape::One).then_some(index);
            } else if !out.ends_with(b"[") {
                out.push(b',');
            }
            self.field((field, depth), item, out)?;
        }
        open.close(table, out);
        out.push(b'}');
        Ok(())
    }

    fn field(&self, (field, depth): (&Field, u32), item: Item<'_>, out: &mut Vec<u8>) -> Result<(), Unusual> {
        match (&field.how, item) {
            // Numbers of a list come together.
            (How::Plain(plain), Item::Bytes(packed)) if field.shape == Shape::List && plain.is_packed() => {
                let mut reader = Reader::new(packed);
                let mut first = true;
                while let Some(item) = reader.packed(plain.wire())? {
                    if !std::mem::take(&mut first) {
                        out.push(b',');
                    }
                    plain.write(item, out)?;
                }
                // An empty piece of a list would leave a comma behind.
                if first { Err(Unusual) } else { Ok(()) }
            }
            (How::Plain(plain), item) => plain.write(item, out),
            (How::Message(table), Item::Bytes(bytes)) => self.message((*table, depth), bytes, out),
            (How::Dynamic(kind), Item::Bytes(bytes)) => {
                serialized(&decoded(kind, bytes).map_err(|_| Unusual)?, out).map_err(|_| Unusual)
            }
            (How::Entry(table), Item::Bytes(bytes)) => self.entry((*table, depth), bytes, out),
            _ => Err(Unusual),
        }
    }

    /// An entry of a map: what is at its default need not be there.
    fn entry(&self, (table, depth): (usize, u32), bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Unusual> {
        let [key, value] = self.0[table].fields.as_slice() else { return Err(Unusual) };
        let How::Plain(plain) = &key.how else { return Err(Unusual) };
        let (mut name, mut item) = (None, None);
        let mut reader = Reader::new(bytes);
        while let Some((number, found)) = reader.next()? {
            let there = match number {
                1 => name.replace(found),
                2 => item.replace(found),
                _ => return Err(Unusual),
            };
            if there.is_some() {
                return Err(Unusual);
            }
        }
        plain.write_key(name.unwrap_or(plain.default()), out)?;
        out.push(b':');
        self.field((value, depth), item.unwrap_or(value.how.default()), out)
    }
}

impl How {
    /// What a value is on the wire that is not there.
    fn default(&self) -> Item<'static> {
        match self {
            How::Plain(plain) => plain.default(),
            How::Message(_) | How::Dynamic(_) | How::Entry(_) => Item::Bytes(&[]),
        }
    }
}

/// What of a message is being written.
struct Open {
    seen: u128,
    /// The list or map that goes on.
    list: Option<usize>,
}

impl Open {
    fn close(&mut self, table: &Table, out: &mut Vec<u8>) {
        if let Some(index) = self.list.take() {
            out.push(if table.fields[index].shape == Shape::Map { b'}' } else { b']' });
        }
    }
}

struct Maker {
    tables: Vec<Option<Table>>,
    known: HashMap<String, usize>,
}

impl Maker {
    fn table(&mut self, message: &MessageDescriptor) -> usize {
        if let Some(index) = self.known.get(message.full_name()) {
            return *index;
        }
        let index = self.tables.len();
        self.tables.push(None);
        self.known.insert(message.full_name().to_owned(), index);
        let mut fields: Vec<Field> = message.fields().map(|field| self.field(&field)).collect();
        fields.sort_by_key(|field| field.number);
        self.tables[index] = Some(Table { message: message.clone(), fields });
        index
    }

    fn field(&mut self, field: &FieldDescriptor) -> Field {
        let shape = match (field.is_map(), field.is_list()) {
            (true, _) => Shape::Map,
            (_, true) => Shape::List,
            _ => Shape::One,
        };
        let how = match field.kind() {
            Kind::Message(entry) if field.is_map() => How::Entry(self.table(&entry)),
            Kind::Message(message) if message.full_name().starts_with("google.protobuf.") => {
                Plain::message(&message).map_or_else(|| How::Dynamic(message), How::Plain)
            }
            Kind::Message(message) => How::Message(self.table(&message)),
            kind => How::Plain(Plain::of(&kind)),
        };
        let key = format!("{}:", serde_json::Value::from(field.json_name()));
        let implicit = shape == Shape::One && !field.supports_presence();
        Field { number: field.number(), key, shape, implicit, how }
    }
}

/// Writes a message of protobuf's own.
fn whole(kind: &MessageDescriptor, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let begin = out.len();
    if Plain::message(kind).is_some_and(|plain| plain.write(Item::Bytes(bytes), out).is_ok()) {
        return Ok(());
    }
    out.truncate(begin);
    serialized(&decoded(kind, bytes)?, out)
}

fn decoded(kind: &MessageDescriptor, bytes: &[u8]) -> Result<DynamicMessage, Malformed> {
    DynamicMessage::decode(kind.clone(), bytes).map_err(|cause| Malformed(cause.to_string()))
}

fn serialized(message: &DynamicMessage, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut serializer = serde_json::Serializer::new(out);
    message
        .serialize_with_options(&mut serializer, &SerializeOptions::new())
        .map_err(|cause| Malformed(cause.to_string()))
}

#[cfg(test)]
mod tests;
