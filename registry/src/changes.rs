//! What changed, by revision: a bounded history from which watchers catch up.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use proto::registry::Instance;

/// How many changes are remembered. A watcher that is further behind gets a snapshot.
const REMEMBERED: usize = 4096;

/// The latest changes, oldest first. Every revision is one change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    changes: VecDeque<(u64, Arc<Instance>)>,
    /// The last revision; changes reach from here back without a hole.
    revision: u64,
}

impl Changes {
    /// Adds a change and answers its revision.
    pub(crate) fn push(&mut self, instance: Arc<Instance>) -> u64 {
        self.revision += 1;
        self.changes.push_back((self.revision, instance));
        if self.changes.len() > REMEMBERED {
            self.changes.pop_front();
        }
        self.revision
    }

    /// The last revision; 0 before the first change.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// The last change of each instance after `revision`, with its revision, oldest first; none when it is too long ago.
    pub(crate) fn since(&self, revision: u64) -> Option<Vec<(u64, Arc<Instance>)>> {
        let behind = usize::try_from(self.revision.checked_sub(revision)?).ok()?;
        let start = self.changes.len().checked_sub(behind)?;
        let mut last: HashMap<(&str, &str), u64> = HashMap::new();
        for (revision, instance) in self.changes.range(start..) {
            last.insert((&instance.service, &instance.instance_id), *revision);
        }
        let newest = |(revision, instance): &&(u64, Arc<Instance>)| {
            last.get(&(instance.service.as_str(), instance.instance_id.as_str())) == Some(revision)
        };
        Some(self.changes.range(start..).filter(newest).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: &str, incarnation: u64) -> Arc<Instance> {
        Arc::new(Instance { service: "s".to_owned(), instance_id: id.to_owned(), incarnation, ..Default::default() })
    }

    fn since(changes: &Changes, revision: u64) -> Option<Vec<(String, u64)>> {
        let since = changes.since(revision)?;
        Some(since.iter().map(|(_, instance)| (instance.instance_id.clone(), instance.incarnation)).collect())
    }

    #[test]
    fn a_watcher_sees_the_last_change_of_each_instance() {
        let mut changes = Changes::default();
        for (id, incarnation) in [("a", 1), ("b", 2), ("a", 3)] {
            changes.push(change(id, incarnation));
        }

        assert_eq!(since(&changes, 0), Some(vec![("b".to_owned(), 2), ("a".to_owned(), 3)]));
        assert_eq!(since(&changes, 2), Some(vec![("a".to_owned(), 3)]));
        assert_eq!(since(&changes, 3), Some(vec![]));
    }

    #[test]
    fn one_that_is_too_far_behind_or_ahead_is_told_so() {
        let mut changes = Changes::default();
        for n in 0..=REMEMBERED as u64 {
            changes.push(change("a", n));
        }

        assert_eq!(since(&changes, 0), None);
        assert!(since(&changes, 1).is_some());
        assert_eq!(since(&changes, REMEMBERED as u64 + 2), None);
    }
}
