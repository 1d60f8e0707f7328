//! The statements that adopt the first Rundoo's database: PostgreSQL, one table `products`.
//!
//! Its table is moved into a schema of its own, with its indexes and its sequence, whose
//! names are ours now, and stays there until a person drops it. All is done in the
//! transaction that makes our tables.

use jiff::Timestamp;
use sqlx::{FromRow, PgConnection};

use crate::adoption::{Adoption, Fate, OldRow, Report, Resolution};
use crate::store::books;
use crate::store::connection::Connection;
use crate::store::failure::Failure;
use crate::store::tables::rebuild;
use crate::version::Author;

/// Rows that are adopted at a time.
const AT_ONCE: i64 = 512;

/// Who deletes or renames what cannot stay as it was.
const AUTHOR: &str = "adoption";

/// What the tables say of the database, before anything is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Past {
    /// There is no table of products, or it is ours.
    Ours,
    /// It is the first Rundoo's.
    FirstRundoo,
    /// It is someone else's.
    Foreign,
}

/// Finds out whose table of products it is.
pub(super) async fn past(connection: &mut PgConnection) -> Result<Past, sqlx::Error> {
    const COLUMNS: &str = "SELECT CAST(column_name AS TEXT)
        FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = 'products'";
    const OLD: [&str; 6] = ["id", "created_at", "name", "category", "sku", "version"];

    let columns: Vec<String> = sqlx::query_scalar(COLUMNS).fetch_all(connection).await?;
    let has = |name: &str| columns.iter().any(|column| column == name);
    Ok(match columns.is_empty() || has("sku_key") {
        true => Past::Ours,
        false if OLD.into_iter().all(has) => Past::FirstRundoo,
        false => Past::Foreign,
    })
}

/// Moves the first Rundoo's table out of the way.
pub(super) async fn move_aside(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SCHEMA: &str = "CREATE SCHEMA IF NOT EXISTS first_rundoo";
    const MOVE: &str = "ALTER TABLE products SET SCHEMA first_rundoo";

    for statement in [SCHEMA, MOVE] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Makes products of the rows of the table that was moved.
///
/// The report says what could not be decided; then nothing of this may be committed.
pub(super) async fn adopt(
    resolution: Resolution,
    now: Timestamp,
    connection: &mut PgConnection,
) -> Result<Report, Failure> {
    const COUNT: &str = "SELECT COUNT(*) FROM first_rundoo.products";
    const ANALYZE: &str = "ANALYZE products";

    let mut adoption = Adoption::new(resolution, now);
    let mut last = i64::MIN;
    loop {
        let rows = piece(last, connection).await?;
        let Some(end) = rows.last() else { break };
        last = end.id;
        rows.iter().for_each(|row| adoption.survey(row));
    }
    let (mut last, mut decided) = (i64::MIN, 0);
    loop {
        let rows = piece(last, connection).await?;
        let Some(end) = rows.last() else { break };
        last = end.id;
        decided += rows.len() as i64;
        let mut ledger = books::open(now, &mut Connection::Postgres(connection)).await?;
        let author = Author { name: AUTHOR.to_owned(), call_id: String::new(), person: false };
        for row in &rows {
            match adoption.decide(row) {
                Fate::Kept(product) => ledger.adopt(product),
                Fate::Deleted(product) => {
                    let id = product.id;
                    ledger.adopt(product);
                    ledger.part(id, &author);
                }
                Fate::Renamed(product, sku) => {
                    let id = product.id;
                    ledger.adopt(product);
                    ledger.rename_sku(id, sku, &author);
                }
                Fate::Left => {}
            }
        }
        books::close(ledger, now, &mut Connection::Postgres(connection)).await?;
    }
    // The pages go by ids, which the first Rundoo kept unique.
    let rows: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *connection).await?;
    if rows != decided {
        let problem = format!("first_rundoo.products has {rows} rows, but {decided} ids");
        return Err(crate::error::Error::Internal(problem).into());
    }
    go_on_with_ids(connection).await?;
    // There are no changes to tell others of what is there now.
    rebuild(&mut Connection::Postgres(connection)).await?;
    sqlx::query(ANALYZE).execute(connection).await?;
    Ok(adoption.report())
}

#[derive(FromRow)]
struct Row {
    id: i64,
    create_time: Option<i64>,
    name: Option<String>,
    category: Option<String>,
    sku: Option<String>,
    version: Option<i64>,
}

async fn piece(after: i64, connection: &mut PgConnection) -> Result<Vec<OldRow>, Failure> {
    // The year 9999 is the last that we know.
    const FIND: &str = "SELECT CAST(id AS BIGINT) AS id,
            CASE WHEN created_at BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-30 00:00:00+00'
                THEN CAST(EXTRACT(EPOCH FROM created_at) * 1000000 AS BIGINT) END AS create_time,
            CAST(name AS TEXT) AS name, CAST(category AS TEXT) AS category, CAST(sku AS TEXT) AS sku,
            CAST(version AS BIGINT) AS version
        FROM first_rundoo.products
        WHERE id > $1
        ORDER BY id
        LIMIT $2";

    let rows: Vec<Row> = sqlx::query_as(FIND).bind(after).bind(AT_ONCE).fetch_all(connection).await?;
    let old = |row: Row| {
        let Row { id, create_time, name, category, sku, version } = row;
        OldRow { id, create_time, name, category, sku, version }
    };
    Ok(rows.into_iter().map(old).collect())
}

/// Ids of rows that the first Rundoo deleted are not given again either.
async fn go_on_with_ids(connection: &mut PgConnection) -> Result<(), Failure> {
    const LAST: &str =
        "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence('first_rundoo.products', 'id') AS regclass))";
    const GO_ON: &str = "UPDATE catalogue SET last_id = GREATEST(last_id, $1) WHERE id = 1";

    let last: Option<i64> = sqlx::query_scalar(LAST).fetch_one(&mut *connection).await?;
    sqlx::query(GO_ON).bind(last.unwrap_or(0)).execute(connection).await?;
    Ok(())
}
