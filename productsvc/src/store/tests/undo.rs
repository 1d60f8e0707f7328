//! Whatever an import did and whoever wrote meanwhile: what is undone is as it was.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::import::{Checker, Job, Manner, Mode, Row, State};
use crate::version::Kind;

/// A product's name, category and SKU.
type Said = (String, String, String);

/// What a row says: the number of a name and that of a SKU.
type Numbers = (u8, u8);

/// Something that a person does.
#[derive(Debug, Clone)]
enum Edit {
    Add { name: u8, sku: u8 },
    Rename { product: u8, name: u8 },
    Delete { product: u8 },
    Undelete { product: u8 },
}

#[derive(Debug, Clone)]
struct Story {
    catalogue: Vec<Edit>,
    mode: Mode,
    dry_run: bool,
    /// Pieces of rows, and what is done behind each.
    pieces: Vec<(Vec<Numbers>, Vec<Edit>)>,
}

fn edits(most: usize) -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        (0..6_u8, 0..24_u8).prop_map(|(name, sku)| Edit::Add { name, sku }),
        (0..30_u8, 0..6_u8).prop_map(|(product, name)| Edit::Rename { product, name }),
        (0..30_u8).prop_map(|product| Edit::Delete { product }),
        (0..30_u8).prop_map(|product| Edit::Undelete { product }),
    ];
    prop::collection::vec(edit, 0..=most)
}

fn stories(edited: usize) -> impl Strategy<Value = Story> {
    let mode = prop_oneof![Just(Mode::Upsert), Just(Mode::Create), Just(Mode::Update)];
    let rows = prop::collection::vec((0..6_u8, 0..24_u8), 0..8);
    let pieces = prop::collection::vec((rows, edits(edited)), 1..5);
    (edits(20), mode, any::<bool>(), pieces).prop_map(|(catalogue, mode, dry_run, pieces)| Story {
        catalogue,
        mode,
        dry_run,
        pieces,
    })
}

/// SKUs in either case, some of which a spreadsheet could have damaged.
fn sku(number: u8) -> String {
    match number {
        0..8 => format!("Sku-{number}"),
        8..16 => format!("SKU-{}", number - 8),
        16..20 => format!("00{number}"),
        _ => (number - 4).to_string(),
    }
}

impl Fixture {
    async fn edit(&self, edit: &Edit) {
        let step = match *edit {
            Edit::Add { name, sku: number } => Step::Create(draft(&format!("Name {name}"), &sku(number))),
            Edit::Rename { product, name } => {
                let name = Text::parse(&format!("Mine {name}")).ok();
                Step::Update(Change { id: product.into(), etag: None, name, category: None, sku: None })
            }
            Edit::Delete { product } => Step::Delete { id: product.into(), etag: None, allow_missing: false },
            Edit::Undelete { product } => Step::Undelete { id: product.into(), etag: None },
        };
        // What is refused changes nothing.
        let _refused = self.store.take(step, None, soon()).await.is_err();
    }

    /// Live products: what they say, and their version.
    async fn live(&self) -> BTreeMap<i64, (Said, i64)> {
        let list = List { selection: Selection::default(), order: Order::NEWEST, cursor: Cursor::First, size: 1000 };
        let items = self.store.list(&list, soon()).await.unwrap().page.items;
        let said = |product: Product| ((product.name, product.category, product.sku), product.version);
        items.into_iter().map(|product| (product.id, said(product))).collect()
    }

    async fn import(&self, story: &Story) -> Job {
        let manner = Manner { mode: story.mode, allow_damaged: false };
        let source = "story".to_owned();
        let dry_run = story.dry_run;
        let beginning = Beginning { key: None, source, manner, dry_run, only_if_new: false, resume_cancelled: false };
        let mut job = self.store.begin_import(&beginning, soon()).await.unwrap();
        let (mut checker, mut line) = (Checker::default(), 1);
        for (index, (rows, edits)) in story.pieces.iter().enumerate() {
            for (name, number) in rows {
                line += 1;
                let (name, category) = (format!("Name {name}"), "Tools/Hand".to_owned());
                checker.add(&Row { line, name, category, sku: sku(*number) }, 0).unwrap();
            }
            let (piece, end) = (checker.take(), index + 1 == story.pieces.len());
            job = match dry_run {
                true => self.store.stage_piece(&job, &piece, end, soon()).await.unwrap(),
                false => {
                    let rules = Rules { author: Author::default(), end };
                    self.store.store_piece(&job, &piece, &rules, soon()).await.unwrap()
                }
            };
            for edit in edits {
                self.edit(edit).await;
            }
        }
        if dry_run {
            self.store.commit_import(job.id, None, &Author::default(), soon()).await.unwrap();
            job = self.work().await;
        }
        job
    }

    async fn work(&self) -> Job {
        let mut job = self.store.claim_import("tests", soon()).await.unwrap().unwrap();
        while !job.state.rests() {
            job = self.store.work_on_import(&job, "tests", soon()).await.unwrap();
        }
        job
    }

    async fn undo(&self, job: &Job) -> Job {
        self.store.undo_import(job.id, None, &Author::default(), soon()).await.unwrap();
        self.work().await
    }

    /// What should be live once the import is undone: of what it made last, what was before.
    async fn expected(&self) -> BTreeMap<i64, Said> {
        let mut expected: BTreeMap<i64, Said> =
            self.live().await.into_iter().map(|(id, (said, _))| (id, said)).collect();
        for id in expected.keys().copied().collect::<Vec<_>>() {
            let versions = self.store.versions(id, i64::MAX, 2, soon()).await.unwrap();
            if versions[0].origin.kind != Kind::Imported {
                continue;
            }
            match versions.get(1) {
                Some(before) => {
                    let Product { name, category, sku, .. } = before.product.clone();
                    expected.insert(id, (name, category, sku));
                }
                None => drop(expected.remove(&id)),
            }
        }
        expected
    }
}

fn run(work: impl Future<Output = Result<(), TestCaseError>>) -> Result<(), TestCaseError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn an_import_that_is_undone_leaves_the_catalogue_as_it_was(story in stories(0)) {
        run(async {
            let it = fixture().await;
            for edit in &story.catalogue {
                it.edit(edit).await;
            }
            let before = it.live().await;

            let job = it.import(&story).await;
            let undone = it.undo(&job).await;

            let said = |live: BTreeMap<i64, (Said, i64)>| -> BTreeMap<i64, Said> {
                live.into_iter().map(|(id, (said, _))| (id, said)).collect()
            };
            prop_assert_eq!(said(it.live().await), said(before));
            let counts = undone.counts;
            let expected = (State::Undone, job.counts.created + job.counts.updated, 0);
            prop_assert_eq!((undone.state, counts.undone, counts.conflicts), expected);
            Ok(())
        })?;
    }

    #[test]
    fn whoever_writes_meanwhile_an_undoing_leaves_their_work_alone(story in stories(4)) {
        run(async {
            let it = fixture().await;
            for edit in &story.catalogue {
                it.edit(edit).await;
            }
            let job = it.import(&story).await;
            let last = story.pieces.last().map(|(_, edits)| edits.as_slice()).unwrap_or_default();
            for edit in last {
                it.edit(edit).await;
            }
            let expected = it.expected().await;

            let undone = it.undo(&job).await;

            let live: BTreeMap<i64, Said> = it.live().await.into_iter().map(|(id, (said, _))| (id, said)).collect();
            prop_assert_eq!(live, expected);
            prop_assert!(undone.counts.undone + undone.counts.conflicts <= job.counts.created + job.counts.updated);
            Ok(())
        })?;
    }

    #[test]
    fn imports_that_are_undone_one_after_the_other_leave_the_catalogue_as_it_was(
        catalogue in edits(12),
        imports in prop::collection::vec(stories(0), 2..4),
    ) {
        run(async {
            let it = fixture().await;
            for edit in &catalogue {
                it.edit(edit).await;
            }
            let mut before = Vec::new();
            for story in &imports {
                let said: BTreeMap<i64, Said> = it.live().await.into_iter().map(|(id, (said, _))| (id, said)).collect();
                before.push((said, it.import(story).await));
            }

            // The last one first.
            for (said, job) in before.into_iter().rev() {
                let undone = it.undo(&job).await;

                let live: BTreeMap<i64, Said> = it.live().await.into_iter().map(|(id, (said, _))| (id, said)).collect();
                prop_assert_eq!(live, said);
                prop_assert_eq!(undone.counts.conflicts, 0);
            }
            Ok(())
        })?;
    }
}
