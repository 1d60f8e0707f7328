//! Garbage over gRPC: every method answers with a status that explains, and lives on.

use std::time::Duration;

use harness::{System, dynamic, health};
use mesh::Refusal;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, MethodDescriptor, Value};
use tonic::{Code, Status};

/// What a field is filled with.
#[derive(Debug, Clone, Copy)]
enum Garbage {
    Nothing,
    Huge,
    Negative,
    Hostile,
}

const ALL: [Garbage; 4] = [Garbage::Nothing, Garbage::Huge, Garbage::Negative, Garbage::Hostile];

/// Text that breaks what is careless: SQL, markup, terminals, wildcards, Unicode.
const HOSTILE: &str = "'; DROP TABLE products; --<script>alert(1)</script>%_\\\u{0}\u{1b}[31m\u{202e}🧱é½";

fn message(descriptor: &MessageDescriptor, garbage: Garbage, depth: usize) -> DynamicMessage {
    let mut message = DynamicMessage::new(descriptor.clone());
    if matches!(garbage, Garbage::Nothing) || depth > 3 {
        return message;
    }
    for field in descriptor.fields() {
        let value = value(&field.kind(), garbage, depth);
        if field.is_map() {
            continue;
        }
        message.set_field(&field, if field.is_list() { Value::List(vec![value; 3]) } else { value });
    }
    message
}

fn value(kind: &Kind, garbage: Garbage, depth: usize) -> Value {
    match kind {
        Kind::String => {
            Value::String(if matches!(garbage, Garbage::Huge) { "x".repeat(300_000) } else { HOSTILE.to_owned() })
        }
        Kind::Bytes => Value::Bytes(vec![0xff; 1000].into()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
            Value::I32(if matches!(garbage, Garbage::Negative) { i32::MIN } else { i32::MAX })
        }
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => {
            Value::I64(if matches!(garbage, Garbage::Negative) { i64::MIN } else { i64::MAX })
        }
        Kind::Uint32 | Kind::Fixed32 => Value::U32(u32::MAX),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(u64::MAX),
        Kind::Double => Value::F64(f64::NAN),
        Kind::Float => Value::F32(f32::NAN),
        Kind::Bool => Value::Bool(true),
        Kind::Enum(_) => Value::EnumNumber(-77),
        Kind::Message(inner) => Value::Message(message(inner, garbage, depth + 1)),
    }
}

/// Calls and reads a few answers; a stream that stays open has answered.
async fn call(
    address: std::net::SocketAddr,
    method: &MethodDescriptor,
    requests: Vec<DynamicMessage>,
) -> anyhow::Result<Result<(), Status>> {
    let channel = health::connect(address).await?;
    let calling = async {
        let mut answers = dynamic::call(channel, method, tokio_stream::iter(requests)).await?;
        for _ in 0..3 {
            match tokio::time::timeout(Duration::from_millis(500), answers.message()).await {
                Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) | Err(_) => break,
                Ok(Err(status)) => return Err(status),
            }
        }
        Ok(())
    };
    Ok(tokio::time::timeout(Duration::from_secs(15), calling).await?)
}

fn check(method: &MethodDescriptor, garbage: Garbage, outcome: Result<(), Status>) {
    let Err(status) = outcome else { return };
    let name = method.full_name();
    let is_excused = matches!(
        status.code(),
        Code::Internal | Code::Unknown | Code::Cancelled | Code::DataLoss | Code::Unavailable | Code::DeadlineExceeded
    );
    assert!(!is_excused, "{name} with {garbage:?}: {status:?}");
    assert!(!status.message().is_empty(), "{name} with {garbage:?} does not explain: {status:?}");
    if name.starts_with("rundoo.") {
        assert!(Refusal::reason(&status).is_some(), "{name} with {garbage:?} gives no reason: {status:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_answers_garbage_with_a_status_that_explains() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let owner = |method: &MethodDescriptor| match method.parent_service().package_name() {
        "rundoo.logs.v1" => harness::Role::Logs,
        "rundoo.products.v1" => harness::Role::Products(0),
        "rundoo.registry.v1" => harness::Role::Registry,
        _ => harness::Role::Portal,
    };

    for service in dynamic::POOL.services() {
        for method in service.methods() {
            let address = system.address(owner(&method))?;
            for garbage in ALL {
                let garbled = message(&method.input(), garbage, 0);
                check(&method, garbage, call(address, &method, vec![garbled.clone(), garbled]).await?);
            }
            // A client stream that is closed at once.
            if method.is_client_streaming() {
                check(&method, Garbage::Nothing, call(address, &method, Vec::new()).await?);
            }
        }
    }

    for role in system.roles() {
        assert!(system.process(role)?.ended().is_none(), "{role:?} has died");
        let output = system.process(role)?.output();
        assert!(!output.contains("panicked"), "{role:?} panicked:\n{output}");
    }
    system.check_health().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_method_and_a_message_that_is_too_large_are_refused() -> anyhow::Result<()> {
    let system = System::start().await?;
    let address = system.address(harness::Role::Products(0))?;
    let search = dynamic::method("ProductService/SearchProducts")?;
    let large = dynamic::requests(&search, &format!("{{\"query\": \"{}\"}}", "x".repeat(5_000_000)))?;
    let register = dynamic::method("RegistryService/Discover")?;

    let too_large = call(address, &search, large).await?.expect_err("5 MB");
    let unknown = call(address, &register, vec![DynamicMessage::new(register.input())]).await?.expect_err("not here");

    assert_eq!(
        (too_large.code(), Refusal::reason(&too_large).as_deref()),
        (Code::OutOfRange, Some("MESSAGE_TOO_LARGE"))
    );
    assert_eq!((unknown.code(), Refusal::reason(&unknown).as_deref()), (Code::Unimplemented, Some("UNKNOWN_METHOD")));
    assert!(unknown.message().contains("Discover"), "{unknown:?}");
    Ok(())
}
