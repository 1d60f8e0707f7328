//! What files look like in the wild, whole and in pieces.

use super::*;

/// Reads a file that arrives in pieces of so many bytes.
fn read_in(pieces: usize, bytes: &[u8], choice: Choice) -> Result<(Vec<ImportRow>, Noticed), Fault> {
    let mut sheet = Sheet::new(choice);
    for piece in bytes.chunks(pieces) {
        sheet.push(piece)?;
    }
    sheet.finish()?;
    let noticed = sheet.noticed().cloned().unwrap();
    Ok((std::mem::take(sheet.rows()), noticed))
}

fn read(bytes: &[u8]) -> Result<(Vec<ImportRow>, Noticed), Fault> {
    let whole = read_in(usize::MAX, bytes, Choice::Noticed);
    for pieces in [1, 3, 700] {
        assert_eq!(read_in(pieces, bytes, Choice::Noticed), whole, "in pieces of {pieces}");
    }
    whole
}

fn rows(text: &str) -> Vec<ImportRow> {
    read(text.as_bytes()).unwrap().0
}

fn row(line: i64, name: &str, category: &str, sku: &str) -> ImportRow {
    ImportRow { line, name: name.into(), category: category.into(), sku: sku.into() }
}

#[test]
fn columns_come_in_any_order_and_case_and_others_are_named() {
    let (rows, noticed) = read(b"SKU, Category ,Price,nAmE\nA-1,Tools,9.99,Saw\n,,,\n").unwrap();

    assert_eq!(rows, [row(2, "Saw", "Tools", "A-1")]);
    assert_eq!((noticed.ignored, noticed.empty), (vec!["Price".to_owned()], 1));
    assert_eq!((noticed.encoding, noticed.delimiter), (Encoding::Utf8, Delimiter::Comma));
}

#[test]
fn semicolons_and_tabs_are_noticed() {
    let (rows, noticed) = read(b"name;category;sku\n\"Saw, small\";Tools;A-1").unwrap();
    assert_eq!((rows, noticed.delimiter), (vec![row(2, "Saw, small", "Tools", "A-1")], Delimiter::Semicolon));
    let (rows, noticed) = read(b"\"a,b,c,d\"\tname\tcategory\tsku\r\n1\tSaw; small\tTools\tA-1\r\n").unwrap();
    assert_eq!((rows, noticed.delimiter), (vec![row(2, "Saw; small", "Tools", "A-1")], Delimiter::Tab));
}

#[test]
fn each_row_has_the_line_that_it_begins_on() {
    for end in ["\n", "\r\n", "\r"] {
        let text =
            "\u{feff}\nname,category,sku\n\n\"Saw\nwith two\nlines\",Tools,A-1\n\n\nNail,Tools,A-2\n\"x\n\",Tools,A-3";
        let lines: Vec<i64> = rows(&text.replace('\n', end)).iter().map(|row| row.line).collect();
        assert_eq!(lines, [4, 9, 10], "{end:?}");
    }
}

#[test]
fn text_is_taken_as_it_was_before_a_spreadsheet() {
    assert_eq!(rows("name,category,sku\n'=Saw,''-T,'twas\n"), [row(2, "=Saw", "'-T", "'twas")]);
    assert_eq!(rows("name,category,sku\n3/4\" pipe,P,A\n\"1/2\"\" pipe\",P,B\n")[0].name, "3/4\" pipe");
    assert_eq!(rows("name,category,sku\nSaw\n")[0], row(2, "Saw", "", ""));
}

#[test]
fn utf_16_is_read_with_its_mark_and_without() {
    let text = "name\tcategory\tsku\nWandfarbe weiß 🎨\tPaint\tP-1\n";
    let units = |mark: &str| format!("{mark}{text}").encode_utf16().collect::<Vec<_>>();
    for mark in ["\u{feff}", ""] {
        let little: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units(mark).iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for (bytes, encoding) in [(little, Encoding::Utf16Le), (big, Encoding::Utf16Be)] {
            let (rows, noticed) = read(&bytes).unwrap();
            assert_eq!(rows, [row(2, "Wandfarbe weiß 🎨", "Paint", "P-1")]);
            assert_eq!((noticed.encoding, noticed.delimiter), (encoding, Delimiter::Tab));
        }
    }
}

#[test]
fn what_is_not_utf_8_is_read_when_somebody_says_what_it_is() {
    let bytes = b"name,category,sku\nNail,Tools,A-1\nCaf\xe9 \x80,Tools,A-2\n";
    assert_eq!(read(bytes), Err(Fault::Undecodable { line: 3, encoding: "UTF-8" }));

    let (rows, noticed) = read_in(5, bytes, Choice::Windows1252).unwrap();
    assert_eq!((rows[1].name.as_str(), noticed.encoding), ("Café €", Encoding::Windows1252));
    let (rows, noticed) = read_in(5, "\u{feff}name,category,sku\nCafé,T,A".as_bytes(), Choice::Windows1252).unwrap();
    assert_eq!((rows[0].name.as_str(), noticed.encoding), ("Café", Encoding::Utf8));
    // A letter that was cut at the end of the file.
    assert_eq!(read(b"name,category,sku\nCaf\xc3"), Err(Fault::Undecodable { line: 2, encoding: "UTF-8" }));
}

#[test]
fn what_is_no_table_is_refused_with_a_sentence() {
    let refused = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
    assert!(refused(b"").contains("The file is empty"));
    assert!(refused(b"\n \n\n").contains("The file is empty"));
    assert!(refused(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").contains("This is a picture"));
    assert!(refused(b"PK\x03\x04\x14\0").contains(".xlsx"));
    assert!(refused(b"name,category\na,b\n").contains("no column sku. It has “name”, “category”."));
    assert!(refused(b"just one line").contains("no column name"));
    assert!(refused(b"name,category,sku,SKU\n").contains("column sku twice"));
    assert!(refused(b"name,category,sku\n\nSaw, small,Tools,A-1\n").contains("Line 3 has 4 columns"));
    let open = b"name,category,sku\na,b,c\n\"Saw,Tools,A-1\nNail,Tools,A-2\n";
    assert_eq!(read(open), Err(Fault::OpenQuote { line: 3 }));
    assert_eq!(read(b"name,category,sku\na,b,\""), Err(Fault::OpenQuote { line: 2 }));
}

#[test]
fn nothing_is_gathered_without_bounds() {
    let refused = |text: &str| read_in(8192, text.as_bytes(), Choice::Noticed).unwrap_err();
    let long = "x".repeat(70_000);
    assert_eq!(refused(&format!("name,category,sku\na,b,c\n{long},b,c\n")), Fault::LongField { line: 3 });
    assert_eq!(refused(&format!("name,category,sku\n\"a\n{long}")), Fault::LongField { line: 2 });
    let wide = format!("{},", "x".repeat(50_000)).repeat(6);
    assert_eq!(refused(&format!("name,category,sku\na,b,c\n{wide}\n")), Fault::LongRecord { line: 3 });
    assert_eq!(refused(&format!("name,category,sku\n{}\n", ",".repeat(2000))), Fault::TooManyColumns { line: 2 });
    assert_eq!(refused(&long), Fault::LongHeader);
    assert_eq!(refused(&format!("\"{long}")), Fault::LongHeader);
}

mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_file_is_read_or_refused_and_in_pieces_as_whole(
            head in "(name,category,sku\n|sku;name;category\r\n|name\tsku\tcategory\n|\u{feff}name,category,sku\n|)",
            rows in "([a-z0-9éß ,;\t\"=+-]|\"\"|\n|\r\n){0,80}",
            rest in proptest::collection::vec(any::<u8>(), 0..6),
            wide in any::<bool>(),
        ) {
            let text = format!("{head}{rows}");
            let mut file: Vec<u8> = if wide {
                [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
            } else {
                text.into_bytes()
            };
            file.extend(rest);
            // It judges by itself that pieces make no difference.
            if let Ok((rows, _)) = read(&file) {
                prop_assert!(rows.iter().all(|row| row.line > 1));
            }
        }
    }
}
