//! What a request has said so far: a field may be said in several places, but not with several values.

use std::collections::HashSet;

use prost_reflect::{FieldDescriptor, Kind};

use crate::gateway::{named::Named, route::Route, rule::Body};

/// The fields that a request has named, by the numbers on their ways: of a value that is the default nothing is left in
/// a message.
pub(super) struct Said(HashSet<Vec<u32>>);

impl Said {
    pub(super) fn by_body(route: &Route, named: &[Named]) -> Said {
        let mut said = Said(HashSet::new());
        let outside = match &route.binding.body {
            Body::Field(field) if matches!(field.kind(), Kind::Message(_)) && !field.is_list() && !field.is_map() => {
                vec![field.number()]
            }
            _ => Vec::new(),
        };
        said.take(&outside, named);
        said
    }

    fn take(&mut self, outside: &[u32], named: &[Named]) {
        for Named { field, inside, .. } in named.iter().filter(|named| !named.is_null) {
            let way = [outside, &[field.number()]].concat();
            self.take(&way, inside);
            if inside.is_empty() {
                self.0.insert(way);
            }
        }
    }

    pub(super) fn has(&self, way: &[FieldDescriptor]) -> bool {
        self.0.contains(&numbers(way))
    }

    /// Whether it is said for the first time, also as a part of what was said, or with a part that was.
    pub(super) fn add(&mut self, way: &[FieldDescriptor]) -> bool {
        let way = numbers(way);
        let is_new = !self.0.iter().any(|said| said.starts_with(&way) || way.starts_with(said));
        self.0.insert(way);
        is_new
    }
}

fn numbers(way: &[FieldDescriptor]) -> Vec<u32> {
    way.iter().map(FieldDescriptor::number).collect()
}
