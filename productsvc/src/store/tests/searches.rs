//! Searches beside what they mean: every product looked at, one by one.

use super::checks::damage;
use super::*;
use crate::indexer;
use crate::search::finder::{Found, Hit};
use crate::search::place::Place;
use crate::search::tail::State;
use crate::search::{Tier, place};

const QUERIES: [&str; 26] = [
    "a",
    "ha",
    "ham",
    "hammer",
    "mmer",
    "claw hammer",
    "hammer claw",
    "cla ham",
    "1/2",
    "½",
    "2x4",
    "2 x 4",
    "s-1",
    "S-12",
    "s",
    "13",
    "etui",
    "ÉTUI",
    "tools",
    "power too",
    "zzz",
    "\"",
    "#8",
    "er",
    "1-1/2 pipe",
    "model 7",
];

/// What no machine needs, however much else it does.
const UNHURRIED: Duration = Duration::from_secs(20);

/// A catalogue that changes, and what it holds.
struct Shelf {
    it: Fixture,
    random: fastrand::Rng,
    next: u32,
}

impl Shelf {
    async fn new() -> Self {
        Self { it: fixture().await, random: fastrand::Rng::with_seed(4), next: 0 }
    }

    fn draft(&mut self) -> Draft {
        let mut pick = |words: &[&'static str]| words[self.random.usize(..words.len())];
        let name = format!(
            "{} {} {}",
            pick(&["Claw", "Sledge", "Étui", "#8", "R13", "2 × 4", "Ham"]),
            pick(&["hammer", "sledgehammer", "saw", "pipe 1½\"", "screw", "2x4 stud"]),
            pick(&["", "½ in", "model 7", "black", "S-1"]),
        );
        let category = pick(&["Tools/Hand", "Power Tools", "Lumber"]);
        self.next += 1;
        Draft::parse(&name, category, &format!("S-{}", self.next)).unwrap()
    }

    async fn change(&mut self, times: usize) {
        for _ in 0..times {
            let id = self.random.i64(1..=i64::from(self.next.max(1)));
            let draft = self.draft();
            // What is not there, or deleted, stays so.
            let _ = match self.random.u8(0..6) {
                0 => self.it.store.delete(id, None).await.err(),
                1 | 2 => self.it.store.update(&Change { etag: None, ..change(id, 1, draft) }, None, soon()).await.err(),
                _ => self.it.store.create(&draft, None, soon()).await.err(),
            };
        }
    }

    /// Leaves some thousand ids out, so that the next product is in another block.
    async fn skip(&self, ids: i64) {
        let Database::Sqlite(file) = &self.it.store.database else { panic!("not SQLite") };
        let mut transaction = file.begin().await.unwrap();
        sqlx::query("UPDATE catalogue SET last_id = last_id + $1").bind(ids).execute(&mut *transaction).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// What a query means.
    async fn meant(&self, query: &Query) -> Vec<(i64, Tier)> {
        let State { last_id, .. } = self.it.store.search_state(soon()).await.unwrap();
        let mut all = Vec::new();
        for first in [1, last_id / 2 + 1] {
            let ids: Vec<i64> = (first..first + 2_000).filter(|id| all.iter().all(|p: &Product| p.id != *id)).collect();
            all.extend(self.it.store.live(&ids, soon()).await.unwrap());
        }
        let tail: Vec<i64> = (last_id - 1_999..=last_id).filter(|id| all.iter().all(|p| p.id != *id)).collect();
        all.extend(self.it.store.live(&tail, soon()).await.unwrap());
        let mut hits: Vec<(Place, std::cmp::Reverse<i64>)> = all
            .iter()
            .filter_map(|product| Some((Place::of(product, query.tier(product)?), std::cmp::Reverse(product.id))))
            .collect();
        hits.sort_by_key(|(place, newest)| match place.tier {
            Tier::Words | Tier::Substring => (place.tier, String::new(), newest.0.wrapping_neg()),
            _ => (place.tier, place.key.clone(), place.id),
        });
        hits.into_iter().map(|(place, _)| (place.id, place.tier)).collect()
    }

    /// Each query, forwards and back, in pages of some size.
    async fn check(&self, finder: &Finder) {
        for text in QUERIES {
            for field in [Field::Any, Field::Name, Field::Category, Field::Sku] {
                let query = Query::new(field, &Text::parse(text).unwrap());
                let meant = self.meant(&query).await;
                let size = 1 + meant.len() / 3;
                let (mut told, mut last, mut cursor) = (Vec::new(), None, place::Cursor::First);
                loop {
                    let found = finder.find(&query, &cursor, size, soon()).await.unwrap();
                    assert!(!found.truncated, "{text}");
                    told.extend(places(&found));
                    last = found.previous.or(last);
                    match found.next {
                        Some(next) => cursor = next,
                        None => break,
                    }
                }
                assert_eq!(told, meant, "{text} {field:?}");
                let (mut back, mut rest) = (Vec::new(), last);
                while let Some(cursor) = rest {
                    let found = finder.find(&query, &cursor, size, soon()).await.unwrap();
                    back.splice(0..0, places(&found));
                    rest = found.previous;
                }
                assert!(meant.starts_with(&back), "{text} {field:?}: {back:?}");
                assert!(back.is_empty() == (meant.len() <= size), "{text} {field:?}");
            }
        }
    }
}

fn places(found: &Found) -> Vec<(i64, Tier)> {
    found.hits.iter().map(|Hit { product, tier }| (product.id, *tier)).collect()
}

#[tokio::test]
async fn a_search_finds_what_it_means_in_tail_and_index_alike() {
    let mut shelf = Shelf::new().await;
    let store = shelf.it.store.clone();
    let finder = Finder::new(store.clone()).within(UNHURRIED);
    shelf.change(150).await;
    shelf.check(&finder).await;

    indexer::fill(&store, store.search_state(soon()).await.unwrap()).await.unwrap();
    shelf.check(&finder).await;
    shelf.skip(300_000).await;
    shelf.change(150).await;
    shelf.check(&finder).await;

    indexer::fill(&store, store.search_state(soon()).await.unwrap()).await.unwrap();
    shelf.check(&finder).await;
    shelf.check(&Finder::new(store.clone()).within(UNHURRIED)).await;
}

#[tokio::test]
async fn what_is_older_than_the_index_is_built_block_by_block() {
    let mut shelf = Shelf::new().await;
    let store = shelf.it.store.clone();
    shelf.change(60).await;
    shelf.skip(300_000).await;
    shelf.change(60).await;
    let before = store.search_state(soon()).await.unwrap();
    let to = State { indexed_sequence: before.last_sequence, built_from: 2, ..before };
    assert!(store.move_index(&before, to, soon()).await.unwrap());
    assert!(!store.move_index(&before, to, soon()).await.unwrap(), "someone else moved it");

    let query = Query::new(Field::Any, &Text::parse("hammer").unwrap());
    let finder = Finder::new(store.clone()).within(UNHURRIED);
    let found = finder.find(&query, &place::Cursor::First, 50, soon()).await.unwrap();
    assert!(found.truncated && found.suggestions.is_empty(), "it says that it could not look everywhere");

    for _ in 0..2 {
        indexer::build(&store, store.search_state(soon()).await.unwrap()).await.unwrap();
    }
    assert_eq!(store.search_state(soon()).await.unwrap().built_from, 0);
    shelf.check(&finder).await;
}

#[tokio::test]
async fn a_typo_is_told_what_would_be_found() {
    let it = fixture().await;
    it.create("Claw hammer", "HAM-1").await;
    it.create("Кисть малярная", "BR-1").await;
    let finder = Finder::new(it.store.clone()).within(UNHURRIED);
    let suggested = async |text: &str| {
        let query = Query::new(Field::Any, &Text::parse(text).unwrap());
        finder.find(&query, &place::Cursor::First, 50, soon()).await.unwrap().suggestions
    };

    for _ in 0..2 {
        assert_eq!(suggested("hamer").await, ["hammer"]);
        assert_eq!(suggested("claw hammmer").await, ["claw hammer"]);
        assert_eq!(suggested("кисьт").await, ["кисть"]);
        assert!(suggested("saw hamer").await.is_empty(), "nothing is a saw");
        assert!(suggested("hammer").await.is_empty() && suggested("zzzzz").await.is_empty());
        // From the index as from the tail.
        indexer::fill(&it.store, it.store.search_state(soon()).await.unwrap()).await.unwrap();
    }
}

#[tokio::test]
async fn pages_that_run_out_of_time_lead_to_all_results() {
    let mut shelf = Shelf::new().await;
    shelf.change(200).await;
    shelf.skip(300_000).await;
    shelf.change(60).await;
    let hasty = Finder::new(shelf.it.store.clone()).within(Duration::ZERO);
    for text in QUERIES {
        let query = Query::new(Field::Any, &Text::parse(text).unwrap());
        let (mut told, mut truncated, mut cursor) = (Vec::new(), 0, place::Cursor::First);
        loop {
            let found = hasty.find(&query, &cursor, 1_000, soon()).await.unwrap();
            told.extend(places(&found));
            truncated += usize::from(found.truncated);
            match found.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(told, shelf.meant(&query).await, "{text}");
        assert!(truncated > 0, "{text}");
    }
}

#[tokio::test]
async fn an_import_does_not_wait_for_an_index_that_is_not_there() {
    // As if very many products had been imported since.
    const MANY: &str = "UPDATE catalogue SET last_sequence = last_sequence + 60000";

    let it = fixture().await;
    it.create("Claw hammer", "HAM-1").await;
    damage(&it, MANY).await;
    it.store.wait_for_index(soon()).await.unwrap();
    let state = it.store.search_state(soon()).await.unwrap();
    assert_eq!((state.indexed_sequence, state.built_from), (state.last_sequence, 1), "all of it is to be built");

    indexer::build(&it.store, state).await.unwrap();
    let finder = Finder::new(it.store.clone()).within(UNHURRIED);
    let query = Query::new(Field::Any, &Text::parse("hammer").unwrap());
    let found = finder.find(&query, &place::Cursor::First, 50, soon()).await.unwrap();
    assert_eq!((found.hits.len(), found.truncated), (1, false));

    damage(&it, MANY).await;
    let waited = it.store.wait_for_index(Instant::now() + Duration::from_millis(30)).await;
    assert!(matches!(waited, Err(Error::DatabaseBusy)), "one that is there is waited for: {waited:?}");
}

#[tokio::test]
async fn who_has_the_grams_of_a_word_without_the_word_is_left_out() {
    let it = fixture().await;
    for n in 0..150 {
        it.create(&format!("Stanley select {n}"), &format!("SEL-{n}")).await;
    }
    it.create("Beeleyson clamp", "BEE-1").await;
    indexer::fill(&it.store, it.store.search_state(soon()).await.unwrap()).await.unwrap();

    let finder = Finder::new(it.store.clone()).within(UNHURRIED);
    let query = Query::new(Field::Any, &Text::parse("eley").unwrap());
    let found = finder.find(&query, &place::Cursor::First, 50, soon()).await.unwrap();

    assert_eq!(places(&found), [(151, Tier::Substring)]);
}
