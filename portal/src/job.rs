//! An import as pages show it: how far it is, and what came of it.

use proto::products::{ImportJob, ImportMode, ImportState};

use crate::time::Moment;

/// One import.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) id: i64,
    pub(crate) state: ImportState,
    pub(crate) mode: ImportMode,
    /// Where its rows came from; never empty.
    pub(crate) source: String,
    pub(crate) rows: u64,
    pub(crate) created: u64,
    pub(crate) updated: u64,
    pub(crate) unchanged: u64,
    pub(crate) refused: u64,
    pub(crate) undone: u64,
    pub(crate) conflicts: u64,
    /// Whether it began by only looking.
    pub(crate) dry_run: bool,
    pub(crate) request_id: String,
    pub(crate) begun: Option<Moment>,
    pub(crate) ended: Option<Moment>,
}

impl From<ImportJob> for Job {
    fn from(job: ImportJob) -> Job {
        Job {
            id: job.id,
            state: job.state(),
            mode: job.mode(),
            source: if job.source.is_empty() { "rows without a name".into() } else { job.source },
            rows: job.rows.unsigned_abs(),
            created: job.created.unsigned_abs(),
            updated: job.updated.unsigned_abs(),
            unchanged: job.unchanged.unsigned_abs(),
            refused: job.refused.unsigned_abs(),
            undone: job.undone.unsigned_abs(),
            conflicts: job.conflicts.unsigned_abs(),
            dry_run: job.dry_run,
            request_id: job.request_id,
            begun: Moment::read(job.create_time),
            ended: Moment::read(job.end_time),
        }
    }
}

impl Job {
    /// Where its page is.
    pub(crate) fn link(&self) -> String {
        format!("/imports/{}", self.id)
    }

    /// Its state in words.
    pub(crate) fn label(&self) -> &'static str {
        match self.state {
            ImportState::Running => "Running",
            ImportState::Ready => "Waits for you",
            ImportState::Done => "Done",
            ImportState::Cancelled => "Stopped",
            ImportState::Undoing => "Being undone",
            ImportState::Undone => "Undone",
            ImportState::Unspecified => "Unknown",
        }
    }

    /// How its state looks.
    pub(crate) fn tone(&self) -> &'static str {
        match self.state {
            ImportState::Done => "good",
            ImportState::Cancelled => "bad",
            ImportState::Undone => "calm",
            _ => "fair",
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == ImportState::Ready
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == ImportState::Done
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state == ImportState::Cancelled
    }

    pub(crate) fn is_undone(&self) -> bool {
        self.state == ImportState::Undone
    }

    pub(crate) fn is_undoing(&self) -> bool {
        self.state == ImportState::Undoing
    }

    /// Whether nothing happens until somebody asks for it.
    pub(crate) fn rests(&self) -> bool {
        !matches!(self.state, ImportState::Running | ImportState::Undoing)
    }

    /// Products that it changes, or changed.
    pub(crate) fn changes(&self) -> u64 {
        self.created + self.updated
    }

    /// Whether there is something of it to take back.
    pub(crate) fn can_be_undone(&self) -> bool {
        (self.is_done() || self.is_stopped()) && self.changes() > 0
    }

    /// What happens with its rows.
    pub(crate) fn manner(&self) -> &'static str {
        match self.mode {
            ImportMode::Create => "adds only",
            ImportMode::Update => "changes only",
            _ => "adds and changes",
        }
    }

    /// How many of its steps are done, and of how many; these are not known while rows still come.
    pub(crate) fn progress(&self) -> (u64, Option<u64>) {
        let (did, all) = match self.state {
            ImportState::Undoing => (self.undone + self.conflicts, self.changes()),
            _ => (self.changes() + self.unchanged + self.refused, self.rows),
        };
        (did, (did < all).then_some(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: ImportState) -> Job {
        let job =
            ImportJob { state: state.into(), rows: 1000, created: 300, refused: 10, undone: 20, ..Default::default() };
        Job::from(job)
    }

    #[test]
    fn progress_has_an_end_where_it_is_known() {
        assert_eq!(job(ImportState::Running).progress(), (310, Some(1000)));
        assert_eq!(job(ImportState::Undoing).progress(), (20, Some(300)));
        assert_eq!(Job { rows: 310, ..job(ImportState::Running) }.progress(), (310, None), "rows still come");
    }
}
