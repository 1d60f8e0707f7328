//! The line that each SKU of an import stands on, of any number of them in a few MiB.
//!
//! The latest are a table in memory. A full one is sorted and written to a temporary
//! file without a name, as a *run*; of runs of a size two are merged into one, so that
//! there are few. Each run has a Bloom filter: for one new SKU in a hundred its file is
//! looked at, in one place. Ten million SKUs take 15 MiB, and 30 while runs are merged.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufReader, BufWriter, Read as _, Result, Seek as _, Write as _};
use std::os::unix::fs::FileExt as _;

use fastbloom::BloomFilter;

/// SKUs in memory before they are spilled: a table of about 2 MiB.
const MOST_RECENT: usize = 100_000;

/// How many in a hundred SKUs that were never seen a filter takes for one that was.
const FALSE_POSITIVES: f64 = 0.01;

/// A hash and a line.
const ENTRY_BYTES: usize = 16;

/// Entries that are read at once to find one: a page of the file.
const BLOCK: usize = 4096 / ENTRY_BYTES;

/// What was seen, by a hash of its key. That two of ten million differing SKUs share a
/// 64-bit hash happens once in 370,000 imports.
#[derive(Debug)]
pub(super) struct Seen {
    hasher: RandomState,
    recent: HashMap<u64, i64>,
    most_recent: usize,
    /// The largest first.
    runs: Vec<Run>,
}

impl Default for Seen {
    fn default() -> Self {
        Self::of(MOST_RECENT)
    }
}

impl Seen {
    fn of(most_recent: usize) -> Self {
        Self { hasher: RandomState::new(), recent: HashMap::new(), most_recent, runs: Vec::new() }
    }

    /// The line that a key was seen on before; otherwise it is seen on this one.
    pub(super) fn see(&mut self, key: &str, line: i64) -> Result<Option<i64>> {
        let hash = self.hasher.hash_one(key);
        for run in &self.runs {
            if let Some(line) = run.find(hash)? {
                return Ok(Some(line));
            }
        }
        match self.recent.get(&hash) {
            Some(line) => Ok(Some(*line)),
            None => {
                self.recent.insert(hash, line);
                Ok(None)
            }
        }
    }

    /// Whether it is time to spill.
    pub(super) fn is_full(&self) -> bool {
        self.recent.len() >= self.most_recent
    }

    /// Writes what is in memory to a file, and merges files. Takes its time.
    pub(super) fn spill(&mut self) -> Result<()> {
        let mut entries: Vec<(u64, i64)> = self.recent.drain().collect();
        entries.sort_unstable();
        let mut writing = Writing::begin(entries.len())?;
        for (hash, line) in entries {
            writing.add(hash, line)?;
        }
        self.runs.push(writing.end()?);
        while let [.., larger, smaller] = self.runs.as_slice()
            && larger.length < 2 * smaller.length
        {
            let merged = merge(larger, smaller)?;
            self.runs.truncate(self.runs.len() - 2);
            self.runs.push(merged);
        }
        Ok(())
    }
}

/// Entries in the order of their hashes, in a file.
#[derive(Debug)]
struct Run {
    file: File,
    length: usize,
    filter: BloomFilter,
    /// The first hash of each block.
    fences: Vec<u64>,
}

impl Run {
    fn find(&self, hash: u64) -> Result<Option<i64>> {
        if !self.filter.contains_hash(hash) {
            return Ok(None);
        }
        let Some(block) = self.fences.partition_point(|first| *first <= hash).checked_sub(1) else { return Ok(None) };
        let (start, mut bytes) = (block * BLOCK, [0; BLOCK * ENTRY_BYTES]);
        let bytes = &mut bytes[..BLOCK.min(self.length - start) * ENTRY_BYTES];
        self.file.read_exact_at(bytes, (start * ENTRY_BYTES) as u64)?;
        let (entries, _) = bytes.as_chunks::<ENTRY_BYTES>();
        let found = entries.binary_search_by_key(&hash, |entry| decode(entry).0);
        Ok(found.ok().map(|place| decode(&entries[place]).1))
    }

    fn entries(&self) -> Result<Entries<'_>> {
        (&self.file).rewind()?;
        Ok(Entries { file: BufReader::with_capacity(64 * 1024, &self.file), left: self.length })
    }
}

/// The entries of a run, read in their order.
struct Entries<'a> {
    file: BufReader<&'a File>,
    left: usize,
}

impl Entries<'_> {
    fn next(&mut self) -> Result<Option<(u64, i64)>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut entry = [0; ENTRY_BYTES];
        self.file.read_exact(&mut entry)?;
        Ok(Some(decode(&entry)))
    }
}

/// A run that is being written.
struct Writing {
    file: BufWriter<File>,
    length: usize,
    filter: BloomFilter,
    fences: Vec<u64>,
}

impl Writing {
    fn begin(expected: usize) -> Result<Self> {
        // Hashes have a random seed already: the filter needs none of its own.
        let filter = BloomFilter::with_false_pos(FALSE_POSITIVES).seed(&0).expected_items(expected.max(1));
        let file = BufWriter::with_capacity(64 * 1024, tempfile::tempfile()?);
        Ok(Self { file, length: 0, filter, fences: Vec::with_capacity(expected.div_ceil(BLOCK)) })
    }

    fn add(&mut self, hash: u64, line: i64) -> Result<()> {
        if self.length.is_multiple_of(BLOCK) {
            self.fences.push(hash);
        }
        self.filter.insert_hash(hash);
        self.length += 1;
        self.file.write_all(&hash.to_le_bytes())?;
        self.file.write_all(&line.to_le_bytes())
    }

    fn end(self) -> Result<Run> {
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(Run { file, length: self.length, filter: self.filter, fences: self.fences })
    }
}

/// Both in one. No hash is in both: what is in a run is not seen again.
fn merge(one: &Run, other: &Run) -> Result<Run> {
    let mut writing = Writing::begin(one.length + other.length)?;
    let (mut ones, mut others) = (one.entries()?, other.entries()?);
    let (mut left, mut right) = (ones.next()?, others.next()?);
    loop {
        let left_is_first = match (left, right) {
            (Some((left, _)), Some((right, _))) => left < right,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return writing.end(),
        };
        let (from, entries) = if left_is_first { (&mut left, &mut ones) } else { (&mut right, &mut others) };
        if let Some((hash, line)) = std::mem::replace(from, entries.next()?) {
            writing.add(hash, line)?;
        }
    }
}

fn decode(entry: &[u8; ENTRY_BYTES]) -> (u64, i64) {
    let [a, b, c, d, e, f, g, h, line @ ..] = *entry;
    (u64::from_le_bytes([a, b, c, d, e, f, g, h]), i64::from_le_bytes(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(seen: &mut Seen, key: &str, line: i64) -> Option<i64> {
        let found = seen.see(key, line).unwrap();
        if seen.is_full() {
            seen.spill().unwrap();
        }
        found
    }

    #[test]
    fn the_first_line_of_each_is_found_wherever_it_is_kept() {
        let mut seen = Seen::of(64);
        for line in 0..10_000 {
            assert_eq!(see(&mut seen, &format!("sku-{line}"), line), None, "{line}");
        }
        for line in 0..10_000 {
            assert_eq!(see(&mut seen, &format!("sku-{line}"), line + 10_000), Some(line));
        }
        assert_eq!(see(&mut seen, "another", 1), None);
    }

    #[test]
    fn runs_stay_few_and_hold_everything_once() {
        let mut seen = Seen::of(10);
        for line in 0..1_234 {
            see(&mut seen, &line.to_string(), line);
        }

        let lengths: Vec<usize> = seen.runs.iter().map(|run| run.length).collect();
        assert!(lengths.is_sorted_by(|larger, smaller| *larger >= 2 * smaller), "{lengths:?}");
        assert_eq!(lengths.iter().sum::<usize>() + seen.recent.len(), 1_234);
    }

    #[test]
    fn a_file_is_rarely_looked_at_for_nothing() {
        let mut seen = Seen::of(1_000);
        for line in 0..8_000 {
            see(&mut seen, &line.to_string(), line);
        }

        let run = &seen.runs[0];
        let taken = (0..10_000_u64).filter(|n| run.filter.contains_hash(seen.hasher.hash_one(format!("x{n}")))).count();

        assert!(taken < 300, "{taken} of 10,000");
    }

    /// What the process holds in memory, in KiB.
    fn resident() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        field("VmHWM:")
    }

    #[test]
    #[ignore = "a measurement: cargo test -p productsvc ten_million -- --ignored --nocapture"]
    fn ten_million_skus_stay_within_the_memory_of_an_import() {
        let (before, begun) = (resident(), std::time::Instant::now());
        let mut seen = Seen::default();
        for line in 0..10_000_000 {
            assert_eq!(see(&mut seen, &format!("SKU-{line:08}"), line), None);
        }

        let more = (resident() - before) / 1024;
        println!("10,000,000 SKUs: {more} MiB more at most, {:.1} s", begun.elapsed().as_secs_f64());
        assert!(more < 64, "{more} MiB");
    }
}
