//! Values that layers supply to a call: a list that only grows, so that what was read stays.

use std::any::Any;
use std::sync::OnceLock;

/// Values of any types.
#[derive(Default)]
pub(super) struct Values(OnceLock<Box<Entry>>);

struct Entry {
    value: Box<dyn Any + Send + Sync>,
    next: Values,
}

impl Values {
    pub(super) fn push(&self, value: Box<dyn Any + Send + Sync>) {
        let mut entry = Box::new(Entry { value, next: Self::default() });
        let mut place = self;
        // Layers of one call run one after another; a second one who pushes goes behind.
        while let Err(back) = place.0.set(entry) {
            entry = back;
            match place.0.get() {
                Some(taken) => place = &taken.next,
                None => return,
            }
        }
    }

    /// The value of this type that was pushed last.
    pub(super) fn last<V: 'static>(&self) -> Option<&V> {
        let entries = std::iter::successors(self.0.get(), |entry| entry.next.0.get());
        entries.filter_map(|entry| entry.value.downcast_ref::<V>()).last()
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = std::iter::successors(self.0.get(), |entry| entry.next.0.get()).count();
        write!(f, "{count} values")
    }
}
