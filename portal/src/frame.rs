//! What stands around every page: title, navigation, notice.

use serde::Deserialize;

use crate::{pages::assets, visit::Visit};

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nav {
    Home,
    Add,
    Search,
    Services,
    /// A page that the navigation does not name.
    Elsewhere,
}

/// One entry as the template shows it.
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) href: &'static str,
    pub(crate) here: bool,
}

/// What a page says about the step before. A closed set, so that no link can put words into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Notice {
    Added,
    Changed,
    Deleted,
    Gone,
    /// Anything else that an address may say.
    #[serde(other)]
    Unknown,
}

impl Notice {
    fn text(self) -> Option<&'static str> {
        match self {
            Notice::Added => Some("The product was added."),
            Notice::Changed => Some("The changes were saved."),
            Notice::Deleted => Some("The product was deleted."),
            Notice::Gone => Some("That product had been deleted already."),
            Notice::Unknown => None,
        }
    }
}

/// What stands around a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) request_id: String,
    pub(crate) notice: Option<&'static str>,
    here: Nav,
}

impl Frame {
    pub(crate) fn new(visit: &Visit, here: Nav, title: impl Into<String>) -> Frame {
        Frame { title: title.into(), request_id: visit.request_id.clone(), notice: None, here }
    }

    /// Says what the step before did.
    pub(crate) fn with_notice(self, notice: Option<Notice>) -> Frame {
        Frame { notice: notice.and_then(Notice::text), ..self }
    }

    pub(crate) fn navigation(&self) -> [Entry; 4] {
        let entry = |nav, label, href| Entry { label, href, here: self.here == nav };
        [
            entry(Nav::Home, "Home", "/"),
            entry(Nav::Add, "Add Product", "/products/new"),
            entry(Nav::Search, "Search Product", "/search"),
            entry(Nav::Services, "Services", "/services"),
        ]
    }

    pub(crate) fn style(&self) -> &'static str {
        assets::STYLE.link()
    }

    pub(crate) fn icon(&self) -> &'static str {
        assets::ICON.link()
    }
}
