//! The statements that read the history: versions of a product, and the changes of all.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::error::Error;
use crate::ledger::Present;
use crate::product::Product;
use crate::store::books;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::from_micros;
use crate::store::rows::VersionRow;
use crate::version::{Kind, Version};

/// The columns of a [`VersionRow`].
macro_rules! version_columns {
    () => {
        "product_id AS id, name, category, sku, version, create_time, update_time, delete_time,
        change_kind, actor, call_id, end_time"
    };
}
pub(super) use version_columns;

/// Several products, or which of them never was.
pub(super) struct FindAll<'a> {
    pub(super) ids: &'a [i64],
}

impl Work for FindAll<'_> {
    type Answer = Vec<Product>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Product>, Failure> {
        let found = books::by_id(self.ids, on).await?;
        let found: std::collections::HashMap<i64, Product> =
            found.into_iter().map(|present| (present.product.id, present.product)).collect();
        let in_order = self.ids.iter().map(|id| found.get(id).cloned().ok_or(Error::ProductNotFound { id: *id }));
        Ok(in_order.collect::<Result<_, _>>()?)
    }
}

/// The versions of a product before one, the newest first.
pub(super) struct FindVersions {
    pub(super) id: i64,
    /// Only those before this one.
    pub(super) before: i64,
    pub(super) limit: usize,
}

impl Work for FindVersions {
    type Answer = Vec<Version>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Version>, Failure> {
        const FIND: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM product_versions WHERE product_id = $1 AND version < $2 ORDER BY version DESC LIMIT $3"
        );

        // The present one first: what is superseded in between is then found as such, too.
        let present = present(self.id, on).await?;
        let rows: Vec<VersionRow> = on_either!(on, |c| {
            let find = sqlx::query_as(FIND).bind(self.id).bind(self.before.min(present.product.version));
            find.bind(self.limit as i64).fetch_all(c).await?
        });
        let mut versions = Vec::with_capacity(rows.len() + 1);
        if present.product.version < self.before {
            versions.push(Version { product: present.product, origin: present.origin, end_time: None });
        }
        versions.extend(rows.into_iter().map(Version::from));
        versions.truncate(self.limit);
        Ok(versions)
    }
}

/// One version of a product.
pub(super) struct FindVersion {
    pub(super) id: i64,
    pub(super) version: i64,
}

impl Work for FindVersion {
    type Answer = Version;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Version, Failure> {
        const FIND: &str =
            concat!("SELECT ", version_columns!(), " FROM product_versions WHERE product_id = $1 AND version = $2");

        let present = present(self.id, on).await?;
        if present.product.version == self.version {
            return Ok(Version { product: present.product, origin: present.origin, end_time: None });
        }
        let row: Option<VersionRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.id).bind(self.version).fetch_optional(c).await?);
        let missing = Error::VersionNotFound { id: self.id, version: self.version };
        Ok(row.map(Version::from).ok_or(missing)?)
    }
}

/// The version of a product that was there at a moment: of those that are here, the last
/// that had begun.
pub(super) struct FindAsOf {
    pub(super) id: i64,
    pub(super) moment: Timestamp,
}

impl Work for FindAsOf {
    type Answer = Option<Version>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Option<Version>, Failure> {
        const FIND: &str = concat!(
            "SELECT ",
            version_columns!(),
            " FROM product_versions WHERE product_id = $1 AND update_time <= $2 ORDER BY version DESC LIMIT 1"
        );

        let present = present(self.id, on).await?;
        if present.product.update_time <= self.moment {
            return Ok(Some(Version { product: present.product, origin: present.origin, end_time: None }));
        }
        let row: Option<VersionRow> = on_either!(on, |c| {
            sqlx::query_as(FIND).bind(self.id).bind(self.moment.as_microsecond()).fetch_optional(c).await?
        });
        Ok(row.map(Version::from))
    }
}

async fn present(id: i64, on: &mut Connection<'_>) -> Result<Present, Failure> {
    let present = books::by_id(&[id], on).await?.pop();
    Ok(present.ok_or(Error::ProductNotFound { id })?)
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its place among all changes.
    pub sequence: i64,
    /// What happened.
    pub kind: Kind,
    /// To which product.
    pub product_id: i64,
    /// The product as this left it; none once it is purged.
    pub product: Option<Product>,
    /// When.
    pub time: Timestamp,
}

#[derive(FromRow)]
struct ChangeRow {
    sequence: i64,
    change_kind: i64,
    product_id: i64,
    change_time: i64,
    /// That of the product, where it is still there.
    #[sqlx(flatten)]
    product: MaybeProductRow,
}

#[derive(FromRow)]
struct MaybeProductRow {
    name: Option<String>,
    category: Option<String>,
    sku: Option<String>,
    version: i64,
    create_time: Option<i64>,
    update_time: Option<i64>,
    delete_time: Option<i64>,
}

impl From<ChangeRow> for Change {
    fn from(row: ChangeRow) -> Self {
        let MaybeProductRow { name, category, sku, version, create_time, update_time, delete_time } = row.product;
        let product = match (name, category, sku, create_time, update_time) {
            (Some(name), Some(category), Some(sku), Some(create_time), Some(update_time)) => Some(Product {
                id: row.product_id,
                name,
                category,
                sku,
                version,
                create_time: from_micros(create_time),
                update_time: from_micros(update_time),
                delete_time: delete_time.map(from_micros),
            }),
            _ => None,
        };
        Self {
            sequence: row.sequence,
            kind: Kind::parse(row.change_kind),
            product_id: row.product_id,
            product,
            time: from_micros(row.change_time),
        }
    }
}

/// What happened behind a sequence, in its order.
pub(super) struct FindChanges {
    pub(super) after: i64,
    pub(super) limit: usize,
}

impl Work for FindChanges {
    type Answer = Vec<Change>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<Vec<Change>, Failure> {
        // One statement: a product that changes between two would be in neither.
        const FIND: &str = "SELECT c.sequence, c.change_kind, c.product_id, c.change_time, c.version,
                COALESCE(p.name, v.name) AS name, COALESCE(p.category, v.category) AS category,
                COALESCE(p.sku, v.sku) AS sku, COALESCE(p.create_time, v.create_time) AS create_time,
                COALESCE(p.update_time, v.update_time) AS update_time,
                COALESCE(p.delete_time, v.delete_time) AS delete_time
            FROM (SELECT sequence, change_kind, product_id, version, change_time
                FROM product_changes
                WHERE sequence > $1
                ORDER BY sequence
                LIMIT $2) AS c
            LEFT JOIN products p ON p.id = c.product_id AND p.version = c.version
            LEFT JOIN product_versions v ON v.product_id = c.product_id AND v.version = c.version
            ORDER BY c.sequence";

        let rows: Vec<ChangeRow> =
            on_either!(on, |c| sqlx::query_as(FIND).bind(self.after).bind(self.limit as i64).fetch_all(c).await?);
        Ok(rows.into_iter().map(Change::from).collect())
    }
}

/// The first sequence that is kept, if any, and the last that was given.
pub(super) struct FindSequences;

impl Work for FindSequences {
    type Answer = (Option<i64>, i64);

    async fn run(&self, on: &mut Connection<'_>) -> Result<(Option<i64>, i64), Failure> {
        const FIND: &str =
            "SELECT (SELECT MIN(sequence) FROM product_changes) AS first, last_sequence FROM catalogue WHERE id = 1";

        Ok(on_either!(on, |c| sqlx::query_as::<_, (Option<i64>, i64)>(FIND).fetch_one(c).await?))
    }
}
