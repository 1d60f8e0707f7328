//! Everything that a part holds, to be compared with what it should.

use std::sync::Arc;

use bytes::Bytes;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

use crate::error::Error;
use crate::lake::{Part, blocking, damaged, table};
use crate::version::Version;

/// The row groups of a part whose bytes are here, one after the other.
pub(crate) struct Scan<'a> {
    part: &'a Part,
    file: Arc<SerializedFileReader<Bytes>>,
    next: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(part: &'a Part, bytes: Bytes) -> Result<Self, Error> {
        let file = SerializedFileReader::new(bytes).map_err(|error| damaged(part, &error))?;
        Ok(Self { part, file: Arc::new(file), next: 0 })
    }

    /// The next versions; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Version>>, Error> {
        if self.next >= self.file.num_row_groups() {
            return Ok(None);
        }
        let (file, number) = (self.file.clone(), self.next);
        self.next += 1;
        let read = move || {
            let group = file.get_row_group(number)?;
            let rows = usize::try_from(group.metadata().num_rows())?;
            table::read(group.as_ref(), &(0..rows))
        };
        blocking(read).await.map(Some).map_err(|error| damaged(self.part, &error))
    }
}
