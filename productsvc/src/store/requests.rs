//! Writes that are applied once: what a request id was answered.

use std::collections::HashMap;

use jiff::Timestamp;
use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::QueryBuilder;
use uuid::Uuid;

use crate::error::Error;
use crate::product::Product;
use crate::store::connection::{Connection, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;
use crate::store::rows::{padded, slices};

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

    /// What repeats itself when the write does.
    pub(super) fn id(&self) -> Uuid {
        self.id
    }

    /// What tells it from another write with the same id.
    pub(super) fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }

    /// Whether a fingerprint is that of this write.
    pub(super) fn is(&self, fingerprint: &[u8]) -> bool {
        self.fingerprint == fingerprint
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

/// What request ids were answered before, by the id.
pub(super) async fn answers(
    keys: &[&RequestKey],
    on: &mut Connection<'_>,
) -> Result<HashMap<Uuid, (Vec<u8>, Vec<u8>)>, Failure> {
    let ids: Vec<String> = keys.iter().map(|key| key.id.to_string()).collect();
    let mut answers = HashMap::new();
    for ids in padded(&ids) {
        let rows: Vec<(String, Vec<u8>, Vec<u8>)> = on_either!(on, |c| {
            let mut sql =
                QueryBuilder::new("SELECT request_id, fingerprint, response FROM write_requests WHERE request_id IN (");
            let mut list = sql.separated(", ");
            for id in &ids {
                list.push_bind(id);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        let rows = rows.into_iter().filter_map(|(id, fingerprint, response)| {
            Uuid::try_parse(&id).ok().map(|id| (id, (fingerprint, response)))
        });
        answers.extend(rows);
    }
    Ok(answers)
}

/// Keeps what request ids are answered.
pub(super) async fn record_all(
    answers: &[(&RequestKey, Vec<u8>)],
    now: Timestamp,
    on: &mut Connection<'_>,
) -> Result<(), Failure> {
    for slice in slices(answers) {
        let recorded = on_either!(on, |c| {
            let mut sql =
                QueryBuilder::new("INSERT INTO write_requests (request_id, fingerprint, response, create_time) ");
            sql.push_values(slice, |mut values, (key, response)| {
                values.push_bind(key.id.to_string()).push_bind(&key.fingerprint);
                values.push_bind(response).push_bind(now.as_microsecond());
            });
            sql.push(" ON CONFLICT (request_id) DO NOTHING");
            sql.build().execute(c).await?.rows_affected()
        });
        // An import began with one of them just now.
        if recorded != slice.len() as u64 {
            return Err(Failure::Conflict);
        }
    }
    Ok(())
}

/// The answer of a write, to be kept.
pub(super) fn encode(products: &[Product]) -> Vec<u8> {
    ProductsAnswer { products: products.iter().map(ProductAnswer::from).collect() }.encode_to_vec()
}

/// Reads the answer of a write back.
pub(super) fn decode(response: &[u8]) -> Result<Vec<Product>, Error> {
    let malformed = |error: prost::DecodeError| Error::Internal(error.to_string());
    let answer = ProductsAnswer::decode(response).map_err(malformed)?;
    if answer.products.is_empty() && !response.is_empty() {
        // Before there were batches, an answer was one product.
        return Ok(vec![ProductAnswer::decode(response).map_err(malformed)?.into()]);
    }
    Ok(answer.products.into_iter().map(Product::from).collect())
}

/// Some products as they were answered. Its tag is none of [`ProductAnswer`]'s.
#[derive(Clone, PartialEq, Message)]
struct ProductsAnswer {
    #[prost(message, repeated, tag = "15")]
    products: Vec<ProductAnswer>,
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
