//! The file of accounts: SQLite, and the only SQL of the portal.
//!
//! It knows rows and nothing of what they mean. Commands of an administrator write to it
//! while the portal runs. Times are seconds since 1970.

/// A query with the columns of an account in it.
macro_rules! concat_account {
    ($before:literal, $after:literal) => {
        concat!($before, "a.id AS account_id, a.name, a.role, a.password, a.created AS account_created", $after)
    };
}

mod tables;
mod tokens;

use std::{
    fs::{DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
    time::Duration,
};

use sqlx::{
    ConnectOptions as _, Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::{Name, Role, scope::Scopes, secret::Digest};
use tables::VERSION;

/// Why the file did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("there is an account of this name already")]
    Taken,
    #[error("there is no such account, session or token")]
    Missing,
    #[error("nobody would be an administrator any more")]
    LastAdministrator,
    #[error("the account has {0} tokens that count, and that is enough")]
    Tokens(i64),
    #[error("it is of a later Rundoo (version {0} of its tables, this one knows {VERSION})")]
    Later(i64),
    #[error("could not open it: {0}")]
    File(#[from] io::Error),
    #[error("it does not work: {0}")]
    Database(#[from] sqlx::Error),
}

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) name: Name,
    pub(crate) role: Role,
    /// What is kept of the password.
    pub(crate) password: String,
    pub(crate) created: i64,
}

/// A session, with its account.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) digest: Digest,
    pub(crate) account: Account,
    pub(crate) begun: i64,
    pub(crate) seen: i64,
    pub(crate) address: String,
    pub(crate) agent: String,
}

/// An API token, with its account.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) id: i64,
    pub(crate) account: Account,
    pub(crate) label: String,
    pub(crate) scopes: Scopes,
    pub(crate) created: i64,
    pub(crate) expires: i64,
    /// 0 for never.
    pub(crate) used: i64,
    pub(crate) revoked: bool,
}

/// What a command did.
#[derive(Debug, Clone)]
pub(crate) struct Deed {
    pub(crate) id: i64,
    pub(crate) done: i64,
    /// As in "added account ann".
    pub(crate) what: String,
}

/// The open file. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store(SqlitePool);

impl Store {
    /// Opens the file, and makes it and its folder when they are missing; only its owner may read them.
    pub(crate) async fn open(path: &Path) -> Result<Store, StoreError> {
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        // SQLite gives the files beside it the same rights.
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
        if file.metadata()?.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // What was revoked stays revoked, whatever happens to the machine.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .foreign_keys(true)
            .pragma("cache_size", "-512")
            .disable_statement_logging();
        let pool = SqlitePoolOptions::new().max_connections(2).acquire_timeout(Duration::from_secs(5));
        let store = Store(pool.connect_with(options).await?);
        store.make_tables().await?;
        Ok(store)
    }

    async fn make_tables(&self) -> Result<(), StoreError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
        for step in tables::missing(version).ok_or(StoreError::Later(version))? {
            sqlx::raw_sql(*step).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    pub(crate) async fn close(&self) {
        self.0.close().await;
    }

    pub(crate) async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query(concat_account!("SELECT ", " FROM accounts a ORDER BY a.name"));
        rows.fetch_all(&self.0).await?.iter().map(account).collect()
    }

    pub(crate) async fn account(&self, name: &Name) -> Result<Option<Account>, StoreError> {
        let found = sqlx::query(concat_account!("SELECT ", " FROM accounts a WHERE a.name = $1"));
        found.bind(name.as_str()).fetch_optional(&self.0).await?.as_ref().map(account).transpose()
    }

    pub(crate) async fn add(&self, name: &Name, role: Role, password: &str, now: i64) -> Result<(), StoreError> {
        let add = sqlx::query("INSERT INTO accounts (name, role, password, created) VALUES ($1, $2, $3, $4)");
        let added = add.bind(name.as_str()).bind(role.name()).bind(password).bind(now).execute(&self.0).await;
        match added {
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Err(StoreError::Taken),
            other => Ok(other.map(drop)?),
        }
    }

    /// Gives another role, unless it takes the last administrator away.
    pub(crate) async fn set_role(&self, name: &Name, role: Role) -> Result<(), StoreError> {
        let set = sqlx::query("UPDATE accounts SET role = $2 WHERE name = $1");
        self.change_administrators(set.bind(name.as_str()).bind(role.name())).await
    }

    /// Removes an account with its sessions and tokens, unless it is the last administrator.
    pub(crate) async fn remove(&self, name: &Name) -> Result<(), StoreError> {
        self.change_administrators(sqlx::query("DELETE FROM accounts WHERE name = $1").bind(name.as_str())).await
    }

    async fn change_administrators<'q>(
        &self,
        change: sqlx::query::Query<'q, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    ) -> Result<(), StoreError> {
        const COUNT: &str = "SELECT COUNT(*) FROM accounts WHERE role = 'administrator'";
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let before: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *transaction).await?;
        let changed = change.execute(&mut *transaction).await?;
        let after: i64 = sqlx::query_scalar(COUNT).fetch_one(&mut *transaction).await?;
        if before > 0 && after == 0 {
            return Err(StoreError::LastAdministrator);
        }
        transaction.commit().await?;
        some(changed.rows_affected())
    }

    /// Gives another password, and ends all sessions of the account. Where one is `present`, only while the account
    /// still has it.
    pub(crate) async fn set_password(
        &self,
        name: &Name,
        password: &str,
        present: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let set = sqlx::query("UPDATE accounts SET password = $2 WHERE name = $1 AND ($3 IS NULL OR password = $3)");
        let changed = set.bind(name.as_str()).bind(password).bind(present).execute(&mut *transaction).await?;
        some(changed.rows_affected())?;
        let end = sqlx::query("DELETE FROM sessions WHERE account = (SELECT id FROM accounts WHERE name = $1)");
        end.bind(name.as_str()).execute(&mut *transaction).await?;
        // Whoever had the old one may have made tokens with it.
        let revoke =
            sqlx::query("UPDATE tokens SET revoked = 1 WHERE account = (SELECT id FROM accounts WHERE name = $1)");
        revoke.bind(name.as_str()).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// Forgets sessions that were begun or seen before these times, and tokens that expired before the last.
    pub(crate) async fn forget(&self, begun: i64, seen: i64, expired: i64) -> Result<(), StoreError> {
        let sessions = sqlx::query("DELETE FROM sessions WHERE begun < $1 OR seen < $2").bind(begun).bind(seen);
        sessions.execute(&self.0).await?;
        sqlx::query("DELETE FROM tokens WHERE expires < $1").bind(expired).execute(&self.0).await?;
        Ok(())
    }

    /// Begins a session, while the account still has the password that it was begun with.
    pub(crate) async fn begin(&self, session: &Session) -> Result<(), StoreError> {
        let begin = sqlx::query(
            "INSERT INTO sessions (digest, account, begun, seen, address, agent) SELECT $1, $2, $3, $4, $5, $6
            WHERE EXISTS (SELECT 1 FROM accounts WHERE id = $2 AND password = $7)",
        );
        let begin = begin.bind(session.digest.bytes()).bind(session.account.id).bind(session.begun).bind(session.seen);
        let begin = begin.bind(&session.address).bind(&session.agent).bind(&session.account.password);
        some(begin.execute(&self.0).await?.rows_affected())?;
        // Nobody has more browsers than that.
        let bound = sqlx::query(
            "DELETE FROM sessions WHERE account = $1 AND digest NOT IN
            (SELECT digest FROM sessions WHERE account = $1 ORDER BY seen DESC LIMIT 50)",
        );
        bound.bind(session.account.id).execute(&self.0).await?;
        Ok(())
    }

    pub(crate) async fn session(&self, digest: &Digest) -> Result<Option<Session>, StoreError> {
        let found = sqlx::query(concat_account!(
            "SELECT s.digest, s.begun, s.seen, s.address, s.agent, ",
            " FROM sessions s JOIN accounts a ON a.id = s.account WHERE s.digest = $1"
        ));
        found.bind(digest.bytes()).fetch_optional(&self.0).await?.as_ref().map(session).transpose()
    }

    /// The sessions of an account, or of all of them; the one seen last first.
    pub(crate) async fn sessions(&self, of: Option<&Name>) -> Result<Vec<Session>, StoreError> {
        let found = sqlx::query(concat_account!(
            "SELECT s.digest, s.begun, s.seen, s.address, s.agent, ",
            " FROM sessions s JOIN accounts a ON a.id = s.account WHERE $1 IS NULL OR a.name = $1 ORDER BY s.seen DESC"
        ));
        found.bind(of.map(Name::as_str)).fetch_all(&self.0).await?.iter().map(session).collect()
    }

    pub(crate) async fn see(&self, digest: &Digest, now: i64) -> Result<(), StoreError> {
        let see = sqlx::query("UPDATE sessions SET seen = $2 WHERE digest = $1");
        see.bind(digest.bytes()).bind(now).execute(&self.0).await?;
        Ok(())
    }

    pub(crate) async fn end(&self, digest: &Digest) -> Result<(), StoreError> {
        let end = sqlx::query("DELETE FROM sessions WHERE digest = $1");
        end.bind(digest.bytes()).execute(&self.0).await?;
        Ok(())
    }

    /// Ends all sessions of an account but this one; answers how many.
    pub(crate) async fn end_all(&self, name: &Name, but: Option<&Digest>) -> Result<u64, StoreError> {
        let end = sqlx::query(
            "DELETE FROM sessions WHERE account = (SELECT id FROM accounts WHERE name = $1)
            AND ($2 IS NULL OR digest <> $2)",
        );
        Ok(end.bind(name.as_str()).bind(but.map(Digest::bytes)).execute(&self.0).await?.rows_affected())
    }

    /// Notes what a command did, for the portal to tell.
    pub(crate) async fn note(&self, what: &str, now: i64) -> Result<(), StoreError> {
        let note = sqlx::query("INSERT INTO deeds (done, what) VALUES ($1, $2)");
        note.bind(now).bind(what).execute(&self.0).await?;
        Ok(())
    }

    /// Tells what is noted, the oldest first and so many at most, and forgets it. Nobody else who has this file open
    /// tells it meanwhile.
    pub(crate) async fn tell(&self, most: i64, mut say: impl FnMut(&Deed)) -> Result<(), StoreError> {
        let noted: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM deeds").fetch_one(&self.0).await?;
        if noted == 0 {
            return Ok(());
        }
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let take = sqlx::query(
            "DELETE FROM deeds WHERE id IN (SELECT id FROM deeds ORDER BY id LIMIT $1) RETURNING id, done, what",
        );
        let rows = take.bind(most).fetch_all(&mut *transaction).await?;
        let deed = |row: &SqliteRow| {
            Ok(Deed { id: row.try_get("id")?, done: row.try_get("done")?, what: row.try_get("what")? })
        };
        let mut deeds: Vec<Deed> = rows.iter().map(deed).collect::<Result<_, StoreError>>()?;
        deeds.sort_by_key(|deed| deed.id);
        deeds.iter().for_each(&mut say);
        Ok(transaction.commit().await?)
    }
}

fn some(rows: u64) -> Result<(), StoreError> {
    if rows > 0 { Ok(()) } else { Err(StoreError::Missing) }
}

/// Reads a text that only we write; what is no such text is damage.
fn read<T: std::str::FromStr>(row: &SqliteRow, column: &str) -> Result<T, StoreError> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{column} is {text:?}").into()).into())
}

fn account(row: &SqliteRow) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.try_get("account_id")?,
        name: read(row, "name")?,
        role: read(row, "role")?,
        password: row.try_get("password")?,
        created: row.try_get("account_created")?,
    })
}

fn session(row: &SqliteRow) -> Result<Session, StoreError> {
    let digest: Vec<u8> = row.try_get("digest")?;
    Ok(Session {
        digest: Digest::read(&digest).ok_or_else(|| sqlx::Error::Decode("a digest has 32 bytes".into()))?,
        account: account(row)?,
        begun: row.try_get("begun")?,
        seen: row.try_get("seen")?,
        address: row.try_get("address")?,
        agent: row.try_get("agent")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_of_the_first_version_gets_what_it_lacks_and_a_later_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.db");
        let store = Store::open(&path).await.unwrap();
        sqlx::raw_sql("DROP TABLE deeds; PRAGMA user_version = 1;").execute(&store.0).await.unwrap();
        store.close().await;

        let store = Store::open(&path).await.unwrap();
        store.note("added account ann", 7).await.unwrap();
        store.tell(9, |deed| assert_eq!(deed.done, 7)).await.unwrap();
        sqlx::raw_sql("PRAGMA user_version = 9;").execute(&store.0).await.unwrap();
        store.close().await;

        assert!(matches!(Store::open(&path).await, Err(StoreError::Later(9))));
    }
}
