//! The database's own structure, and rows that refer to none. PostgreSQL looks after both by itself.

use crate::store::checks::Findings;
use crate::store::connection::Connection;

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const INTEGRITY: &str = "PRAGMA integrity_check(100)";
    const REFERENCES: &str = "SELECT \"table\", rowid, parent FROM pragma_foreign_key_check()";

    let Connection::Sqlite(file) = on else { return Ok(()) };
    let said: Vec<String> = sqlx::query_scalar(INTEGRITY).fetch_all(&mut **file).await?;
    for problem in said.iter().filter(|said| *said != "ok") {
        findings.tell(&format!("the file is damaged: {problem}"));
    }
    let lost: Vec<(String, Option<i64>, String)> = sqlx::query_as(REFERENCES).fetch_all(&mut **file).await?;
    for (table, row, parent) in lost {
        let row = row.map_or_else(|| "a row".to_owned(), |row| format!("row {row}"));
        findings.tell(&format!("{row} of {table} refers to a row of {parent} that is not there"));
    }
    Ok(())
}
