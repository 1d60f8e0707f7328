//! Contracts that tests write themselves.

use std::path::Path;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

use crate::gateway::descriptors;

/// Fields of all the kinds that ours have none of.
const KINDS: &str = r#"
    syntax = "proto3";
    package kinds.v1;
    import "google/protobuf/any.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/wrappers.proto";

    message Inner {
      int64 number = 1;
      string text = 2;
    }
    enum Colour {
      COLOUR_UNSPECIFIED = 0;
      COLOUR_RED = 1;
    }
    message All {
      string text = 1;
      int32 small = 2;
      int64 large = 3;
      uint64 large_unsigned = 4;
      float single = 5;
      double twice = 6;
      bool truth = 7;
      bytes raw = 8;
      Colour colour = 9;
      Inner inner = 10;
      repeated Inner inners = 11;
      map<int32, int64> counts = 12;
      oneof choice {
        Inner left = 13;
        Inner right = 14;
        google.protobuf.NullValue neither = 15;
      }
      optional google.protobuf.NullValue nothing = 16;
      google.protobuf.DoubleValue wrapped = 17;
      google.protobuf.FloatValue wrapped_single = 18;
      google.protobuf.UInt64Value wrapped_large = 19;
      google.protobuf.Timestamp time = 20;
      google.protobuf.Struct anything = 21;
      google.protobuf.Value value = 22;
      repeated google.protobuf.DoubleValue many = 23;
      map<int64, google.protobuf.DoubleValue> measures = 24;
      repeated google.protobuf.NullValue nothings = 25;
    }
"#;

/// A service that has the name of one of ours, and paths of all kinds.
pub(super) const SHOP: &str = r#"
    syntax = "proto3";
    package shop.v1;
    import "google/api/annotations.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/timestamp.proto";

    // Books.
    service ProductService {
      // Gets a book.
      rpc GetProduct(GetRequest) returns (Answer) {
        option (google.api.http) = {get: "/v1/{name=shelves/*/books/*}"};
      }
      // Gets a shelf.
      rpc GetShelf(GetRequest) returns (Answer) {
        option (google.api.http) = {get: "/v1/{name=shelves/*}"};
      }
      // Gets a box.
      rpc GetBox(GetRequest) returns (Answer) {
        option (google.api.http) = {get: "/v1/{name=boxes/*}"};
      }
      // Gets a thing.
      rpc GetThing(GetRequest) returns (Answer) {
        option (google.api.http) = {get: "/v1/things/{name}"};
      }
      // Deletes a thing.
      rpc DeleteThing(ThingRequest) returns (Answer) {
        option (google.api.http) = {delete: "/v1/things/{thing_name}"};
      }
      // Gets a cover.
      rpc GetCover(BookRequest) returns (Answer) {
        option (google.api.http) = {get: "/v1/covers/{book.pages}"};
      }
      // Changes a book.
      rpc UpdateBook(BookRequest) returns (Answer) {
        option (google.api.http) = {patch: "/v1/{book.name=shelves/*}" body: "book"};
      }
      // Is sent in parts.
      rpc GetParts(GetRequest) returns (Answer) {
        option (google.api.http) = {
          get: "/v1/parts:books" response_body: "books"
          additional_bindings {get: "/v1/parts/**/x"}
          additional_bindings {get: "/v1/parts:nobody" response_body: "nobody"}
          additional_bindings {get: "/v1/parts:time" response_body: "time"}
        };
      }
    }
    // Asks for one.
    message GetRequest {
      string name = 1;
    }
    // Asks for one.
    message ThingRequest {
      string thing_name = 1;
    }
    // A book.
    message Book {
      string name = 1;
      int64 pages = 2;
      string title = 3;
    }
    // Asks for one.
    message BookRequest {
      Book book = 1;
      google.protobuf.FieldMask update_mask = 2;
    }
    // One.
    message Answer {
      repeated Book books = 1;
      google.protobuf.Timestamp time = 2;
    }
"#;

/// The descriptor set of a contract, with its comments.
pub(super) fn set(source: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("written.proto");
    std::fs::write(&file, source).unwrap();
    let foreign = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../proto/foreign"));
    let mut compiler = protox::Compiler::new([folder.path(), foreign]).unwrap();
    compiler.include_imports(true).include_source_info(true).open_file(&file).unwrap();
    compiler.encode_file_descriptor_set()
}

/// The same, to be looked into.
pub(super) fn pool(source: &str) -> DescriptorPool {
    let mut pool = DescriptorPool::new();
    descriptors::add(&mut pool, &set(source)).unwrap();
    pool
}

/// A message with a field of every kind.
pub(super) fn all() -> MessageDescriptor {
    pool(KINDS).get_message_by_name("kinds.v1.All").unwrap()
}

/// An empty one.
pub(super) fn empty() -> DynamicMessage {
    DynamicMessage::new(all())
}
