//! What a dry run would change, for people.

use anyhow::Context as _;
use proto::products::{FieldDifference, ImportChange, ImportChangeKind, ImportJob, ListImportChangesRequest, Product};

use crate::importer::Client;

/// The first changes of a dry run, a line each, and how many more there are.
pub(super) async fn told(client: &mut Client, job: &ImportJob, most: usize) -> anyhow::Result<String> {
    let mut changes: Vec<ImportChange> = Vec::new();
    let mut page_token = String::new();
    while changes.len() < most {
        let page_size = i32::try_from(most - changes.len()).unwrap_or(i32::MAX);
        let request = ListImportChangesRequest { id: job.id, page_size, page_token, show_unchanged: false };
        let page = client.list_import_changes(request).await.context("could not list the changes")?.into_inner();
        changes.extend(page.changes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let mut text = String::new();
    for change in &changes {
        text.push_str(&line(change));
    }
    let more = job.created + job.updated - i64::try_from(changes.len()).unwrap_or(i64::MAX);
    if more > 0 {
        text.push_str(&format!("  and {more} more changes\n"));
    }
    Ok(if text.is_empty() { text } else { format!("\n{text}") })
}

fn line(change: &ImportChange) -> String {
    let what = match change.kind() {
        ImportChangeKind::Created => {
            let Product { name, category, sku, .. } = change.after.clone().unwrap_or_default();
            format!("adds      {sku}  {name}  ({category})")
        }
        ImportChangeKind::Updated => {
            let sku = change.before.as_ref().map_or("", |product| product.sku.as_str());
            let differences: Vec<String> = change.differences.iter().map(difference).collect();
            format!("changes   {sku}  {}", differences.join(", "))
        }
        ImportChangeKind::Unchanged => "changes nothing any more".to_owned(),
        ImportChangeKind::Refused => format!("would be refused by now: {}", change.message),
        ImportChangeKind::Unspecified => "does something that this program does not know".to_owned(),
    };
    format!("  line {:<7}{what}\n", change.line)
}

fn difference(FieldDifference { field, from, to }: &FieldDifference) -> String {
    format!("{field}: {from:?} becomes {to:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let product = Product {
            name: "Saw".to_owned(),
            category: "Tools".to_owned(),
            sku: "S-1".to_owned(),
            ..Default::default()
        };
        let added = ImportChange {
            line: 2,
            kind: ImportChangeKind::Created.into(),
            after: Some(product.clone()),
            ..Default::default()
        };
        assert_eq!(line(&added), "  line 2      adds      S-1  Saw  (Tools)\n");

        let differences =
            vec![FieldDifference { field: "name".to_owned(), from: "Saw".to_owned(), to: "Hand saw".to_owned() }];
        let kind = ImportChangeKind::Updated.into();
        let changed = ImportChange { line: 3, kind, before: Some(product), differences, ..Default::default() };
        assert_eq!(line(&changed), "  line 3      changes   S-1  name: \"Saw\" becomes \"Hand saw\"\n");
    }
}
