//! Rows of the first Rundoo, as its own mock data has them, and as they may be.

use super::*;

fn row(id: i64, name: &str, sku: &str) -> OldRow {
    OldRow {
        id,
        create_time: Some(1_686_000_000_000_000),
        name: Some(name.to_owned()),
        category: Some("wine".to_owned()),
        sku: Some(sku.to_owned()),
        version: Some(1),
    }
}

fn adopt(resolution: Resolution, rows: &[OldRow]) -> (Vec<Fate>, Report) {
    let mut adoption = Adoption::new(resolution, Timestamp::UNIX_EPOCH);
    rows.iter().for_each(|row| adoption.survey(row));
    let fates = rows.iter().map(|row| adoption.decide(row)).collect();
    (fates, adoption.report())
}

fn skus(fates: &[Fate]) -> Vec<&str> {
    let sku = |fate: &Fate| match fate {
        Fate::Kept(product) => Some(product.sku.clone()),
        Fate::Renamed(_, sku) => Some(sku.clone()),
        Fate::Deleted(_) | Fate::Left => None,
    };
    fates.iter().map(|fate| sku(fate).map_or("-", |sku| sku.leak())).collect()
}

fn duplicates(duplicates: Duplicates) -> Resolution {
    Resolution { duplicates: Some(duplicates), refused: None }
}

const MEND: Resolution = Resolution { duplicates: None, refused: Some(Refused::Mend) };

#[test]
fn good_rows_keep_what_they_say() {
    let changed = OldRow { version: Some(7), ..row(9, "Electric  Chainsaw ", "ET1838845") };

    let (fates, report) = adopt(Resolution::default(), &[row(1, "Central Winery Chardonnay", "CW21001"), changed]);

    let [Fate::Kept(first), Fate::Kept(second)] = fates.as_slice() else { panic!("{fates:?}") };
    assert_eq!((first.id, first.version, first.create_time.as_second()), (1, 1, 1_686_000_000));
    assert_eq!((second.id, second.version, second.name.as_str()), (9, 7, "Electric Chainsaw"));
    assert_eq!((report.rows, report.adopted, report.cleaned, report.open()), (2, 2, 1, 0));
}

#[test]
fn without_a_decision_each_row_that_needs_one_is_told() {
    let rows =
        [row(1, "Chardonnay", "CW21001"), row(2, "Pinot", "cw21001"), row(3, "", "CW3"), row(4, "Cork", "cw21001 ")];

    let (_, report) = adopt(Resolution::default(), &rows);

    assert_eq!((report.open(), report.duplicates, report.refused), (3, 2, 1));
    let told = report.to_string();
    assert!(told.contains("product 2, \"Pinot\", SKU \"cw21001\": has the SKU of product 1"), "{told}");
    assert!(told.contains("product 3, \"\", SKU \"CW3\": name must not be empty"), "{told}");
}

#[test]
fn of_duplicates_the_first_the_last_or_each_stays() {
    let rows = [row(1, "a", "X"), row(2, "b", "x"), row(3, "c", "X-2"), row(4, "d", "X"), row(5, "e", "x-2")];

    assert_eq!(skus(&adopt(duplicates(Duplicates::KeepFirst), &rows).0), ["X", "-", "X-2", "-", "-"]);
    assert_eq!(skus(&adopt(duplicates(Duplicates::KeepLast), &rows).0), ["-", "-", "-", "X", "x-2"]);
    assert_eq!(skus(&adopt(duplicates(Duplicates::Rename), &rows).0), ["X", "x-3", "X-2", "X-4", "x-2-2"]);
}

#[test]
fn a_number_finds_room_behind_a_sku_of_any_length() {
    let long = "é".repeat(64);

    let (fates, _) = adopt(duplicates(Duplicates::Rename), &[row(1, "a", &long), row(2, "b", &long)]);

    assert_eq!(skus(&fates), [long, format!("{}-2", "é".repeat(62))]);
}

#[test]
fn mended_values_are_ones_that_the_catalogue_takes() {
    let rows = [
        OldRow { name: None, category: Some(String::new()), sku: None, ..row(1, "", "") },
        row(2, &"ß".repeat(300), "A\tB\u{202e}C"),
        row(3, "Nail", &"\u{fdfa}".repeat(64)),
        OldRow { version: Some(0), create_time: None, ..row(4, "Screw", "S-4") },
        row(0, "Nobody", "N-0"),
        row(5, "Same", "id-1"),
    ];

    let (fates, report) = adopt(MEND, &rows);

    let kept: Vec<&Product> = fates
        .iter()
        .filter_map(|fate| match fate {
            Fate::Kept(product) => Some(product),
            _ => None,
        })
        .collect();
    let said = |product: &Product| Draft::parse(&product.name, &product.category, &product.sku).is_ok();
    assert!(kept.iter().all(|product| said(product)), "{kept:?}");
    assert_eq!(
        (kept[0].name.as_str(), kept[0].category.as_str(), kept[0].sku.as_str()),
        ("Product 1", "Uncategorized", "ID-1")
    );
    assert_eq!((kept[1].name.clone(), kept[1].sku.as_str()), ("ß".repeat(200), "A B C"));
    assert_eq!((kept[3].version, kept[3].create_time), (1, Timestamp::UNIX_EPOCH));
    assert_eq!((kept.len(), report.refused, report.duplicates), (4, 5, 1), "{report}");
    assert_eq!(report.open(), 1, "what is mended can be a duplicate: {report}");
}

#[test]
fn what_is_left_behind_is_told_too() {
    let resolution = Resolution { duplicates: None, refused: Some(Refused::Leave) };

    let (fates, report) = adopt(resolution, &[row(1, " ", "S-1"), row(2, "Saw", "S-2")]);

    assert_eq!(skus(&fates), ["-", "S-2"]);
    assert_eq!((report.open(), report.findings[0].resolved.as_deref()), (0, Some("is left behind")));
}
