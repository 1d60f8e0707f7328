//! Writes that are applied once: what a request id was answered.

use jiff::Timestamp;
use prost::Message;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::error::Error;
use crate::product::Product;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;

/// How many answers are forgotten in one transaction: others want to write too.
const PURGED_AT_ONCE: i64 = 1000;

/// Names a write, so that repeating it can be told from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestKey {
    id: Uuid,
    fingerprint: Vec<u8>,
}

impl RequestKey {
    /// The key of a call of `method`; `request` is the encoded request without its id.
    pub fn new(id: Uuid, method: &str, request: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(method.len().to_le_bytes());
        hash.update(method);
        hash.update(request);
        Self { id, fingerprint: hash.finalize().to_vec() }
    }
}

/// What became of claiming a request id.
pub(super) enum Claim {
    /// It is new, and ours if the transaction is committed.
    New,
    /// It was answered this before.
    Answered(Vec<u8>),
}

/// Claims a request id. On PostgreSQL this waits for whoever claims it right now,
/// so that of two at the same time one writes and both get its answer.
pub(super) async fn claim(key: &RequestKey, now: Timestamp, on: &mut Connection<'_>) -> Result<Claim, Failure> {
    const CLAIM: &str = "INSERT INTO write_requests (request_id, fingerprint, response, create_time)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (request_id) DO NOTHING
        RETURNING create_time";
    const ANSWER: &str = "SELECT fingerprint, response FROM write_requests WHERE request_id = $1";

    let id = key.id.to_string();
    let claimed: Option<i64> = on_either!(on, |c| {
        let claim = sqlx::query_scalar(CLAIM)
            .bind(&id)
            .bind(&key.fingerprint)
            .bind(Vec::<u8>::new())
            .bind(now.as_microsecond());
        claim.fetch_optional(c).await?
    });
    if claimed.is_some() {
        return Ok(Claim::New);
    }
    let answered: Option<(Vec<u8>, Vec<u8>)> =
        on_either!(on, |c| sqlx::query_as(ANSWER).bind(&id).fetch_optional(c).await?);
    match answered {
        Some((fingerprint, response)) if fingerprint == key.fingerprint => Ok(Claim::Answered(response)),
        Some(_) => Err(Error::RequestIdReused.into()),
        // It was purged in between.
        None => Err(Failure::Conflict),
    }
}

/// Keeps the answer of a claimed request id.
pub(super) async fn record(key: &RequestKey, response: Vec<u8>, on: &mut Connection<'_>) -> Result<(), Failure> {
    const RECORD: &str = "UPDATE write_requests SET response = $2 WHERE request_id = $1";

    on_either!(on, |c| {
        sqlx::query(RECORD).bind(key.id.to_string()).bind(response).execute(c).await?;
    });
    Ok(())
}

/// A write of a product that is applied once for its key.
pub(super) struct Once<'a, W> {
    pub(super) key: Option<&'a RequestKey>,
    pub(super) write: W,
}

impl<W: Work<Answer = Product>> Work for Once<'_, W> {
    type Answer = Product;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Product, Failure> {
        let Some(key) = self.key else { return self.write.run(on).await };
        if let Claim::Answered(response) = claim(key, super::now(), on).await? {
            let answer =
                ProductAnswer::decode(response.as_slice()).map_err(|error| Error::Internal(error.to_string()))?;
            return Ok(answer.into());
        }
        let product = self.write.run(on).await?;
        record(key, ProductAnswer::from(&product).encode_to_vec(), on).await?;
        Ok(product)
    }
}

/// Forgets answers that nobody asks for any more.
pub(super) struct Purge {
    pub(super) before: Timestamp,
}

impl Work for Purge {
    type Answer = u64;

    async fn run(&self, on: &mut Connection<'_>) -> Result<u64, Failure> {
        const PURGE: &str = "DELETE FROM write_requests
            WHERE request_id IN (SELECT request_id FROM write_requests WHERE create_time < $1 LIMIT $2)";

        let purged = on_either!(on, |c| {
            let purge = sqlx::query(PURGE).bind(self.before.as_microsecond()).bind(PURGED_AT_ONCE);
            purge.execute(c).await?.rows_affected()
        });
        Ok(purged)
    }
}

/// A product as it was answered: what is stored of it, apart from the contract,
/// which may change while an answer is kept.
#[derive(Clone, PartialEq, Message)]
struct ProductAnswer {
    #[prost(int64, tag = "1")]
    id: i64,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    category: String,
    #[prost(string, tag = "4")]
    sku: String,
    #[prost(int64, tag = "5")]
    version: i64,
    #[prost(int64, tag = "6")]
    create_time: i64,
    #[prost(int64, tag = "7")]
    update_time: i64,
    #[prost(int64, optional, tag = "8")]
    delete_time: Option<i64>,
}

impl From<&Product> for ProductAnswer {
    fn from(product: &Product) -> Self {
        Self {
            id: product.id,
            name: product.name.clone(),
            category: product.category.clone(),
            sku: product.sku.clone(),
            version: product.version,
            create_time: product.create_time.as_microsecond(),
            update_time: product.update_time.as_microsecond(),
            delete_time: product.delete_time.map(Timestamp::as_microsecond),
        }
    }
}

impl From<ProductAnswer> for Product {
    fn from(answer: ProductAnswer) -> Self {
        Self {
            id: answer.id,
            name: answer.name,
            category: answer.category,
            sku: answer.sku,
            version: answer.version,
            create_time: from_micros(answer.create_time),
            update_time: from_micros(answer.update_time),
            delete_time: answer.delete_time.map(from_micros),
        }
    }
}
