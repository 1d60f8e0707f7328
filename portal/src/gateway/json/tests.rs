//! What the tables write is what the dynamic messages write.

use proptest::prelude::*;
use proptest::test_runner::TestRng;
use prost::Message as _;
use prost_reflect::{Kind, Value};

use super::*;
use crate::{contract, gateway::written as contracts};

fn written(kind: &MessageDescriptor, bytes: &[u8]) -> (String, bool) {
    let tables = Tables::of(kind);
    let (mut out, mut direct) = (Vec::new(), Vec::new());
    tables.write(bytes, &mut out).unwrap();
    let is_direct = tables.message((0, DEEPEST), bytes, &mut direct).is_ok();
    (String::from_utf8(out).unwrap(), is_direct)
}

fn expected(kind: &MessageDescriptor, bytes: &[u8]) -> serde_json::Value {
    serde_json::to_value(DynamicMessage::decode(kind.clone(), bytes).unwrap()).unwrap()
}

/// A message of this kind with anything in it.
fn random(kind: &MessageDescriptor, rng: &mut TestRng, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.clone());
    if kind.full_name() == "google.protobuf.Timestamp" {
        message.set_field_by_name("seconds", Value::I64(rng.random_range(-62_135_596_800..253_402_300_799)));
        let step = [1, 1_000, 1_000_000, 1_000_000_000][rng.random_range(0..4)];
        message.set_field_by_name("nanos", Value::I32(rng.random_range(0..1_000_000_000) / step * step));
        return message;
    }
    if kind.full_name() == "google.protobuf.Duration" {
        message.set_field_by_name("seconds", Value::I64(rng.random_range(0..1_000_000)));
        return message;
    }
    if kind.full_name() == "google.protobuf.FieldMask" {
        message.set_field_by_name("paths", Value::List(vec![Value::String("page_size".into())]));
        return message;
    }
    for field in kind.fields() {
        if rng.random_bool(0.4) || depth == 0 && matches!(field.kind(), Kind::Message(_)) {
            continue;
        }
        let mut one = |kind: &Kind| match kind {
            Kind::Message(kind) => Value::Message(random(kind, rng, depth - 1)),
            Kind::String => Value::String(["", "Hammer", "\"\\\n\u{1}é\u{1f528}</"][rng.random_range(0..3)].into()),
            Kind::Bytes => Value::Bytes(bytes::Bytes::from_static(&[0, 255, 7])),
            Kind::Bool => Value::Bool(rng.random()),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(rng.random()),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(rng.random()),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(rng.random()),
            Kind::Uint64 | Kind::Fixed64 => Value::U64(rng.random()),
            Kind::Float => Value::F32([0.0, -1.5, f32::NAN, f32::INFINITY][rng.random_range(0..4)]),
            Kind::Double => Value::F64([0.0, -0.1, 1e300, f64::NEG_INFINITY][rng.random_range(0..4)]),
            Kind::Enum(_) => Value::EnumNumber(rng.random_range(0..12)),
        };
        let value = if field.is_map() {
            let Kind::Message(entry) = field.kind() else { unreachable!("a map has entries") };
            let value = one(&entry.map_entry_value_field().kind());
            Value::Map([(prost_reflect::MapKey::String("k".into()), value)].into())
        } else if field.is_list() {
            Value::List(vec![one(&field.kind()), one(&field.kind())])
        } else {
            one(&field.kind())
        };
        message.set_field(&field, value);
    }
    message
}

mod fuzz {
    use super::*;

    proptest! {

        #[test]
        fn every_answer_is_written_as_the_slow_way_writes_it(seed in any::<[u8; 32]>()) {
            let mut rng = TestRng::from_seed(proptest::test_runner::RngAlgorithm::ChaCha, &seed);
            for service in contract::services() {
                for method in service.methods() {
                    let kind = method.output();
                    let bytes = random(&kind, &mut rng, 4).encode_to_vec();
                    let (text, is_direct) = written(&kind, &bytes);
                    prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), expected(&kind, &bytes));
                    // The empty value of a map's entry is not on the wire.
                    prop_assert!(is_direct || text.contains(":{\"k\":"), "{} {}", kind.full_name(), text);
                }
            }
        }

        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for service in contract::services() {
                for method in service.methods() {
                    let kind = method.output();
                    let mut out = Vec::new();
                    match Tables::of(&kind).write(&bytes, &mut out) {
                        Ok(()) => prop_assert_eq!(
                            serde_json::from_slice::<serde_json::Value>(&out).unwrap(), expected(&kind, &bytes)
                        ),
                        Err(Malformed(_)) => prop_assert!(DynamicMessage::decode(kind.clone(), bytes.as_slice())
                            .map_or(true, |message| serde_json::to_value(message).is_err())),
                    }
                }
            }
        }
    }
}

#[test]
fn what_comes_in_two_parts_is_whole() {
    let kind = contract::message("rundoo.products.v1.ListProductsResponse").unwrap();
    let page = |name: &str| {
        let product = proto::products::Product { name: name.into(), ..Default::default() };
        proto::products::ListProductsResponse { products: vec![product], ..Default::default() }.encode_to_vec()
    };
    let token = proto::products::ListProductsResponse { next_page_token: "x".into(), ..Default::default() };
    let bytes = [page("a"), token.encode_to_vec(), page("b")].concat();

    let (text, is_direct) = written(&kind, &bytes);

    assert!(!is_direct);
    assert_eq!(text, r#"{"products":[{"name":"a"},{"name":"b"}],"nextPageToken":"x"}"#);
}

/// A message that may contain itself, as somebody else's contract may have one.
fn recursive() -> MessageDescriptor {
    use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, field_descriptor_proto::Type};

    let inner = FieldDescriptorProto {
        name: Some("inner".into()),
        number: Some(1),
        r#type: Some(Type::Message.into()),
        type_name: Some(".deep.Deep".into()),
        ..Default::default()
    };
    let file = FileDescriptorProto {
        name: Some("deep.proto".into()),
        package: Some("deep".into()),
        syntax: Some("proto3".into()),
        message_type: vec![DescriptorProto { name: Some("Deep".into()), field: vec![inner], ..Default::default() }],
        ..Default::default()
    };
    let mut pool = prost_reflect::DescriptorPool::new();
    pool.add_file_descriptor_proto(file).unwrap();
    pool.get_message_by_name("deep.Deep").unwrap()
}

#[test]
fn messages_inside_of_messages_come_to_an_end() {
    let kind = recursive();
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let inner = std::mem::take(&mut bytes);
            prost::encoding::bytes::encode(1, &inner, &mut bytes);
        }
        bytes
    };
    let (text, is_direct) = written(&kind, &nested(99));
    assert!(is_direct && text.matches("inner").count() == 99, "{text}");

    let refused = Tables::of(&kind).write(&nested(20_000), &mut Vec::new());
    assert!(refused.unwrap_err().to_string().contains("recursion limit"));
}

#[test]
fn a_field_is_named_only_so_deep() {
    use crate::gateway::fields;

    let kind = recursive();
    let path = |depth: usize| vec!["inner"; depth].join(".");
    assert_eq!(fields::way(&kind, &path(100)).len(), 100);
    assert!(fields::way(&kind, &path(100_000)).is_empty());
}

#[test]
fn null_is_a_value_and_infinity_a_text_where_json_says_so() {
    let kind = contracts::all();
    let texts = [
        r#"{"twice":"NaN","neither":null,"nothing":null,"nothings":[null,null]}"#,
        r#"{"wrapped":"NaN","wrappedSingle":"-Infinity","many":["Infinity",1.5]}"#,
        r#"{"counts":{"7":"0"},"wrapped":0.0,"measures":{"-1":"NaN"}}"#,
    ];
    for text in texts {
        let mut bytes = Vec::new();
        // The wire's own, since what reads JSON is another's.
        for (name, value) in serde_json::from_str::<serde_json::Map<_, _>>(text).unwrap() {
            let one = serde_json::Value::Object([(name, value)].into_iter().collect()).to_string();
            let read = DynamicMessage::deserialize(kind.clone(), &mut serde_json::Deserializer::from_str(&one));
            bytes.extend(read.unwrap().encode_to_vec());
        }
        let (came, is_direct) = written(&kind, &bytes);
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!((serde_json::from_str::<serde_json::Value>(&came).unwrap(), is_direct), (expected, true));

        // A list in two parts is put together, and the rest is written as before.
        let part = |number: f64| {
            let mut message = DynamicMessage::new(kind.clone());
            let Kind::Message(wrapper) = kind.get_field_by_name("many").unwrap().kind() else { panic!("it is one") };
            let mut one = DynamicMessage::new(wrapper);
            one.set_field_by_name("value", Value::F64(number));
            message.set_field_by_name("many", Value::List(vec![Value::Message(one)]));
            message.encode_to_vec()
        };
        let parts = [part(f64::NAN), bytes, part(f64::INFINITY)].concat();
        let (came, is_direct) = written(&kind, &parts);
        assert!(!is_direct && came.contains("\"NaN\"") && came.contains("\"Infinity\"]"), "{came}");
    }
}

#[test]
fn what_is_protobufs_own_is_not_written_by_its_fields() {
    let kind = |name: &str| contracts::all().parent_pool().get_message_by_name(name).unwrap();
    let second = [8, 1];
    assert_eq!(written(&kind("google.protobuf.Timestamp"), &second).0, r#""1970-01-01T00:00:01Z""#);
    assert_eq!(written(&kind("google.protobuf.Struct"), &[]).0, "{}");
}
