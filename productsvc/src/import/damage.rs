//! What spreadsheets make of SKUs: numbers in scientific notation, dates, lost zeros.
//!
//! Only forms that spreadsheets write are taken for damage, in the case in which they
//! write them: `MAR-10` is a SKU, `Mar-10` was one.

/// The longest SKU of digits that lost its zeros: a GTIN-14.
const MOST_DIGITS: usize = 14;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What happened to a SKU and what it probably was, for people; none where it looks sound.
pub fn told(sku: &str) -> Option<String> {
    number(sku).or_else(|| date(sku))
}

/// The keys of SKUs that would be this one without their leading zeros, the shortest first.
pub fn unstripped(sku_key: &str) -> impl Iterator<Item = String> {
    let bare = sku_key == "0" || !sku_key.starts_with('0');
    let is_number = !sku_key.is_empty() && sku_key.bytes().all(|byte| byte.is_ascii_digit());
    let lengths = (bare && is_number).then(|| sku_key.len() + 1..=MOST_DIGITS);
    lengths.into_iter().flatten().map(move |length| format!("{sku_key:0>length$}"))
}

/// `1.23457E+11`, also with a comma, as spreadsheets show numbers of many digits.
fn number(sku: &str) -> Option<String> {
    let (mantissa, exponent) = sku.split_once(['E', 'e'])?;
    let power: usize = exponent.strip_prefix('+').filter(|digits| is_number(digits, 2..=3))?.parse().ok()?;
    let (whole, fraction) = mantissa.split_once(['.', ',']).unwrap_or((mantissa, "0"));
    if !is_number(whole, 1..=1) || !is_number(fraction, 1..=20) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_end_matches('0');
    let exact = digits.len() <= 4 && power < 6;
    let was = match exact {
        // What was typed as `5E4` is shown as `5.00E+04`.
        true => format!("{digits:0<width$} or {whole}E{power}", width = power + 1),
        false => format!("a number of {} digits that begins with {digits}", power + 1),
    };
    Some(format!("a spreadsheet has put the SKU in scientific notation: it probably was {was}"))
}

/// `2-Jan`, `2-Jan-26`, `Jan-02`, `1/2/2026`, `1.2.2026`, `2026-01-02`, also with a time of zeros.
fn date(sku: &str) -> Option<String> {
    let day = sku.strip_suffix(" 00:00:00").or_else(|| sku.strip_suffix(" 0:00")).unwrap_or(sku);
    let parts: Vec<&str> = day.split(['-', '/', '.']).collect();
    let separators: Vec<char> = day.chars().filter(|c| matches!(c, '-' | '/' | '.')).collect();
    let month = |name: &str| MONTHS.iter().position(|month| *month == name).map(|index| index + 1);
    let was = match (parts.as_slice(), separators.as_slice()) {
        ([day, name], ['-']) if is_day(day) => two(month(name)?, day),
        ([name, number], ['-']) if is_number(number, 2..=2) => two(month(name)?, number),
        ([day, name, year], ['-', '-']) if is_day(day) && (is_number(year, 2..=2) || is_year(year)) => {
            three(month(name)?, day, year)
        }
        ([one, other, year], ['/', '/'] | ['.', '.'] | ['-', '-']) if is_day(one) && is_day(other) && is_year(year) => {
            three(one.parse().ok()?, other, year)
        }
        ([year, month, day], ['-', '-']) if is_year(year) && is_day(month) && is_day(day) && day.len() == 2 => {
            three(month.parse().ok()?, day, year)
        }
        _ => return None,
    };
    Some(format!("a spreadsheet has made a date of the SKU: it probably was {was}"))
}

fn two(month: usize, other: &str) -> String {
    let name = MONTHS[month - 1].to_uppercase();
    let other = other.trim_start_matches('0');
    format!("{month}-{other}, {other}-{month} or {name}{other}")
}

fn three(month: usize, day: &str, year: &str) -> String {
    let (day, year) = (day.trim_start_matches('0'), &year[year.len() - 2..]);
    format!("{month}-{day}-{year}, {day}-{month}-{year} or the like")
}

fn is_number(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_day(text: &str) -> bool {
    is_number(text, 1..=2) && matches!(text.parse(), Ok(1..=31))
}

fn is_year(text: &str) -> bool {
    is_number(text, 4..=4) && matches!(text.parse(), Ok(1900..=2099))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn was(sku: &str) -> Option<String> {
        told(sku).and_then(|told| told.split_once("probably was ").map(|(_, was)| was.to_owned()))
    }

    #[test]
    fn numbers_in_scientific_notation_are_noticed() {
        let expected = Some("a number of 12 digits that begins with 123457".to_owned());
        for sku in ["1.23457E+11", "1,23457E+11", "1.23457e+11", "1.2345700E+11"] {
            assert_eq!(was(sku), expected, "{sku}");
        }
        assert_eq!(was("5.00E+04").as_deref(), Some("50000 or 5E4"));
        assert_eq!(was("8E+12").as_deref(), Some("a number of 13 digits that begins with 8"));
    }

    #[test]
    fn dates_are_noticed() {
        assert_eq!(was("2-Jan").as_deref(), Some("1-2, 2-1 or JAN2"));
        assert_eq!(was("Jan-02").as_deref(), Some("1-2, 2-1 or JAN2"));
        for sku in ["02-Mar", "Dec-99", "2-Jan-26", "02-Jan-2026", "1/2/2026", "31.12.2026", "2026-01-02"] {
            assert!(was(sku).is_some(), "{sku}");
        }
        assert!(was("2026-01-02 00:00:00").is_some());
    }

    #[test]
    fn what_only_resembles_them_is_sound() {
        let sound = [
            "",
            "E",
            "1E5",
            "12E+3",
            "1.5E-3",
            "E+11",
            "1.2.3E+11",
            "ABC-1",
            "JAN-02",
            "jan-02",
            "2-JAN",
            "32-Jan",
            "0-Jan",
            "2-Jan-",
            "Jan-2",
            "Janus-02",
            "1/2",
            "1-2",
            "1/2/24",
            "1-1/4",
            "2x4",
            "3.5.1",
            "2026-1234",
            "1/2/1800",
            "40/1/2026",
            "é-Jan",
            "1.é5E+11",
            "2026-01",
            "00-00-2026",
            "٢-Jan",
        ];
        for sku in sound {
            assert_eq!(told(sku), None, "{sku}");
        }
    }

    #[test]
    fn zeros_are_put_back_up_to_a_gtin() {
        assert_eq!(unstripped("123456789012").collect::<Vec<_>>(), ["0123456789012", "00123456789012"]);
        assert_eq!(unstripped("0").next().as_deref(), Some("00"));
        for sku in ["", "01", "12a", "12345678901234", "123456789012345", "-1"] {
            assert_eq!(unstripped(sku).count(), 0, "{sku}");
        }
    }
}
