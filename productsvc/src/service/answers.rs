//! What the catalogue answers, in the words of the contract.

use jiff::Timestamp;
use proto::products::{
    self as contract, ChangeKind, ErrorReason, ImportChangeKind, ImportMode, ImportState, MatchTier, SearchField,
};

use crate::category::Counted;
use crate::import::{Conflict, Job, Mode, Preview, Reason, Refused, State};
use crate::ledger::{KEPT_DELETED, Row};
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
        Kind::Undone => ChangeKind::Undone,
    }
}

pub(super) fn job(job: Job) -> contract::ImportJob {
    contract::ImportJob {
        id: job.id,
        state: state(job.state).into(),
        source: job.source,
        rows: job.counts.rows,
        created: job.counts.created,
        updated: job.counts.updated,
        unchanged: job.counts.unchanged,
        refused: job.counts.refused,
        create_time: Some(timestamp(job.create_time)),
        end_time: job.end_time.map(timestamp),
        dry_run: job.dry_run,
        undone: job.counts.undone,
        conflicts: job.counts.conflicts,
        request_id: job.request_id,
        mode: mode(job.manner.mode).into(),
    }
}

fn state(state: State) -> ImportState {
    match state {
        State::Receiving | State::Staging | State::Committing => ImportState::Running,
        State::Ready => ImportState::Ready,
        State::Done => ImportState::Done,
        State::Cancelled => ImportState::Cancelled,
        State::Undoing => ImportState::Undoing,
        State::Undone => ImportState::Undone,
    }
}

fn mode(mode: Mode) -> ImportMode {
    match mode {
        Mode::Upsert => ImportMode::Upsert,
        Mode::Create => ImportMode::Create,
        Mode::Update => ImportMode::Update,
    }
}

pub(super) fn refusal(refused: Refused) -> contract::ImportRefusal {
    let reason = match refused.reason {
        Reason::InvalidField => ErrorReason::InvalidField,
        Reason::SkuTaken => ErrorReason::SkuTaken,
        Reason::DuplicateSku => ErrorReason::DuplicateSku,
        Reason::ProductNotFound => ErrorReason::ProductNotFound,
        Reason::SpreadsheetDamage => ErrorReason::SpreadsheetDamage,
    };
    let row = refused.row;
    contract::ImportRefusal {
        row: Some(contract::ImportRow { line: row.line, name: row.name, category: row.category, sku: row.sku }),
        field: refused.field,
        reason: reason.into(),
        message: refused.message,
        cut: refused.is_cut,
    }
}

pub(super) fn preview(preview: Preview) -> contract::ImportChange {
    let kind = match preview.verdict {
        Row::Created => ImportChangeKind::Created,
        Row::Updated => ImportChangeKind::Updated,
        Row::Unchanged => ImportChangeKind::Unchanged,
        Row::Taken { .. } | Row::Missing | Row::Damaged { .. } => ImportChangeKind::Refused,
    };
    let differences = preview.differences().into_iter().map(difference).collect();
    let message = preview.verdict.refusal().map(|(_, message)| message);
    let after = match (&preview.before, &message) {
        (_, Some(_)) => None,
        (Some(before), None) if kind == ImportChangeKind::Unchanged => Some(product(before.clone())),
        // The version and the times are only given when it is written.
        (Some(before), None) => {
            let Product { id, name, category, sku, create_time, .. } = preview.draft.of(before);
            let create_time = Some(timestamp(create_time));
            Some(contract::Product { id, name, category, sku, create_time, ..Default::default() })
        }
        (None, None) => Some(contract::Product {
            name: preview.draft.name.as_str().to_owned(),
            category: preview.draft.category.as_str().to_owned(),
            sku: preview.draft.sku.as_str().to_owned(),
            ..Default::default()
        }),
    };
    contract::ImportChange {
        line: preview.line,
        kind: kind.into(),
        before: preview.before.map(product),
        after,
        differences,
        message: message.unwrap_or_default(),
    }
}

pub(super) fn conflict(conflict: Conflict) -> contract::ImportConflict {
    let Conflict { product_id, version, product: now } = conflict;
    contract::ImportConflict { product_id, version, product: now.map(product) }
}

pub(super) fn timestamp(moment: Timestamp) -> prost_types::Timestamp {
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
