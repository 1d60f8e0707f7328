//! Every table with its columns, in one place: what a backup holds, and a restore fills.
//!
//! A migration that adds a table or a column adds it here too; a test says so. A table
//! that can be made of the others is derived: it is not copied, but made anew.

use crate::search::postings::BLOCK;
use crate::store::connection::{Connection, on_either};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// A table that is copied.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) columns: &'static [(&'static str, Kind)],
    /// The columns of its primary key: the order in which it is read.
    pub(super) key: &'static [&'static str],
    /// Whether the database gives its ids, from a sequence that has to go on.
    pub(super) gives_ids: bool,
}

use Kind::{Bytes, Integer, Text};

/// What is copied, in an order in which rows refer to earlier tables only.
pub(super) const TABLES: &[Table] = &[
    Table {
        name: "catalogue",
        columns: &[
            ("id", Integer),
            ("last_id", Integer),
            ("last_sequence", Integer),
            ("live_products", Integer),
            ("categories_counted", Integer),
        ],
        key: &["id"],
        gives_ids: false,
    },
    Table {
        name: "products",
        columns: &[
            ("id", Integer),
            ("name", Text),
            ("category", Text),
            ("sku", Text),
            ("name_key", Text),
            ("category_key", Text),
            ("sku_key", Text),
            ("version", Integer),
            ("create_time", Integer),
            ("update_time", Integer),
            ("delete_time", Integer),
            ("change_kind", Integer),
            ("actor", Text),
            ("call_id", Text),
        ],
        key: &["id"],
        gives_ids: false,
    },
    Table {
        name: "product_versions",
        columns: &[
            ("product_id", Integer),
            ("version", Integer),
            ("name", Text),
            ("category", Text),
            ("sku", Text),
            ("create_time", Integer),
            ("update_time", Integer),
            ("delete_time", Integer),
            ("end_time", Integer),
            ("change_kind", Integer),
            ("actor", Text),
            ("call_id", Text),
        ],
        key: &["product_id", "version"],
        gives_ids: false,
    },
    Table {
        name: "product_changes",
        columns: &[
            ("sequence", Integer),
            ("product_id", Integer),
            ("version", Integer),
            ("change_kind", Integer),
            ("change_time", Integer),
        ],
        key: &["sequence"],
        gives_ids: false,
    },
    Table {
        name: "write_requests",
        columns: &[("request_id", Text), ("fingerprint", Bytes), ("response", Bytes), ("create_time", Integer)],
        key: &["request_id"],
        gives_ids: false,
    },
    Table {
        name: "import_jobs",
        columns: &[
            ("id", Integer),
            ("source", Text),
            ("mark", Integer),
            ("total_rows", Integer),
            ("created_rows", Integer),
            ("updated_rows", Integer),
            ("unchanged_rows", Integer),
            ("refused_rows", Integer),
            ("create_time", Integer),
            ("end_time", Integer),
            ("state", Integer),
            ("import_mode", Integer),
            ("dry_run", Integer),
            ("only_if_new", Integer),
            ("allow_damaged", Integer),
            ("request_id", Text),
            ("actor", Text),
            ("call_id", Text),
            ("staged_rows", Integer),
            ("undone_products", Integer),
            ("conflicts", Integer),
            ("worker", Text),
            ("lease_expiry", Integer),
        ],
        key: &["id"],
        gives_ids: true,
    },
    Table {
        name: "import_refusals",
        columns: &[
            ("job_id", Integer),
            ("line", Integer),
            ("name", Text),
            ("category", Text),
            ("sku", Text),
            ("field", Text),
            ("reason", Text),
            ("message", Text),
            ("is_cut", Integer),
        ],
        key: &["job_id", "line"],
        gives_ids: false,
    },
    Table {
        name: "import_rows",
        columns: &[
            ("job_id", Integer),
            ("line", Integer),
            ("name", Text),
            ("category", Text),
            ("sku", Text),
            ("verdict", Integer),
        ],
        key: &["job_id", "line"],
        gives_ids: false,
    },
    Table {
        name: "import_pieces",
        columns: &[("job_id", Integer), ("first_sequence", Integer), ("last_sequence", Integer)],
        key: &["job_id", "first_sequence"],
        gives_ids: false,
    },
    Table {
        name: "archive_months",
        columns: &[("month", Integer), ("run", Text), ("lease_time", Integer), ("last_part", Integer)],
        key: &["month"],
        gives_ids: false,
    },
    Table {
        name: "archive_parts",
        columns: &[
            ("month", Integer),
            ("part", Integer),
            ("file_rows", Integer),
            ("file_bytes", Integer),
            ("sha256", Text),
            ("first_product_id", Integer),
            ("last_product_id", Integer),
            ("create_time", Integer),
            ("remove_time", Integer),
        ],
        key: &["month", "part"],
        gives_ids: false,
    },
    Table {
        name: "import_conflicts",
        columns: &[("job_id", Integer), ("product_id", Integer), ("version", Integer)],
        key: &["job_id", "product_id"],
        gives_ids: false,
    },
];

/// What can be made of the tables above, by the beginning of its name: [`rebuild`] makes it.
#[cfg(test)]
pub(super) const DERIVED: &[&str] = &["search_", "categories"];

/// Makes the derived tables anew, after the others were filled: they are emptied, and
/// whoever serves the database next counts the categories and builds the search index.
pub(super) async fn rebuild(on: &mut Connection<'_>) -> Result<(), sqlx::Error> {
    const EMPTY: [&str; 4] = [
        "DELETE FROM categories",
        "UPDATE catalogue SET categories_counted = 0",
        "DELETE FROM search_postings",
        "DELETE FROM search_words",
    ];
    const UNBUILT: &str = "UPDATE search_state
        SET indexed_sequence = (SELECT last_sequence FROM catalogue WHERE id = 1),
            built_from = (SELECT last_id / $1 + 1 FROM catalogue WHERE id = 1)";

    for sql in EMPTY {
        on_either!(on, |c| {
            sqlx::query(sql).execute(c).await?;
        });
    }
    on_either!(on, |c| {
        sqlx::query(UNBUILT).bind(BLOCK as i64).execute(c).await?;
    });
    Ok(())
}

/// The columns that a table has in the database, in any order.
pub(super) async fn columns(table: &str, on: &mut Connection<'_>) -> Result<Vec<String>, sqlx::Error> {
    const SQLITE: &str = "SELECT name FROM pragma_table_info($1) ORDER BY name";
    const POSTGRES: &str = "SELECT CAST(column_name AS TEXT)
        FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = $1
        ORDER BY column_name";

    let sql = match on {
        Connection::Sqlite(_) => SQLITE,
        Connection::Postgres(_) => POSTGRES,
    };
    let mut columns: Vec<String> = on_either!(on, |c| sqlx::query_scalar(sql).bind(table).fetch_all(c).await?);
    columns.sort();
    Ok(columns)
}

/// A table whose columns are not the listed ones: a copy would lose something.
pub(super) async fn unlike(on: &mut Connection<'_>) -> Result<Option<&'static str>, sqlx::Error> {
    for table in TABLES {
        let mut listed: Vec<&str> = table.columns.iter().map(|(name, _)| *name).collect();
        listed.sort_unstable();
        if columns(table.name, on).await? != listed {
            return Ok(Some(table.name));
        }
    }
    Ok(None)
}
