//! What is listed: a filter, and whether deleted products are shown.

use crate::filter::{Filter, FilterFault};
use crate::order::By;

/// Products that are in the catalogue, or deleted ones: each has indexes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Those that are not deleted.
    Live,
    /// Those that are deleted and can be had back.
    Deleted,
}

/// Which products are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// What they must be like.
    pub filter: Filter,
    /// Whether deleted ones are among them.
    pub show_deleted: bool,
}

impl Selection {
    /// Reads a filter, which speaks of deletion only where deleted products are shown.
    pub fn parse(filter: &str, show_deleted: bool) -> Result<Self, UnknownSelection> {
        let filter = Filter::parse(filter)?;
        if !show_deleted && filter.deleted().next().is_some() {
            return Err(UnknownSelection::Hidden);
        }
        Ok(Self { filter, show_deleted })
    }

    /// Where to look.
    pub fn sets(&self) -> Vec<Set> {
        let asked = |deleted: bool| self.filter.deleted().all(|asked| asked == deleted);
        let (live, deleted) = (asked(false), self.show_deleted && asked(true));
        [(live, Set::Live), (deleted, Set::Deleted)]
            .into_iter()
            .filter(|(asked, _)| *asked)
            .map(|(_, set)| set)
            .collect()
    }

    /// Orders in which only a range need be read, those that few share first.
    pub fn ranges(&self) -> impl Iterator<Item = By> {
        const FEWEST_FIRST: [By; 6] = [By::Sku, By::Id, By::Name, By::Category, By::CreateTime, By::UpdateTime];
        FEWEST_FIRST.into_iter().filter(|by| !self.filter.range(*by).is_everything())
    }
}

/// The filter cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownSelection {
    /// It is no filter.
    #[error("{0}")]
    Malformed(#[from] FilterFault),
    /// It is about deletion, and deleted products are not shown.
    #[error("asks for `deleted`, which needs show_deleted")]
    Hidden,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_products_are_looked_for_where_they_are_shown() {
        let sets =
            |filter: &str, show_deleted| Selection::parse(filter, show_deleted).map(|selection| selection.sets());

        assert_eq!(sets("", false), Ok(vec![Set::Live]));
        assert_eq!(sets("", true), Ok(vec![Set::Live, Set::Deleted]));
        assert_eq!(sets("deleted = true", true), Ok(vec![Set::Deleted]));
        assert_eq!(sets("deleted != true AND id > 3", true), Ok(vec![Set::Live]));
        assert_eq!(sets("deleted = true AND deleted = false", true), Ok(vec![]));
        assert_eq!(sets("deleted = false", false), Err(UnknownSelection::Hidden));
    }
}
