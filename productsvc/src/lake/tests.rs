//! Parts in a folder: written, read back, looked into, damaged.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::product::Product;
use crate::version::{Author, Kind, Origin};

/// Several pages to a row group, several row groups to a part.
pub(crate) const SMALL: Shape =
    Shape { page_rows: 16, group_rows: 64, group_bytes: 1 << 20, part_rows: 1000, part_bytes: 1 << 20 };

fn lake() -> (Lake, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    (Lake::open(directory.path().to_str().unwrap()).unwrap(), directory)
}

fn month() -> Month {
    Month::parse("2026-09").unwrap()
}

fn version(id: i64, number: i64) -> Version {
    let moment = |offset: i64| Timestamp::from_microsecond(month().start().as_microsecond() + offset).unwrap();
    Version {
        product: Product {
            id,
            name: format!("Deck screw {id}, {number}½\" \u{1f528} \\"),
            category: if id % 3 == 0 { "Fasteners".to_owned() } else { "Paint/Interior".to_owned() },
            sku: format!("SKU-{id:09}"),
            version: number,
            create_time: moment(-5_000_000_001),
            update_time: moment(number),
            delete_time: (number % 4 == 3).then(|| moment(number)),
        },
        origin: Origin {
            kind: Kind::parse(number % 7),
            author: Author { name: "import.csv".to_owned(), call_id: format!("call-{id}-{number}"), person: false },
        },
        end_time: Some(moment(number + 1)),
    }
}

fn made(rows: &[Version], shape: Shape) -> Made {
    let mut writer = PartWriter::new(shape).unwrap();
    rows.iter().for_each(|row| writer.add(row.clone()).unwrap());
    writer.finish().unwrap().unwrap()
}

/// Products of one version, of some, and one of very many.
fn rows() -> Vec<Version> {
    let count = |id: i64| if id == 70 { 200 } else { 1 + id % 3 };
    (1..=150)
        .filter(|id| id % 10 != 0 || *id == 70)
        .flat_map(|id| (1..=count(id)).map(move |n| version(id, n)))
        .collect()
}

async fn read(lake: &Lake, part: &Part) -> Result<Vec<Version>, Error> {
    let mut scan = lake.scan(part).await?;
    let mut rows = Vec::new();
    while let Some(group) = scan.next().await? {
        rows.extend(group);
    }
    Ok(rows)
}

#[tokio::test]
async fn a_part_holds_what_was_written_and_each_product_is_found_in_it() {
    let (lake, directory) = lake();
    let rows = rows();
    let made = made(&rows, SMALL);

    let part = lake.put(month(), 1, &made).await.unwrap().unwrap();

    assert!(directory.path().join("product_versions/year=2026/month=09/part-1.parquet").is_file());
    assert_eq!((part.rows, part.bytes), (rows.len() as i64, made.bytes.len() as i64));
    assert_eq!((part.first_product_id, part.last_product_id), (1, 149));
    assert_eq!(read(&lake, &part).await.unwrap(), rows);
    let mut by_product: BTreeMap<i64, Vec<Version>> = (0..=160).map(|id| (id, Vec::new())).collect();
    for row in rows {
        by_product.get_mut(&row.product.id).unwrap().push(row);
    }
    for (id, expected) in by_product {
        assert_eq!(lake.find(&part, id).await.unwrap(), expected, "product {id}");
    }
}

#[tokio::test]
async fn one_product_is_found_by_reading_little() {
    let rows: Vec<Version> = (1..=100_000).map(|id| version(id, 1)).collect();
    let made = made(&rows, Shape::USUAL);
    let Footer::Read(footer) = lookup::footer(&made.bytes, made.bytes.len() as u64).unwrap() else {
        panic!("no footer")
    };

    let places = lookup::places(&footer, 77_777).unwrap();

    assert_eq!((footer.num_row_groups(), places.len()), (7, 1));
    let asked: u64 = places[0].bytes.iter().map(|range| range.end - range.start).sum();
    assert!(asked * 50 < made.bytes.len() as u64, "{asked} of {}", made.bytes.len());
    let pieces =
        places[0].bytes.iter().map(|range| made.bytes.slice(range.start as usize..range.end as usize)).collect();
    assert_eq!(lookup::read(&footer, &places[0], pieces, 77_777).unwrap(), [version(77_777, 1)]);
    assert!(lookup::places(&footer, 100_001).unwrap().is_empty());
    assert!((made.bytes.len() as u64) / 100_000 < 60, "{} bytes", made.bytes.len());
}

#[tokio::test]
async fn a_footer_longer_than_what_is_read_first_is_read_nevertheless() {
    let (lake, _directory) = lake();
    let rows: Vec<Version> = (1..=4000).map(|id| version(id, 1)).collect();
    let shape = Shape { page_rows: 2, group_rows: 8, ..SMALL };
    let part = lake.put(month(), 1, &made(&rows, shape)).await.unwrap().unwrap();

    assert_eq!(lake.find(&part, 3999).await.unwrap(), [version(3999, 1)]);
}

#[tokio::test]
async fn a_part_is_never_written_over() {
    let (lake, _directory) = lake();
    let first = lake.put(month(), 1, &made(&[version(1, 1)], SMALL)).await.unwrap().unwrap();

    assert_eq!(lake.put(month(), 1, &made(&[version(2, 1)], SMALL)).await.unwrap(), None);

    assert_eq!(read(&lake, &first).await.unwrap(), [version(1, 1)]);
}

#[tokio::test]
async fn a_part_that_changed_anywhere_is_noticed() {
    let (lake, directory) = lake();
    let made = made(&rows(), SMALL);
    let part = lake.put(month(), 1, &made).await.unwrap().unwrap();
    let path = directory.path().join("product_versions/year=2026/month=09/part-1.parquet");

    for place in [0, made.bytes.len() / 2, made.bytes.len() - 1] {
        let mut bytes = made.bytes.to_vec();
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert!(matches!(read(&lake, &part).await, Err(Error::LakeDamaged { .. })), "byte {place}");
    }
    std::fs::write(&path, &made.bytes[..made.bytes.len() - 1]).unwrap();
    assert!(matches!(read(&lake, &part).await, Err(Error::LakeDamaged { .. })), "it is shorter");
    std::fs::write(&path, vec![7; made.bytes.len()]).unwrap();
    assert!(matches!(lake.find(&part, 1).await, Err(Error::LakeDamaged { .. })), "its footer is garbage");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(read(&lake, &part).await, Err(Error::LakeAway { .. })), "it is not there");
    assert!(matches!(lake.find(&part, 1).await, Err(Error::LakeAway { .. })), "it is not there");
}

#[tokio::test]
async fn what_a_run_left_is_swept_and_nothing_else() {
    let (lake, directory) = lake();
    let mut parts = Vec::new();
    for number in 1..=3 {
        parts.extend(lake.put(month(), number, &made(&[version(number, 1)], SMALL)).await.unwrap());
    }
    let next = lake.put(month().next(), 1, &made(&[version(1, 1)], SMALL)).await.unwrap().unwrap();
    let folder = directory.path().join(month().folder());
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    lake.put_manifest(month(), &parts[..2]).await.unwrap();

    assert_eq!(lake.sweep(month(), &parts[..2]).await.unwrap(), 1);

    assert_eq!(lake.manifest(month()).await.unwrap(), parts[..2]);
    assert!(lake.holds(&parts[1]).await.unwrap() && !lake.holds(&parts[2]).await.unwrap());
    assert!(lake.holds(&next).await.unwrap() && folder.join("notes.txt").is_file());
    assert_eq!(lake.manifest(month().next()).await.unwrap(), []);
    assert_eq!(lake.sweep(Month::parse("2020-01").unwrap(), &[]).await.unwrap(), 0);
}
