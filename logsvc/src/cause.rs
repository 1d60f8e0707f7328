//! What went wrong, in words that fit a line: libraries say where, their causes say why.

use std::error::Error;

/// Some servers answer with a page.
const LONGEST: usize = 300;

/// The error and what caused it in the first place.
pub(crate) fn words(error: &dyn Error) -> String {
    let mut text = in_one_line(&error.to_string());
    let root = std::iter::successors(error.source(), |cause| (*cause).source()).last();
    if let Some(root) = root.map(|root| in_one_line(&root.to_string())).filter(|root| !text.contains(root)) {
        text = format!("{text}: {root}");
    }
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error("could not call")]
        Silent(#[source] io::Error),
        #[error("could not call: {0}")]
        Telling(#[source] io::Error),
    }

    #[test]
    fn the_first_cause_is_said_once_and_in_one_line() {
        let cause = || io::Error::other("refused\nby them");

        assert_eq!(words(&Outer::Silent(cause())), "could not call: refused by them");
        assert_eq!(words(&Outer::Telling(cause())), "could not call: refused by them");
        assert_eq!(words(&io::Error::other("x".repeat(1000))).chars().count(), LONGEST + 1);
    }
}
