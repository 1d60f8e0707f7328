//! How much a record matters: OpenTelemetry's severity numbers, 1 to 24, in six ranges.

/// How many ranges there are.
pub(crate) const RANGES: u8 = 6;

/// The range of a severity number: 0 for TRACE, 5 for FATAL.
pub(crate) fn range(number: i32) -> u8 {
    u8::try_from((number - 1).clamp(0, 23) / 4).unwrap_or_default()
}

/// The name of a severity number, as people write it.
pub(crate) fn name(number: i32) -> &'static str {
    const NAMES: [&str; RANGES as usize] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    if number < 1 { "of unknown level" } else { NAMES[usize::from(range(number))] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_between_two_levels_is_the_lower_one() {
        let names: Vec<&str> = [0, 1, 4, 5, 9, 12, 13, 17, 20, 21, 24].map(name).into();

        let expected =
            ["of unknown level", "TRACE", "TRACE", "DEBUG", "INFO", "INFO", "WARN", "ERROR", "ERROR", "FATAL", "FATAL"];
        assert_eq!(names, expected);
    }
}
