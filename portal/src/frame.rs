//! What stands around every page: title, navigation, notice.

use serde::Deserialize;

use crate::{
    door::{Role, Visitor},
    form,
    grpcurl::Command,
    pages::assets,
    query::records_link,
    time::{Moment, Zone},
    visit::Visit,
};

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nav {
    Home,
    Add,
    Search,
    Categories,
    Import,
    Services,
    Logs,
    Users,
    Audit,
    /// A page that the navigation does not name.
    Elsewhere,
}

/// One entry as the template shows it.
pub(crate) struct Entry {
    pub(crate) label: &'static str,
    pub(crate) href: &'static str,
    /// How `aria-current` says that this is where one is; none elsewhere.
    pub(crate) here: Option<&'static str>,
}

/// What a page says about the step before. A closed set, so that no link can put words into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Notice {
    Added,
    Changed,
    Deleted,
    Gone,
    Undeleted,
    Restored,
    Recategorised,
    Several,
    Sample,
    Zone,
    LoggedOut,
    Password,
    Ended,
    Revoked,
    User,
    Removed,
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
            Notice::Undeleted => Some("The product is back."),
            Notice::Restored => Some("The product says again what it said then."),
            Notice::Recategorised => Some("The products are in their new category."),
            Notice::Several => Some("The products were deleted. They are in the trash."),
            Notice::Sample => Some("The sample is loaded."),
            Notice::Zone => Some("Times are shown in the zone that you chose."),
            Notice::LoggedOut => Some("You are logged out."),
            Notice::Password => Some("The password was changed. All other sessions have ended."),
            Notice::Ended => Some("The sessions have ended."),
            Notice::Revoked => Some("The token was revoked."),
            Notice::User => Some("The account was changed."),
            Notice::Removed => Some("The account was removed."),
            Notice::Unknown => None,
        }
    }
}

/// A notice as a page shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) text: &'static str,
    /// The product that one click brings back.
    pub(crate) undo: Option<Undo>,
}

/// How a deletion is undone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Undo {
    pub(crate) id: i64,
    pub(crate) request_id: String,
}

/// What stands around a page.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) title: String,
    pub(crate) request_id: String,
    pub(crate) notice: Option<Told>,
    /// What the page asked, to be asked by hand.
    pub(crate) commands: Vec<Command>,
    zone: Zone,
    visitor: Option<Visitor>,
    here: Nav,
    /// Whether the page is the entry itself, and not something behind it.
    is_entry: bool,
}

impl Frame {
    pub(crate) fn new(visit: &Visit, here: Nav, title: impl Into<String>) -> Frame {
        Frame {
            title: title.into(),
            request_id: visit.request_id.clone(),
            notice: None,
            commands: Vec::new(),
            zone: visit.zone.clone(),
            visitor: visit.visitor.clone(),
            here,
            is_entry: true,
        }
    }

    /// Around a page behind an entry of the navigation, such as a product behind Home.
    pub(crate) fn behind(visit: &Visit, here: Nav, title: impl Into<String>) -> Frame {
        Frame { is_entry: false, ..Frame::new(visit, here, title) }
    }

    /// The same around a page of another title.
    pub(crate) fn titled(self, title: String) -> Frame {
        Frame { title, ..self }
    }

    /// Says what the step before did.
    pub(crate) fn with_notice(self, notice: Option<Notice>) -> Frame {
        let told = notice.and_then(Notice::text).map(|text| Told { text, undo: None });
        Frame { notice: told, ..self }
    }

    /// Offers to bring back what was deleted.
    pub(crate) fn with_undo(mut self, id: Option<i64>) -> Frame {
        if let (Some(told), Some(id)) = (&mut self.notice, id) {
            told.undo = Some(Undo { id, request_id: form::fresh() });
        }
        self
    }

    /// Shows how to ask the same by hand; nothing when nobody is there to be asked.
    pub(crate) fn with_command(mut self, command: Option<Command>) -> Frame {
        self.commands.extend(command);
        self
    }

    /// The entries that the visitor's role opens; none for who has not logged in.
    pub(crate) fn navigation(&self) -> Vec<Entry> {
        let how = if self.is_entry { "page" } else { "true" };
        let Some(visitor) = &self.visitor else { return Vec::new() };
        // While the door is open there are no users, and nobody whose changes could be told apart.
        let administers = visitor.name().is_some() && visitor.role() == Role::Administrator;
        let entries = [
            (Nav::Home, "Home", "/", true),
            (Nav::Add, "Add Product", "/products/new", self.may_edit()),
            (Nav::Search, "Search Product", "/search", true),
            (Nav::Categories, "Categories", "/categories", true),
            (Nav::Import, "Import", "/imports", true),
            (Nav::Services, "Services", "/services", true),
            (Nav::Logs, "Logs", "/logs", true),
            (Nav::Users, "Users", "/users", administers),
            (Nav::Audit, "Audit", "/audit", administers),
        ];
        let open = entries.into_iter().filter(|(.., is_open)| *is_open);
        open.map(|(nav, label, href, _)| Entry { label, href, here: (self.here == nav).then_some(how) }).collect()
    }

    /// Whether the visitor may change products.
    pub(crate) fn may_edit(&self) -> bool {
        self.visitor.as_ref().is_some_and(|visitor| visitor.role() >= Role::Editor)
    }

    /// Who is logged in: the name and the role.
    pub(crate) fn who(&self) -> Option<(&str, &'static str)> {
        let visitor = self.visitor.as_ref()?;
        Some((visitor.name()?.as_str(), visitor.role().name()))
    }

    /// Where all that was logged during this request is.
    pub(crate) fn records_link(&self) -> String {
        records_link(&self.request_id)
    }

    /// The name of the zone that times are shown in.
    pub(crate) fn zone(&self) -> &str {
        self.zone.name()
    }

    pub(crate) fn day(&self, moment: &Moment) -> String {
        self.zone.day(*moment)
    }

    pub(crate) fn exact(&self, moment: &Moment) -> String {
        self.zone.exact(*moment)
    }

    pub(crate) fn clock(&self, moment: &Moment) -> String {
        self.zone.clock(*moment)
    }

    pub(crate) fn fine(&self, moment: &Moment) -> String {
        self.zone.fine(*moment)
    }

    pub(crate) fn style(&self) -> &'static str {
        assets::STYLE.link()
    }

    pub(crate) fn icon(&self) -> &'static str {
        assets::ICON.link()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::secret::Secret;

    fn labels(visitor: Option<Visitor>) -> Vec<&'static str> {
        let visit = Visit { visitor, ..Visit::test("r") };
        Frame::new(&visit, Nav::Home, "Home").navigation().iter().map(|entry| entry.label).collect()
    }

    #[test]
    fn the_navigation_offers_what_the_role_opens() {
        let who = |role| Some(Visitor::logged_in("ann".parse().unwrap(), role, Secret::new().digest()));

        let viewer = labels(who(Role::Viewer));
        assert!(viewer.contains(&"Logs") && !viewer.contains(&"Add Product") && !viewer.contains(&"Users"));
        assert!(labels(who(Role::Editor)).contains(&"Add Product"));
        assert!(labels(who(Role::Administrator)).ends_with(&["Users", "Audit"]));
        let open = labels(Some(Visitor::open()));
        assert!(open.contains(&"Add Product") && !open.contains(&"Users"), "there are none");
        assert_eq!(labels(None), Vec::<&str>::new());
    }
}
