//! Each product: its texts, their keys, its times; and that no two have one SKU.

use sqlx::FromRow;
use tokio_stream::StreamExt as _;

use crate::product::Draft;
use crate::store::checks::Findings;
use crate::store::connection::{Connection, on_either};
use crate::text::fold;
use crate::version::Kind;

#[derive(FromRow)]
struct Row {
    id: i64,
    name: String,
    category: String,
    sku: String,
    name_key: String,
    category_key: String,
    sku_key: String,
    version: i64,
    create_time: i64,
    update_time: i64,
    delete_time: Option<i64>,
    change_kind: i64,
}

pub(super) async fn check(on: &mut Connection<'_>, findings: &mut Findings<'_>) -> Result<(), sqlx::Error> {
    const ALL: &str = "SELECT id, name, category, sku, name_key, category_key, sku_key, version,
            create_time, update_time, delete_time, change_kind
        FROM products
        ORDER BY id";
    const TWICE: &str = "SELECT sku_key, MIN(id), MAX(id), COUNT(*)
        FROM products
        WHERE delete_time IS NULL
        GROUP BY sku_key
        HAVING COUNT(*) > 1";

    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, Row>(ALL).fetch(c);
        while let Some(row) = rows.try_next().await? {
            faults(&row).iter().for_each(|fault| findings.tell(&format!("product {}: {fault}", row.id)));
            findings.advance();
        }
    });
    on_either!(on, |c| {
        let mut rows = sqlx::query_as::<_, (String, i64, i64, i64)>(TWICE).fetch(c);
        while let Some((key, first, last, count)) = rows.try_next().await? {
            findings.tell(&format!("{count} products have the SKU {key:?}, among them {first} and {last}"));
        }
    });
    Ok(())
}

/// What is wrong with a product.
fn faults(row: &Row) -> Vec<String> {
    let mut faults = Vec::new();
    match Draft::parse(&row.name, &row.category, &row.sku) {
        Ok(draft) => {
            let texts =
                [("name", draft.name.as_str(), &row.name), ("category", draft.category.as_str(), &row.category)];
            for (field, clean, stored) in texts.into_iter().chain([("sku", draft.sku.as_str(), &row.sku)]) {
                if clean != stored {
                    faults.push(format!("its {field} {stored:?} is not as it is written, {clean:?}"));
                }
            }
        }
        Err(wrong) => faults.extend(wrong.iter().map(|fault| format!("its {} {}", fault.field, fault.problem))),
    }
    let keys = [
        ("name", &row.name, &row.name_key),
        ("category", &row.category, &row.category_key),
        ("sku", &row.sku, &row.sku_key),
    ];
    for (field, text, key) in keys {
        let folded = fold(text);
        if folded != *key {
            faults.push(format!("the key of its {field} is {key:?} and must be {folded:?}"));
        }
    }
    if row.id < 1 || row.version < 1 {
        faults.push(format!("its id and its version {} must be at least 1", row.version));
    }
    if row.update_time < row.create_time {
        faults.push("it was changed before it was added".to_owned());
    }
    if row.delete_time.is_some_and(|deleted| deleted != row.update_time) {
        faults.push("it was changed at another time than it was deleted".to_owned());
    }
    if Kind::parse(row.change_kind).code() != row.change_kind {
        faults.push(format!("nothing is called {} that makes a version", row.change_kind));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Row {
        Row {
            id: 7,
            name: "Hand Saw".to_owned(),
            category: "Tools".to_owned(),
            sku: "S-1".to_owned(),
            name_key: "hand saw".to_owned(),
            category_key: "tools".to_owned(),
            sku_key: "s-1".to_owned(),
            version: 2,
            create_time: 1,
            update_time: 2,
            delete_time: None,
            change_kind: 2,
        }
    }

    #[test]
    fn a_sound_product_has_no_faults() {
        assert_eq!(faults(&sound()), Vec::<String>::new());
        assert_eq!(faults(&Row { delete_time: Some(2), ..sound() }), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_told() {
        let cases = [
            (Row { name_key: "saw".to_owned(), ..sound() }, "the key of its name is \"saw\" and must be \"hand saw\""),
            (Row { sku: String::new(), sku_key: String::new(), ..sound() }, "its sku must not be empty"),
            (
                Row { category: "Tools ".to_owned(), ..sound() },
                "its category \"Tools \" is not as it is written, \"Tools\"",
            ),
            (Row { version: 0, ..sound() }, "its id and its version 0 must be at least 1"),
            (Row { update_time: 0, ..sound() }, "it was changed before it was added"),
            (Row { delete_time: Some(9), ..sound() }, "it was changed at another time than it was deleted"),
            (Row { change_kind: 99, ..sound() }, "nothing is called 99 that makes a version"),
        ];
        for (row, fault) in cases {
            assert_eq!(faults(&row), [fault]);
        }
    }
}
