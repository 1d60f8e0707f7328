//! How archive runs find and remove versions.

use super::*;
use crate::lake::Month;
use crate::store::archives::Keys;

#[tokio::test]
async fn versions_are_found_and_removed_by_searches_and_no_scan() {
    let it = fixture().await;
    let Database::Sqlite(file) = &it.store.database else { panic!("it is SQLite") };
    let mut reader = file.reader().await.unwrap();
    let keys = Keys { month: Month::parse("2026-09").unwrap(), keys: &[(1, 1), (1, 2), (7, 1), (9, 3)] };

    for sql in [keys.select::<sqlx::Sqlite>(), keys.delete::<sqlx::Sqlite>()] {
        let explain = format!("EXPLAIN QUERY PLAN {}", sql.sql().as_str());
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *reader).await.unwrap();

        assert!(plan[0].3.starts_with("SEARCH product_versions USING PRIMARY KEY"), "{plan:?}");
    }
}
