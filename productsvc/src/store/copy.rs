//! Copies the rows of a table from one database to another, whichever they are.
//!
//! Rows are streamed: a table of any size takes the memory of one batch.

use sqlx::{QueryBuilder, Row as _};
use tokio_stream::StreamExt as _;

use crate::store::connection::{Connection, on_either};
use crate::store::progress::Progress;
use crate::store::rows::slices;
use crate::store::tables::{Kind, Table};

/// Rows of a statement.
const BATCH: usize = 256;

/// A cell as any of the databases holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Integer(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// Copies all rows of a table and says how many there were.
pub(super) async fn copy(
    table: &Table,
    from: &mut Connection<'_>,
    to: &mut Connection<'_>,
    progress: &Progress,
) -> Result<u64, sqlx::Error> {
    let mut copied = 0;
    let mut batch: Vec<Vec<Cell>> = Vec::with_capacity(BATCH);
    on_either!(from, |c| {
        let mut sql = QueryBuilder::new("SELECT ");
        push_columns(&mut sql, table);
        sql.push(" FROM ").push(table.name).push(" ORDER BY ").push(table.key.join(", "));
        let mut rows = sql.build().fetch(c);
        while let Some(row) = rows.try_next().await? {
            let cells = table.columns.iter().enumerate().map(|(index, (_, kind))| {
                Ok(match kind {
                    Kind::Integer => Cell::Integer(row.try_get(index)?),
                    Kind::Text => Cell::Text(row.try_get(index)?),
                    Kind::Bytes => Cell::Bytes(row.try_get(index)?),
                })
            });
            batch.push(cells.collect::<Result<_, sqlx::Error>>()?);
            copied += 1;
            if batch.len() == BATCH {
                insert(table, &batch, to).await?;
                progress.advance(BATCH as u64);
                batch.clear();
            }
        }
    });
    insert(table, &batch, to).await?;
    progress.advance(batch.len() as u64);
    Ok(copied)
}

async fn insert(table: &Table, batch: &[Vec<Cell>], to: &mut Connection<'_>) -> Result<(), sqlx::Error> {
    let overriding = match to {
        Connection::Postgres(_) if table.gives_ids => " OVERRIDING SYSTEM VALUE ",
        _ => " ",
    };
    for slice in slices(batch) {
        on_either!(to, |c| {
            let mut sql = QueryBuilder::new("INSERT INTO ");
            sql.push(table.name).push(" (");
            push_columns(&mut sql, table);
            sql.push(")").push(overriding);
            sql.push_values(slice, |mut values, cells| {
                for cell in cells {
                    match cell {
                        Cell::Integer(value) => values.push_bind(*value),
                        Cell::Text(value) => values.push_bind(value.clone()),
                        Cell::Bytes(value) => values.push_bind(value.clone()),
                    };
                }
            });
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

fn push_columns<DB: sqlx::Database>(sql: &mut QueryBuilder<DB>, table: &Table) {
    let mut list = sql.separated(", ");
    for (name, _) in table.columns {
        list.push(name);
    }
}

/// Removes what a migration put there, or nothing.
pub(super) async fn clear(table: &Table, on: &mut Connection<'_>) -> Result<(), sqlx::Error> {
    on_either!(on, |c| {
        let mut sql = QueryBuilder::new("DELETE FROM ");
        sql.push(table.name).build().execute(c).await?;
    });
    Ok(())
}

/// How many rows a table has.
pub(super) async fn count(table: &Table, on: &mut Connection<'_>) -> Result<u64, sqlx::Error> {
    let count: i64 = on_either!(on, |c| {
        let mut sql = QueryBuilder::new("SELECT COUNT(*) FROM ");
        sql.push(table.name).build_query_scalar().fetch_one(c).await?
    });
    Ok(count.unsigned_abs())
}

/// The last id that the database gave for a table.
pub(super) async fn last_id(table: &Table, on: &mut Connection<'_>) -> Result<i64, sqlx::Error> {
    const SQLITE: &str = "SELECT seq FROM sqlite_sequence WHERE name = $1";
    const POSTGRES: &str = "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence($1, 'id') AS regclass))";

    let last: Option<Option<i64>> = match on {
        Connection::Sqlite(c) => sqlx::query_scalar(SQLITE).bind(table.name).fetch_optional(&mut **c).await?,
        Connection::Postgres(c) => sqlx::query_scalar(POSTGRES).bind(table.name).fetch_optional(&mut **c).await?,
    };
    Ok(last.flatten().unwrap_or(0))
}

/// Has the database give ids behind this one.
pub(super) async fn go_on_behind(table: &Table, last: i64, on: &mut Connection<'_>) -> Result<(), sqlx::Error> {
    const FORGET: &str = "DELETE FROM sqlite_sequence WHERE name = $1";
    const NOTE: &str = "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)";
    const GO_ON: &str = "SELECT setval(CAST(pg_get_serial_sequence($1, 'id') AS regclass), $2)";

    match on {
        _ if last < 1 => {}
        Connection::Sqlite(c) => {
            sqlx::query(FORGET).bind(table.name).execute(&mut **c).await?;
            sqlx::query(NOTE).bind(table.name).bind(last).execute(&mut **c).await?;
        }
        Connection::Postgres(c) => {
            sqlx::query(GO_ON).bind(table.name).bind(last).execute(&mut **c).await?;
        }
    }
    Ok(())
}
