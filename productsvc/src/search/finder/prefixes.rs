//! The tiers that are ranges of an index: SKUs and names that begin with the query.

use crate::error::Error;
use crate::order::By;
use crate::search::Tier;
use crate::search::finder::{End, Hit, Stretch, Walk, Way};
use crate::search::place::Place;
use crate::store::Prefixed;

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
    pub(super) async fn prefixed(&self, stretch: Stretch<'_>, hits: &mut Vec<Hit>) -> Result<End, Error> {
        let Stretch { tier, way, from, wanted } = stretch;
        let by = if tier == Tier::SkuPrefix { By::Sku } else { By::Name };
        let mut place = from.cloned();
        if place.as_ref().is_some_and(|place| !place.key.starts_with(self.query.key())) {
            return Err(Error::InvalidPageToken);
        }
        loop {
            let limit = (wanted - hits.len()).max(PIECE);
            let after = place.as_ref().map(|place| (place.key.as_str(), place.id));
            let backwards = way == Way::Backwards;
            let prefixed = Prefixed { by, prefix: self.query.key(), place: after, backwards, limit };
            let piece = self.store.prefixed(&prefixed, self.deadline).await?;
            let is_last = piece.len() < limit;
            for product in piece {
                place = Some(Place::of(&product, tier));
                if self.query.tier(&product) == Some(tier) {
                    hits.push(Hit { product, tier });
                    if hits.len() == wanted {
                        return Ok(End::Full);
                    }
                }
            }
            match place.clone() {
                _ if is_last => return Ok(End::Reached),
                Some(place) if self.is_late() => return Ok(End::Late(place)),
                _ => {}
            }
        }
    }
}
