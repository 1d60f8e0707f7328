//! Finds a part of an answer on the wire, without building the answer.

use prost_reflect::{FieldDescriptor, Kind};

use crate::gateway::json::Reader;

/// The text at the end of this way of fields; none when it is empty.
pub(crate) fn of(way: &[FieldDescriptor], answer: &[u8]) -> Option<String> {
    let (_, rest) = way.split_first()?;
    let inner = message(&way[0], answer);
    if rest.is_empty() {
        return std::str::from_utf8(inner).ok().filter(|text| !text.is_empty()).map(str::to_owned);
    }
    of(rest, inner)
}

/// The number of the thing whose version an answer has.
pub(crate) fn id(way: &[FieldDescriptor], answer: &[u8]) -> Option<i64> {
    let Kind::Message(thing) = way.first()?.kind() else { return None };
    let own = thing.get_field_by_name("id").filter(|own| own.kind() == Kind::Int64)?;
    let mut reader = Reader::new(message(way.first()?, answer));
    let mut found = None;
    while let Ok(Some((number, item))) = reader.next() {
        if number == own.number() {
            found = item.varint().map(u64::cast_signed);
        }
    }
    found
}

/// The bytes of a field; empty when it is not there.
pub(crate) fn message<'b>(field: &FieldDescriptor, answer: &'b [u8]) -> &'b [u8] {
    let mut reader = Reader::new(answer);
    let mut found: &[u8] = &[];
    while let Ok(Some((number, item))) = reader.next() {
        if let (true, Some(bytes)) = (number == field.number(), item.bytes()) {
            found = bytes;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::contract;

    #[test]
    fn the_version_of_what_an_answer_is_about_is_found() {
        let product = proto::products::Product { id: 7, etag: "v3".into(), ..Default::default() };
        let answer = proto::products::GetProductResponse { product: Some(product) }.encode_to_vec();
        let response = contract::message("rundoo.products.v1.GetProductResponse").unwrap();
        let outer = response.get_field_by_name("product").unwrap();
        let inner = contract::message("rundoo.products.v1.Product").unwrap().get_field_by_name("etag").unwrap();

        assert_eq!(of(&[outer.clone(), inner.clone()], &answer).as_deref(), Some("v3"));
        assert_eq!(id(&[outer.clone(), inner.clone()], &answer), Some(7));
        assert_eq!(of(&[outer, inner], &[]), None);
        assert_eq!(of(&[], &answer), None);
    }
}
