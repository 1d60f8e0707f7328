//! What the catalogue answers, in the words of the contract.

use jiff::Timestamp;
use proto::products::{self as contract, ChangeKind, ErrorReason, ImportState, MatchTier, SearchField};

use crate::category::Counted;
use crate::import::{Job, Reason, Refused};
use crate::ledger::KEPT_DELETED;
use crate::product::Product;
use crate::search::finder::Hit;
use crate::search::grams::Part;
use crate::search::{Highlight, Query, Tier};
use crate::store::Change;
use crate::version::{Difference, Kind, Version};

pub(super) fn product(product: Product) -> contract::Product {
    contract::Product {
        etag: product.etag().to_string(),
        id: product.id,
        name: product.name,
        category: product.category,
        sku: product.sku,
        version: product.version,
        create_time: Some(timestamp(product.create_time)),
        update_time: Some(timestamp(product.update_time)),
        delete_time: product.delete_time.map(timestamp),
        purge_time: product.delete_time.map(|deleted| timestamp(deleted + KEPT_DELETED)),
    }
}

pub(super) fn hit(query: &Query, hit: Hit) -> contract::SearchResult {
    let tier = match hit.tier {
        Tier::SkuExact => MatchTier::SkuExact,
        Tier::SkuPrefix => MatchTier::SkuPrefix,
        Tier::NamePrefix => MatchTier::NamePrefix,
        Tier::Words => MatchTier::Words,
        Tier::Substring => MatchTier::Substring,
    };
    let ranges = query.highlights(&hit.product).into_iter().map(highlight).collect();
    contract::SearchResult { product: Some(product(hit.product)), tier: tier.into(), ranges }
}

fn highlight(highlight: Highlight) -> contract::MatchRange {
    let field = match highlight.part {
        Part::Name => SearchField::Name,
        Part::Category => SearchField::Category,
        Part::Sku => SearchField::Sku,
    };
    // Texts have at most 200 characters.
    let bytes = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    contract::MatchRange { field: field.into(), begin: bytes(highlight.begin), end: bytes(highlight.end) }
}

pub(super) fn category(counted: Counted) -> contract::Category {
    contract::Category {
        title: counted.path.rsplit('/').next().unwrap_or_default().to_owned(),
        path: counted.path,
        product_count: counted.direct,
        total_product_count: counted.total,
        has_children: counted.has_children,
    }
}

pub(super) fn version(version: Version) -> contract::ProductVersion {
    let Version { product: state, origin, end_time } = version;
    contract::ProductVersion {
        product: Some(product(state)),
        end_time: end_time.map(timestamp),
        kind: kind(origin.kind).into(),
        actor: origin.author.name,
        request_id: origin.author.call_id,
    }
}

pub(super) fn difference(difference: Difference) -> contract::FieldDifference {
    contract::FieldDifference { field: difference.field.to_owned(), from: difference.from, to: difference.to }
}

pub(super) fn change(change: Change) -> contract::WatchProductsResponse {
    contract::WatchProductsResponse {
        sequence: change.sequence,
        kind: kind(change.kind).into(),
        product_id: change.product_id,
        product: change.product.map(product),
        time: Some(timestamp(change.time)),
    }
}

fn kind(kind: Kind) -> ChangeKind {
    match kind {
        Kind::Unknown => ChangeKind::Unspecified,
        Kind::Created => ChangeKind::Created,
        Kind::Updated => ChangeKind::Updated,
        Kind::Deleted => ChangeKind::Deleted,
        Kind::Undeleted => ChangeKind::Undeleted,
        Kind::Restored => ChangeKind::Restored,
        Kind::Imported => ChangeKind::Imported,
        Kind::Purged => ChangeKind::Purged,
    }
}

pub(super) fn job(job: Job) -> contract::ImportJob {
    let state = if job.end_time.is_some() { ImportState::Done } else { ImportState::Running };
    contract::ImportJob {
        id: job.id,
        state: state.into(),
        source: job.source,
        rows: job.counts.rows,
        created: job.counts.created,
        updated: job.counts.updated,
        unchanged: job.counts.unchanged,
        refused: job.counts.refused,
        create_time: Some(timestamp(job.create_time)),
        end_time: job.end_time.map(timestamp),
    }
}

pub(super) fn refusal(refused: Refused) -> contract::ImportRefusal {
    let reason = match refused.reason {
        Reason::InvalidField => ErrorReason::InvalidField,
        Reason::SkuTaken => ErrorReason::SkuTaken,
        Reason::DuplicateSku => ErrorReason::DuplicateSku,
    };
    let row = refused.row;
    contract::ImportRefusal {
        row: Some(contract::ImportRow { line: row.line, name: row.name, category: row.category, sku: row.sku }),
        field: refused.field,
        reason: reason.into(),
        message: refused.message,
    }
}

fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
    // Nanoseconds count forward in the contract, whichever side of 1970 it is.
    let micros = moment.as_microsecond();
    let nanos = i32::try_from(micros.rem_euclid(1_000_000) * 1000).expect("a second has less than 2^31 nanoseconds");
    prost_types::Timestamp { seconds: micros.div_euclid(1_000_000), nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_keep_their_microseconds() {
        for micros in [0, 1, -1, 1_700_000_000_123_456] {
            let told = timestamp(Timestamp::from_microsecond(micros).unwrap());

            assert_eq!(told.seconds * 1_000_000 + i64::from(told.nanos) / 1000, micros);
            assert!(told.nanos >= 0);
        }
    }
}
