//! The statements that fill the search index.
//!
//! Lists only grow, and who is on one is looked at before it is told: so a piece may be
//! written again, and a product that lost a word does no harm. Whoever fills has the row
//! of `search_state`, so that no list is read by one and written by another meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sqlx::QueryBuilder;
use tokio::time::Instant;

use crate::error::Error;
use crate::search::additions::Offsets;
use crate::search::postings::Postings;
use crate::search::suggest;
use crate::search::tail::State;
use crate::store::ProductStore;
use crate::store::connection::{Connection, Work, on_either};
use crate::store::failure::Failure;
use crate::store::rows::{padded, slices};

impl ProductStore {
    /// Adds to the lists of a block; false when the index is not where `state` says.
    pub async fn add_postings(
        &self,
        state: &State,
        block: i64,
        lists: &[(i32, &Offsets)],
        deadline: Instant,
    ) -> Result<bool, Error> {
        self.database.write(&Add { state, block, lists }, deadline).await
    }

    /// Adds words to those that are suggested.
    pub async fn add_words(&self, words: &BTreeSet<String>, deadline: Instant) -> Result<(), Error> {
        let words: Vec<&String> = words.iter().collect();
        let known = self.database.read(&FindKnown { words: &words }, deadline).await?;
        let new: Vec<&String> = words.into_iter().filter(|word| !known.contains(*word)).collect();
        if new.is_empty() { Ok(()) } else { self.database.write(&AddWords { words: &new }, deadline).await }
    }

    /// Notes that the index has all changes up to a sequence, and all blocks from one on;
    /// false when it was not where `state` says.
    pub async fn move_index(&self, state: &State, to: State, deadline: Instant) -> Result<bool, Error> {
        self.database.write(&Move { state, to }, deadline).await
    }

    /// Lets the index come nearer before more is imported: what it lacks is searched in
    /// the memory of every product service. While there is no index at all nobody waits,
    /// and all of it is built when the import is done.
    pub(in crate::store) async fn wait_for_index(&self, deadline: Instant) -> Result<(), Error> {
        loop {
            let state = self.search_state(deadline).await?;
            if state.last_sequence - state.indexed_sequence < MOST_WAITING {
                return Ok(());
            }
            if self.is_index_empty(deadline).await? {
                self.move_index(&state, state.unbuilt(), deadline).await?;
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Error::DatabaseBusy);
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    /// Whether nothing is in the index yet.
    pub async fn is_index_empty(&self, deadline: Instant) -> Result<bool, Error> {
        self.database.read(&IsEmpty, deadline).await
    }
}

struct IsEmpty;

impl Work for IsEmpty {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const FIND: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM search_postings LIMIT 1) AS first";

        let lists: i64 = on_either!(on, |c| sqlx::query_scalar(FIND).fetch_one(c).await?);
        Ok(lists == 0)
    }
}

/// Changes that may wait for the index while rows are imported.
const MOST_WAITING: i64 = 49_152;

/// How often an import looks whether it may go on.
const LOOK_PERIOD: Duration = Duration::from_millis(5);

/// Takes the index for this transaction; false when it is not where it was.
async fn take(state: &State, on: &mut Connection<'_>) -> Result<bool, Failure> {
    const TAKE: &str = "UPDATE search_state
        SET indexed_sequence = indexed_sequence
        WHERE id = 1 AND indexed_sequence = $1 AND built_from = $2";

    let taken = on_either!(on, |c| {
        sqlx::query(TAKE).bind(state.indexed_sequence).bind(state.built_from).execute(c).await?.rows_affected()
    });
    Ok(taken == 1)
}

struct Add<'a> {
    state: &'a State,
    block: i64,
    lists: &'a [(i32, &'a Offsets)],
}

impl Work for Add<'_> {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        if !take(self.state, on).await? {
            return Ok(false);
        }
        for piece in self.lists.chunks(PIECE) {
            let grams: Vec<i32> = piece.iter().map(|(gram, _)| *gram).collect();
            let mut lists = read(self.block, &grams, on).await?;
            let mut grown: Vec<(i32, Vec<u8>)> = Vec::with_capacity(grams.len());
            for (gram, offsets) in piece {
                let mut list = lists.remove(gram).unwrap_or_default();
                if offsets.add_to(&mut list) {
                    grown.push((*gram, list.encode()));
                }
            }
            write(self.block, &grown, on).await?;
        }
        Ok(true)
    }
}

/// Lists that are in memory at once: each takes 32 KiB.
const PIECE: usize = 128;

async fn read(block: i64, grams: &[i32], on: &mut Connection<'_>) -> Result<HashMap<i32, Postings>, Failure> {
    let mut lists = HashMap::with_capacity(grams.len());
    for grams in padded(grams) {
        let rows: Vec<(i32, Vec<u8>)> = on_either!(on, |c| {
            let mut sql = QueryBuilder::new("SELECT gram, ids FROM search_postings WHERE block = ");
            sql.push_bind(block).push(" AND gram IN (");
            let mut list = sql.separated(", ");
            for gram in &grams {
                list.push_bind(gram);
            }
            sql.push(")");
            sql.build_query_as().fetch_all(c).await?
        });
        for (gram, ids) in rows {
            lists.insert(gram, super::decode(block, gram, &ids)?);
        }
    }
    Ok(lists)
}

async fn write(block: i64, lists: &[(i32, Vec<u8>)], on: &mut Connection<'_>) -> Result<(), Failure> {
    for slice in slices(lists) {
        on_either!(on, |c| {
            let mut sql = QueryBuilder::new("INSERT INTO search_postings (block, gram, ids) ");
            sql.push_values(slice, |mut values, (gram, ids)| {
                values.push_bind(block).push_bind(gram).push_bind(ids);
            });
            // SQLite would take ON for a part of the statement before it without WHERE.
            sql.push(" ON CONFLICT (block, gram) DO UPDATE SET ids = excluded.ids");
            sql.build().execute(c).await?;
        });
    }
    Ok(())
}

struct FindKnown<'a> {
    words: &'a [&'a String],
}

impl Work for FindKnown<'_> {
    type Answer = BTreeSet<String>;

    async fn run(&self, on: &mut Connection<'_>) -> Result<BTreeSet<String>, Failure> {
        let mut known = BTreeSet::new();
        for words in padded(self.words) {
            let rows: Vec<String> = on_either!(on, |c| {
                let mut sql = QueryBuilder::new("SELECT word FROM search_words WHERE word = form AND form IN (");
                let mut list = sql.separated(", ");
                for word in &words {
                    list.push_bind(*word);
                }
                sql.push(")");
                sql.build_query_scalar().fetch_all(c).await?
            });
            known.extend(rows);
        }
        Ok(known)
    }
}

struct AddWords<'a> {
    words: &'a [&'a String],
}

impl Work for AddWords<'_> {
    type Answer = ();

    async fn run(&self, on: &mut Connection<'_>) -> Result<(), Failure> {
        let forms: Vec<(String, &String)> =
            self.words.iter().flat_map(|word| suggest::forms(word).into_iter().map(|form| (form, *word))).collect();
        for slice in slices(&forms) {
            on_either!(on, |c| {
                let mut sql = QueryBuilder::new("INSERT INTO search_words (form, word) ");
                sql.push_values(slice, |mut values, (form, word)| {
                    values.push_bind(form).push_bind(*word);
                });
                sql.push(" ON CONFLICT (form, word) DO NOTHING");
                sql.build().execute(c).await?;
            });
        }
        Ok(())
    }
}

struct Move<'a> {
    state: &'a State,
    to: State,
}

impl Work for Move<'_> {
    type Answer = bool;

    async fn run(&self, on: &mut Connection<'_>) -> Result<bool, Failure> {
        const MOVE: &str = "UPDATE search_state SET indexed_sequence = $1, built_from = $2 WHERE id = 1";

        if !take(self.state, on).await? {
            return Ok(false);
        }
        on_either!(on, |c| {
            sqlx::query(MOVE).bind(self.to.indexed_sequence).bind(self.to.built_from).execute(c).await?;
        });
        Ok(true)
    }
}
