//! The statements of imports: jobs, their rows, and what they did.

mod begin;
mod commit;
mod leases;
mod lists;
mod marks;
mod pieces;
mod staging;
mod states;
mod undo;

use sqlx::FromRow;

use crate::import::{Counts, Job, Manner, Mode, State};
use crate::store::from_micros;
use crate::version::Author;

pub(super) use begin::Begin;
pub use begin::Beginning;
pub(super) use commit::{BeginCommit, CommitPiece};
pub(super) use leases::{Claim, FindWork, Lease, Release};
pub(super) use lists::{FindConflicts, FindJob, FindJobs, FindRefused, Which};
pub(super) use pieces::Store;
pub(super) use staging::{FindPreviews, Stage};
pub(super) use states::{Cancel, Expire, ForgetStaged};
pub(super) use undo::{BeginUndo, UndoPiece};

macro_rules! columns {
    () => {
        "id, state, source, request_id, import_mode, allow_damaged, dry_run, only_if_new, mark, total_rows, created_rows,
        updated_rows, unchanged_rows, refused_rows, undone_products, conflicts, actor, call_id, create_time, end_time"
    };
}
use columns;

#[derive(FromRow)]
struct JobRow {
    id: i64,
    state: i64,
    source: String,
    request_id: String,
    import_mode: i64,
    allow_damaged: i64,
    dry_run: i64,
    only_if_new: i64,
    mark: i64,
    total_rows: i64,
    created_rows: i64,
    updated_rows: i64,
    unchanged_rows: i64,
    refused_rows: i64,
    undone_products: i64,
    conflicts: i64,
    actor: String,
    call_id: String,
    create_time: i64,
    end_time: Option<i64>,
}

impl From<JobRow> for Job {
    fn from(row: JobRow) -> Self {
        let counts = Counts {
            rows: row.total_rows,
            created: row.created_rows,
            updated: row.updated_rows,
            unchanged: row.unchanged_rows,
            refused: row.refused_rows,
            undone: row.undone_products,
            conflicts: row.conflicts,
        };
        Self {
            id: row.id,
            // One that is not known is a later version's, and none of our business.
            state: State::parse(row.state).unwrap_or(State::Done),
            source: row.source,
            request_id: row.request_id,
            manner: Manner { mode: Mode::parse(row.import_mode), allow_damaged: row.allow_damaged != 0 },
            dry_run: row.dry_run != 0,
            only_if_new: row.only_if_new != 0,
            mark: row.mark,
            counts,
            author: Author { name: row.actor, call_id: row.call_id, person: false },
            create_time: from_micros(row.create_time),
            end_time: row.end_time.map(from_micros),
        }
    }
}
