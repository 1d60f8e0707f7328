//! The tables of the file of accounts, as each version added to them.

/// The version of the tables; a later one is refused.
pub(super) const VERSION: i64 = 2;

/// AUTOINCREMENT: the number of a token that is gone is nobody else's.
const TABLES: &str = "
    CREATE TABLE accounts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL CONSTRAINT accounts_name UNIQUE,
        role TEXT NOT NULL,
        password TEXT NOT NULL,
        created INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        digest BLOB PRIMARY KEY,
        account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        begun INTEGER NOT NULL,
        seen INTEGER NOT NULL,
        address TEXT NOT NULL,
        agent TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sessions_account ON sessions (account);
    CREATE TABLE tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        digest BLOB NOT NULL CONSTRAINT tokens_digest UNIQUE,
        account INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
        label TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        used INTEGER NOT NULL DEFAULT 0,
        revoked INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX tokens_account ON tokens (account);
";

/// What commands did and the portal has not told yet; since version 2.
const DEEDS: &str = "
    CREATE TABLE deeds (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        done INTEGER NOT NULL,
        what TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
";

/// What is to be run so that a file of this version is of ours; nothing of a later one.
pub(super) fn missing(version: i64) -> Option<&'static [&'static str]> {
    match version {
        0 => Some(&[TABLES, DEEDS]),
        1 => Some(&[DEEDS]),
        VERSION => Some(&[]),
        _ => None,
    }
}
