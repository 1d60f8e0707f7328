//! What a full disk does: SQLite ends transactions by itself then.

use sqlx::{Connection as _, SqliteConnection};

use super::*;

impl Fixture {
    /// From now on adding the SKU `FULL` ends as a write on a full disk may.
    async fn end_transactions_of_one_sku(&self) {
        let mut admin = SqliteConnection::connect(&self.url).await.unwrap();
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON products WHEN NEW.sku = 'FULL'
            BEGIN SELECT RAISE(ROLLBACK, 'as when the disk is full'); END";
        sqlx::query(trigger).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
    }

    /// Lets the file grow to so many pages at most, or to its usual limit.
    async fn limit_pages(&self, pages: Option<u32>) {
        let Database::Sqlite(file) = &self.store.database else { panic!("not SQLite") };
        // The limit is of the one connection that writes, until that is replaced.
        let mut writer = file.begin().await.unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages.unwrap_or(u32::MAX - 1));
        sqlx::query(sqlx::AssertSqlSafe(limit)).execute(&mut *writer).await.unwrap();
        writer.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_transaction_that_the_database_ended_by_itself_spoils_no_later_one() {
    let it = fixture().await;
    it.end_transactions_of_one_sku().await;

    for n in 0..3 {
        assert!(it.store.create(&draft("Hammer", "FULL"), None, soon()).await.is_err());
        it.create("Hammer", &format!("HAM-{n}")).await;
    }
}

#[tokio::test]
async fn nor_does_one_whose_caller_went_away() {
    let it = fixture().await;
    it.end_transactions_of_one_sku().await;

    for n in 0..50_u64 {
        // Dropped at another point of its way each time.
        let patience = Duration::from_micros(n * 40);
        let full = draft("Hammer", "FULL");
        let _ = tokio::time::timeout(patience, it.store.create(&full, None, soon())).await.ok();
        it.create("Hammer", &format!("HAM-{n}")).await;
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_passes() {
    let it = fixture().await;
    // SQLite takes the present size when it is larger.
    it.limit_pages(Some(1)).await;

    let mut refused = Ok(());
    for n in 0..200 {
        refused = it.store.create(&draft(&"x".repeat(200), &format!("HAM-{n}")), None, soon()).await.map(|_| ());
        if refused.is_err() {
            break;
        }
    }
    assert!(matches!(refused, Err(Error::DiskFull)), "{refused:?}");
    let status = tonic::Status::from(refused.unwrap_err());
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(mesh::Refusal::reason(&status).as_deref(), Some("DISK_FULL"));

    it.limit_pages(None).await;
    it.create("Saw", "SAW-1").await;
}
