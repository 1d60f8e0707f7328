//! The parts of the lake that count, and the months that they make up.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::error::Error;
use crate::lake::{Month, Part};
use crate::store::archives::Hold;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;

/// A part that counts: its versions are found in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPart {
    /// What is known of it.
    pub part: Part,
    /// Whether none of its versions is in the database any more.
    pub removed: bool,
}

/// A month of which versions are in the lake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Which month.
    pub month: Month,
    /// Versions in its parts.
    pub rows: i64,
    /// Its parts.
    pub files: i64,
    /// How long those are together.
    pub bytes: i64,
    /// When the last of them was verified.
    pub time: Timestamp,
    /// Whether none of its versions is in the database any more.
    pub removed: bool,
}

/// The columns of a [`PartRow`].
macro_rules! part_columns {
    () => {
        "month, part, file_rows, file_bytes, sha256, first_product_id, last_product_id, remove_time"
    };
}

#[derive(FromRow)]
struct PartRow {
    month: i64,
    part: i64,
    file_rows: i64,
    file_bytes: i64,
    sha256: String,
    first_product_id: i64,
    last_product_id: i64,
    remove_time: Option<i64>,
}

fn stored(rows: Vec<PartRow>) -> Result<Vec<StoredPart>, Failure> {
    let stored = |row: PartRow| {
        let part = Part {
            month: month(row.month)?,
            number: row.part,
            rows: row.file_rows,
            bytes: row.file_bytes,
            sha256: row.sha256,
            first_product_id: row.first_product_id,
            last_product_id: row.last_product_id,
        };
        Ok(StoredPart { part, removed: row.remove_time.is_some() })
    };
    rows.into_iter().map(stored).collect()
}

fn month(code: i64) -> Result<Month, Failure> {
    Month::from_code(code).map_err(|_| Error::Internal(format!("{code} is no month")).into())
}

/// The parts of a month, in the order of their numbers.
pub(in crate::store) struct FindParts {
    pub(in crate::store) month: Month,
}

impl Work for FindParts {
    type Answer = Vec<StoredPart>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<StoredPart>, Failure> {
        const FIND: &str = concat!("SELECT ", part_columns!(), " FROM archive_parts WHERE month = $1 ORDER BY part");

        stored(on_either!(on, |c| sqlx::query_as(FIND).bind(self.month.code()).fetch_all(c).await?))
    }
}

/// The parts that may hold versions of a product, the latest month first.
pub(in crate::store) struct FindPartsOf {
    pub(in crate::store) product_id: i64,
}

impl Work for FindPartsOf {
    type Answer = Vec<Part>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Part>, Failure> {
        const FIND: &str = concat!(
            "SELECT ",
            part_columns!(),
            " FROM archive_parts WHERE first_product_id <= $1 AND last_product_id >= $1
            ORDER BY month DESC, part DESC"
        );

        let rows = on_either!(on, |c| sqlx::query_as(FIND).bind(self.product_id).fetch_all(c).await?);
        Ok(stored(rows)?.into_iter().map(|stored| stored.part).collect())
    }
}

/// The months of which some parts' versions may still be in the database.
pub(in crate::store) struct FindUnsettled;

impl Work for FindUnsettled {
    type Answer = Vec<Month>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Month>, Failure> {
        const FIND: &str = "SELECT DISTINCT month FROM archive_parts WHERE remove_time IS NULL ORDER BY month";

        let codes: Vec<i64> = on_either!(on, |c| sqlx::query_scalar(FIND).fetch_all(c).await?);
        codes.into_iter().map(month).collect()
    }
}

/// Lets parts count. From then on their versions may be removed from the database.
pub(in crate::store) struct Keep<'a> {
    pub(in crate::store) hold: &'a Hold,
    pub(in crate::store) parts: &'a [Part],
    pub(in crate::store) now: Timestamp,
}

impl Work for Keep<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const KEEP: &str = "INSERT INTO archive_parts (month, part, file_rows, file_bytes, sha256,
                first_product_id, last_product_id, create_time, remove_time)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL)";
        // Of a manifest that outlived the database's memory of it.
        const COUNT: &str = "UPDATE archive_months SET last_part = $2 WHERE month = $1 AND last_part < $2";

        self.hold.fence(on).await?;
        for part in self.parts {
            on_either!(on, |c| {
                let keep = sqlx::query(KEEP).bind(part.month.code()).bind(part.number).bind(part.rows);
                let keep = keep.bind(part.bytes).bind(&part.sha256).bind(part.first_product_id);
                keep.bind(part.last_product_id).bind(self.now.as_microsecond()).execute(c).await?;
            });
            on_either!(on, |c| {
                sqlx::query(COUNT).bind(part.month.code()).bind(part.number).execute(c).await?;
            });
        }
        Ok(())
    }
}

/// Notes that no version of a part is in the database any more.
pub(in crate::store) struct Settle<'a> {
    pub(in crate::store) hold: &'a Hold,
    pub(in crate::store) part: i64,
    pub(in crate::store) now: Timestamp,
}

impl Work for Settle<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        const SETTLE: &str = "UPDATE archive_parts SET remove_time = $3 WHERE month = $1 AND part = $2";

        self.hold.fence(on).await?;
        on_either!(on, |c| {
            let settle = sqlx::query(SETTLE).bind(self.hold.month.code()).bind(self.part);
            settle.bind(self.now.as_microsecond()).execute(c).await?;
        });
        Ok(())
    }
}

/// The months of which versions are in the lake, behind one.
pub(in crate::store) struct FindArchives {
    /// The code of a month, or 0.
    pub(in crate::store) after: i64,
    pub(in crate::store) limit: usize,
}

#[derive(FromRow)]
struct ArchiveRow {
    month: i64,
    file_rows: i64,
    files: i64,
    file_bytes: i64,
    archive_time: i64,
    left_files: i64,
}

impl Work for FindArchives {
    type Answer = Vec<Archive>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Archive>, Failure> {
        // PostgreSQL's sum of BIGINT is a NUMERIC.
        const FIND: &str = "SELECT month, CAST(SUM(file_rows) AS BIGINT) AS file_rows, COUNT(*) AS files,
                CAST(SUM(file_bytes) AS BIGINT) AS file_bytes, MAX(create_time) AS archive_time,
                COUNT(*) - COUNT(remove_time) AS left_files
            FROM archive_parts
            WHERE month > $1
            GROUP BY month
            ORDER BY month
            LIMIT $2";

        let rows: Vec<ArchiveRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.after).bind(self.limit as i64).fetch_all(c).await?);
        let archive = |row: ArchiveRow| {
            Ok(Archive {
                month: month(row.month)?,
                rows: row.file_rows,
                files: row.files,
                bytes: row.file_bytes,
                time: from_micros(row.archive_time),
                removed: row.left_files == 0,
            })
        };
        rows.into_iter().map(archive).collect()
    }
}
