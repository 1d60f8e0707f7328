//! Numbers as people read them. Templates hand over references, and others what they have.

use std::borrow::Borrow;

/// With its thousands apart: 1,234,567.
pub(crate) fn grouped(number: impl Borrow<u64>) -> String {
    let digits = number.borrow().to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something: `1 record`, `2,000 records`.
pub(crate) fn count(number: impl Borrow<u64>, noun: &str) -> String {
    let number = *number.borrow();
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number of bytes, in the unit that suits it.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 3] = ["MiB", "GiB", "TiB"];
    // What 52 bits do not hold is no size of a disk.
    let mut number = u32::try_from(bytes >> 10).map_or(f64::MAX, f64::from);
    if number < 1024.0 {
        return format!("{number:.0} KiB");
    }
    let mut unit = UNITS[0];
    number /= 1024.0;
    for larger in &UNITS[1..] {
        if number >= 1024.0 {
            (number, unit) = (number / 1024.0, larger);
        }
    }
    format!("{number:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (number, words) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), words);
        }
        assert_eq!(count(1, "record"), "1 record");
        assert_eq!(count(2000, "record"), "2,000 records");
    }

    #[test]
    fn sizes_have_the_unit_that_suits_them() {
        for (bytes, words) in
            [(0, "0 KiB"), (2048, "2 KiB"), (3 << 19, "1.5 MiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")]
        {
            assert_eq!(size(bytes), words);
        }
    }
}
