//! The operator's hand: draining, its end, and taking down.

use proto::registry::DownReason;

use super::entry::{Operator, Order};
use super::{Instances, Now};
use crate::error::Error;
use crate::registration::Key;

impl Instances {
    /// An operator keeps calls away from an instance.
    pub(crate) fn drain(&mut self, key: &Key, now: Now) -> Result<u64, Error> {
        self.look(now);
        if self.entry(key).is_some_and(|entry| entry.operator == Operator::Down) {
            // It was done before: nobody calls it.
            return Ok(self.changes.revision());
        }
        self.operate(key, Operator::Drained, Order::Drain, now)
    }

    /// An operator lets calls go there again.
    pub(crate) fn undrain(&mut self, key: &Key, now: Now) -> Result<u64, Error> {
        self.look(now);
        let entry = self.entry_mut(key).ok_or_else(|| Error::not_found(key))?;
        match entry.operator {
            Operator::Drained => return self.operate(key, Operator::Undrained, Order::Undrain, now),
            // When it comes back it may still think that it is drained.
            Operator::Down => entry.operator = Operator::Undrained,
            Operator::Nothing | Operator::Undrained => {}
        }
        Ok(self.changes.revision())
    }

    /// An operator takes an instance down until Undrain, or its next start.
    pub(crate) fn remove(&mut self, key: &Key, now: Now) -> Result<u64, Error> {
        let at = self.look(now);
        let entry = self.entry_mut(key).ok_or_else(|| Error::not_found(key))?;
        entry.operator = Operator::Down;
        self.take_down(key, DownReason::Operator, at, now);
        Ok(self.changes.revision())
    }

    fn operate(&mut self, key: &Key, wish: Operator, order: Order, now: Now) -> Result<u64, Error> {
        let at = self.look(now);
        let entry = self.entry_mut(key).filter(|entry| entry.is_up()).ok_or_else(|| Error::not_found(key))?;
        entry.operator = wish;
        let (stream, incarnation) = (entry.stream, entry.record.incarnation);
        if let Some(stream) = stream {
            self.errands.orders.push((stream, key.clone(), incarnation, order));
        }
        self.change(key, now, at, |_| ());
        Ok(self.changes.revision())
    }
}
