//! Rows as they come, checked and gathered into pieces.

use crate::error::{Error, Fault};
use crate::import::seen::Seen;
use crate::import::{GoodRow, Piece, Reason, Refused, Row};
use crate::product::Draft;

/// Checks the rows of one import in their order and gathers them into pieces.
#[derive(Debug, Default)]
pub struct Checker {
    piece: Piece,
    last_line: i64,
    seen: Seen,
}

impl Checker {
    /// Checks a row; of an import that goes on, rows up to `mark` are only remembered.
    pub fn add(&mut self, row: &Row, mark: i64) -> Result<(), Error> {
        if row.line <= self.last_line {
            let problem =
                format!("must rise from row to row and begin above 0: {} comes after {}", row.line, self.last_line);
            return Err(Error::invalid("rows.line", problem));
        }
        self.last_line = row.line;
        let checked = self.check(row)?;
        if row.line > mark {
            self.piece.last_line = row.line;
            match checked {
                Checked::Good(good) => self.piece.good.push(good),
                Checked::Refused(refused) => self.piece.refused.push(refused),
            }
        }
        Ok(())
    }

    /// How many rows wait for being stored.
    pub fn waiting(&self) -> usize {
        self.piece.len()
    }

    /// Takes the rows that wait.
    pub fn take(&mut self) -> Piece {
        std::mem::take(&mut self.piece)
    }

    /// Whether what it remembers should go to disk.
    pub fn is_full(&self) -> bool {
        self.seen.is_full()
    }

    /// Writes what it remembers to disk. Takes its time.
    pub fn spill(&mut self) -> Result<(), Error> {
        self.seen.spill().map_err(|error| cannot_remember(&error))
    }

    fn check(&mut self, row: &Row) -> Result<Checked, Error> {
        let draft = match Draft::parse(&row.name, &row.category, &row.sku) {
            Ok(draft) => draft,
            Err(faults) => return Ok(Checked::Refused(invalid(row, &faults))),
        };
        let good = GoodRow { line: row.line, draft };
        let earlier = self.seen.see(good.draft.sku.key(), row.line).map_err(|error| cannot_remember(&error))?;
        Ok(match earlier {
            Some(line) => {
                let message = format!("the SKU stands on line {line} already");
                Checked::Refused(good.refused(Reason::DuplicateSku, message))
            }
            None => Checked::Good(good),
        })
    }
}

/// What became of a row.
enum Checked {
    Good(GoodRow),
    Refused(Refused),
}

fn invalid(row: &Row, faults: &[Fault]) -> Refused {
    let (row, is_cut) = row.kept();
    let field = faults.first().map(|fault| fault.field.clone()).unwrap_or_default();
    let message = Error::Invalid(faults.to_vec()).to_string();
    Refused { row, is_cut, field, reason: Reason::InvalidField, message }
}

fn cannot_remember(error: &std::io::Error) -> Error {
    Error::Internal(format!("could not keep the SKUs of an import in a temporary file: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: i64, sku: &str) -> Row {
        Row { line, name: format!("Product {line}"), category: "Tools".to_owned(), sku: sku.to_owned() }
    }

    #[test]
    fn good_rows_and_refused_ones_are_parted() {
        let mut checker = Checker::default();
        checker.add(&row(2, "A"), 0).unwrap();
        checker.add(&row(3, " "), 0).unwrap();

        let piece = checker.take();

        assert_eq!((piece.good.len(), piece.refused.len(), piece.last_line), (1, 1, 3));
        assert_eq!((piece.refused[0].field.as_str(), piece.refused[0].reason), ("sku", Reason::InvalidField));
        assert!(checker.take().is_empty());
    }

    #[test]
    fn a_repeated_sku_names_the_earlier_line() {
        let mut checker = Checker::default();
        checker.add(&row(2, "abc-1"), 0).unwrap();
        checker.add(&row(9, "ABC-1"), 0).unwrap();

        let refused = checker.take().refused;

        assert_eq!(refused[0].reason, Reason::DuplicateSku);
        assert_eq!(refused[0].message, "the SKU stands on line 2 already");
    }

    #[test]
    fn an_import_that_goes_on_remembers_the_rows_it_skips() {
        let mut checker = Checker::default();
        checker.add(&row(2, "A"), 2).unwrap();
        checker.add(&row(3, "a"), 2).unwrap();

        let piece = checker.take();

        assert_eq!((piece.good.len(), piece.refused.len()), (0, 1));
    }

    #[test]
    fn lines_must_rise() {
        for line in [i64::MIN, -1, 0] {
            assert!(Checker::default().add(&row(line, "A"), 0).is_err(), "{line}");
        }
        let mut checker = Checker::default();
        checker.add(&row(5, "A"), 0).unwrap();
        assert!(checker.add(&row(5, "B"), 0).is_err());
    }

    #[test]
    fn a_refused_row_is_cut_at_its_limits() {
        let huge = "x".repeat(1_000_000);
        let mut checker = Checker::default();
        checker.add(&Row { line: 1, name: huge.clone(), category: huge.clone(), sku: huge }, 0).unwrap();

        let refused = checker.take().refused.remove(0);

        assert_eq!((refused.row.name.len(), refused.row.category.len(), refused.row.sku.len()), (2000, 2000, 2000));
        assert!(refused.is_cut && refused.message.len() < 300, "{}", refused.message);
    }
}
