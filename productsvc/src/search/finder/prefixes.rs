//! The tiers that are ranges of an index: SKUs and names that begin with the query.

use crate::error::Error;
use crate::order::{self, By, Order};
use crate::page::Cursor;
use crate::range::Range;
use crate::search::Tier;
use crate::search::finder::{End, Hit, Leg, Walk, Way};
use crate::search::place::Place;

/// Products that are read at once at least: those of a better tier are left out.
const PIECE: usize = 64;

impl Walk<'_> {
    /// The product whose SKU is the query.
    pub(super) async fn exact(&self, from: Option<&Place>, hits: &mut Vec<Hit>) -> Result<End, Error> {
        if from.is_none() {
            match self.store.find_by_sku(self.query.key(), self.deadline).await {
                Ok(product) => hits.push(Hit { product, tier: Tier::SkuExact }),
                Err(Error::SkuNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(End::Reached)
    }

    /// Products whose SKU or name begins with the query, by that.
    pub(super) async fn prefixed(&self, leg: Leg<'_>, hits: &mut Vec<Hit>) -> Result<End, Error> {
        let Leg { tier, way, from, wanted } = leg;
        let by = if tier == Tier::SkuPrefix { By::Sku } else { By::Name };
        let order = Order { by, descending: way == Way::Backwards };
        let mut range = Range::default();
        range.beginning_with(self.query.key());
        if let Some(Place { key, id, .. }) = from {
            let place = order::Place { value: order::Value::Text(key.clone()), id: *id };
            range.towards(&Cursor::After(place), order);
        }
        loop {
            let limit = (wanted - hits.len()).max(PIECE);
            let piece = self.store.in_range(order, &range, limit, self.deadline).await?;
            let (is_last, mut last) = (piece.len() < limit, None);
            for product in piece {
                range.towards(&Cursor::After(order.place(&product)), order);
                last = Some(Place::of(&product, tier));
                if self.query.tier(&product) == Some(tier) {
                    hits.push(Hit { product, tier });
                    if hits.len() == wanted {
                        return Ok(End::Full);
                    }
                }
            }
            match last {
                Some(place) if !is_last && self.is_late() => return Ok(End::Late(place)),
                Some(_) if !is_last => {}
                _ => return Ok(End::Reached),
            }
        }
    }
}
