//! API tokens in the file of accounts.

use sqlx::{Row as _, sqlite::SqliteRow};

use super::{Digest, Name, Store, StoreError, Token, account, read, some};

impl Store {
    /// Adds a token, unless the account has `most` that count; answers its number. Of those that count no more, as
    /// many are remembered.
    pub(crate) async fn add_token(&self, digest: &Digest, token: &Token, most: i64) -> Result<i64, StoreError> {
        let mut transaction = self.0.begin_with("BEGIN IMMEDIATE").await?;
        let count =
            sqlx::query_scalar("SELECT COUNT(*) FROM tokens WHERE account = $1 AND revoked = 0 AND expires > $2");
        let live: i64 = count.bind(token.account.id).bind(token.created).fetch_one(&mut *transaction).await?;
        if live >= most {
            return Err(StoreError::Tokens(most));
        }
        let bound = sqlx::query(
            "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens
                WHERE account = $1 AND (revoked = 1 OR expires <= $2) ORDER BY id DESC LIMIT -1 OFFSET $3)",
        );
        bound.bind(token.account.id).bind(token.created).bind(most).execute(&mut *transaction).await?;
        let add = sqlx::query_scalar(
            "INSERT INTO tokens (digest, account, label, scopes, created, expires) VALUES ($1, $2, $3, $4, $5, $6)
            RETURNING id",
        );
        let add = add.bind(digest.bytes()).bind(token.account.id).bind(&token.label).bind(token.scopes.to_string());
        let id = add.bind(token.created).bind(token.expires).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(id)
    }

    pub(crate) async fn token(&self, digest: &Digest) -> Result<Option<Token>, StoreError> {
        let found = sqlx::query(concat_account!(
            "SELECT t.id, t.label, t.scopes, t.created, t.expires, t.used, t.revoked, ",
            " FROM tokens t JOIN accounts a ON a.id = t.account WHERE t.digest = $1"
        ));
        found.bind(digest.bytes()).fetch_optional(&self.0).await?.as_ref().map(token).transpose()
    }

    /// The tokens of an account, or of all of them; the newest first.
    pub(crate) async fn tokens(&self, of: Option<&Name>) -> Result<Vec<Token>, StoreError> {
        let found = sqlx::query(concat_account!(
            "SELECT t.id, t.label, t.scopes, t.created, t.expires, t.used, t.revoked, ",
            " FROM tokens t JOIN accounts a ON a.id = t.account WHERE $1 IS NULL OR a.name = $1 ORDER BY t.id DESC"
        ));
        found.bind(of.map(Name::as_str)).fetch_all(&self.0).await?.iter().map(token).collect()
    }

    pub(crate) async fn use_token(&self, id: i64, now: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE tokens SET used = $2 WHERE id = $1").bind(id).bind(now).execute(&self.0).await?;
        Ok(())
    }

    /// Revokes a token, of this account if one is named. It stays known, so that whoever uses it is told.
    pub(crate) async fn revoke(&self, id: i64, of: Option<&Name>) -> Result<(), StoreError> {
        let revoke = sqlx::query(
            "UPDATE tokens SET revoked = 1
            WHERE id = $1 AND ($2 IS NULL OR account = (SELECT id FROM accounts WHERE name = $2))",
        );
        some(revoke.bind(id).bind(of.map(Name::as_str)).execute(&self.0).await?.rows_affected())
    }
}

fn token(row: &SqliteRow) -> Result<Token, StoreError> {
    Ok(Token {
        id: row.try_get("id")?,
        account: account(row)?,
        label: row.try_get("label")?,
        scopes: read(row, "scopes")?,
        created: row.try_get("created")?,
        expires: row.try_get("expires")?,
        used: row.try_get("used")?,
        revoked: row.try_get::<i64, _>("revoked")? != 0,
    })
}
