//! Dry runs, what is done in the background, and what takes it back.

use super::*;
use crate::import::{Checker, Counts, Job, Manner, Mode, Reason, Row, State};
use crate::ledger::Row as Verdict;
use crate::version::Kind;

const ME: &str = "a worker";

fn asked() -> Author {
    Author { name: "a person".to_owned(), call_id: "call".to_owned(), person: false }
}

fn row(line: i64, name: &str, sku: &str) -> Row {
    Row { line, name: name.to_owned(), category: "Tools".to_owned(), sku: sku.to_owned() }
}

fn piece(rows: &[Row]) -> Piece {
    let mut checker = Checker::default();
    for row in rows {
        checker.add(row, 0).unwrap();
    }
    checker.take()
}

fn dry(mode: Mode) -> Beginning {
    let manner = Manner { mode, allow_damaged: false };
    let source = "test.csv".to_owned();
    Beginning { key: None, source, manner, dry_run: true, only_if_new: false, resume_cancelled: false }
}

impl Fixture {
    /// A dry run that is ready.
    async fn tried(&self, mode: Mode, rows: &[Row]) -> Job {
        let job = self.store.begin_import(&dry(mode), soon()).await.unwrap();
        self.store.stage_piece(&job, &piece(rows), true, soon()).await.unwrap()
    }

    /// Works on the oldest job until it rests.
    async fn worked(&self) -> Job {
        let mut job = self.store.claim_import(ME, soon()).await.unwrap().expect("there is one");
        while !job.state.rests() {
            job = self.store.work_on_import(&job, ME, soon()).await.unwrap();
        }
        job
    }

    async fn previewed(&self, id: i64, show_unchanged: bool) -> Vec<(i64, Verdict, Vec<&'static str>)> {
        let find = Previews { id, after: 0, limit: 100, show_unchanged };
        let previews = self.store.previews(find, soon()).await.unwrap().into_iter();
        let fields = |preview: &crate::import::Preview| preview.differences().iter().map(|it| it.field).collect();
        previews.map(|preview| (preview.line, preview.verdict.clone(), fields(&preview))).collect()
    }

    /// The live products in the order of their ids.
    async fn all(&self) -> Vec<(i64, String, String)> {
        let list = List { selection: Selection::default(), order: Order::NEWEST, cursor: Cursor::First, size: 5000 };
        let mut items = self.store.list(&list, soon()).await.unwrap().page.items;
        items.reverse();
        items.into_iter().map(|product| (product.id, product.name, product.sku)).collect()
    }

    async fn sequence(&self) -> i64 {
        self.store.sequences(soon()).await.unwrap().1
    }
}

#[tokio::test]
async fn a_dry_run_changes_nothing_and_says_what_it_would() {
    let it = fixture().await;
    it.create("Saw", "A").await;
    it.create("Axe", "B").await;
    let (before, sequence) = (it.all().await, it.sequence().await);
    let same = Row { category: "Tools/Hand".to_owned(), ..row(3, "Axe", "B") };

    let job = it.tried(Mode::Upsert, &[row(2, "Hand saw", "A"), same, row(4, "New", "C"), row(5, "", "D")]).await;

    let counts = Counts { rows: 4, created: 1, updated: 1, unchanged: 1, refused: 1, ..Counts::default() };
    assert_eq!((job.state, job.counts, job.end_time), (State::Ready, counts, None));
    assert_eq!((it.all().await, it.sequence().await), (before, sequence));
    let changed = (2, Verdict::Updated, vec!["name", "category"]);
    let added = (4, Verdict::Created, vec!["name", "category", "sku"]);
    assert_eq!(it.previewed(job.id, false).await, [changed.clone(), added.clone()]);
    assert_eq!(it.previewed(job.id, true).await, [changed, (3, Verdict::Unchanged, vec![]), added]);
    assert!(it.store.claim_import(ME, soon()).await.unwrap().is_none(), "nobody works on it");
}

#[tokio::test]
async fn a_commit_judges_anew_and_is_begun_once() {
    let it = fixture().await;
    it.create("Saw", "A").await;
    let job = it.tried(Mode::Update, &[row(2, "Hand saw", "A"), row(3, "New", "B"), row(4, "x", "")]).await;
    assert_eq!((job.counts.updated, job.counts.refused), (1, 2));
    it.create("Someone's", "B").await;
    let key = key("commit");

    let running = it.store.commit_import(job.id, Some(&key), &asked(), soon()).await.unwrap();
    let again = it.store.commit_import(job.id, Some(&key), &asked(), soon()).await.unwrap();
    let other = it.store.commit_import(job.id, None, &asked(), soon()).await;
    assert_eq!((running.state, running.counts.refused, &again), (State::Committing, 1, &running));
    assert!(matches!(other, Err(Error::ImportState { state: State::Committing, .. })));
    let done = it.worked().await;

    let counts = Counts { rows: 3, updated: 2, refused: 1, ..Counts::default() };
    assert_eq!((done.state, done.counts), (State::Done, counts));
    let refused = it.store.refused_rows(job.id, 0, 10, soon()).await.unwrap();
    assert_eq!(refused.iter().map(|it| (it.row.line, it.reason)).collect::<Vec<_>>(), [(4, Reason::InvalidField)]);
    let version = it.store.find_version(1, 2, soon()).await.unwrap();
    assert_eq!((version.origin.kind, version.origin.author.name.as_str()), (Kind::Imported, "test.csv"));
    let late = it.store.commit_import(job.id, Some(&key), &asked(), soon()).await.unwrap();
    assert_eq!(late, done, "it is answered as it is by then");
    let previews = it.store.previews(Previews { id: job.id, after: 0, limit: 1, show_unchanged: true }, soon()).await;
    assert!(matches!(previews, Err(Error::ImportState { .. })));
}

#[tokio::test]
async fn a_commit_of_many_pieces_goes_on_where_another_worker_left_it() {
    let it = fixture().await;
    let rows: Vec<Row> = (2..1302).map(|line| row(line, "Nail", &format!("N-{line}"))).collect();
    let job = it.tried(Mode::Upsert, &rows).await;
    it.store.commit_import(job.id, None, &asked(), soon()).await.unwrap();

    let first = it.store.claim_import("first", soon()).await.unwrap().unwrap();
    let half = it.store.work_on_import(&first, "first", soon()).await.unwrap();
    assert!(it.store.claim_import("second", soon()).await.unwrap().is_none(), "it has its lease");
    it.store.release_imports("first", soon()).await.unwrap();
    let second = it.store.claim_import("second", soon()).await.unwrap().unwrap();
    let late = it.store.work_on_import(&half, "first", soon()).await;
    let stale = it.store.work_on_import(&first, "second", soon()).await;
    let mut done = second;
    while !done.state.rests() {
        done = it.store.work_on_import(&done, "second", soon()).await.unwrap();
    }

    assert_eq!((half.counts.created, half.mark), (500, 501));
    assert!(matches!(late, Err(Error::ImportRunning)), "{late:?}");
    assert!(matches!(stale, Err(Error::ImportRunning)), "{stale:?}");
    assert_eq!((done.counts.created, it.all().await.len(), it.sequence().await), (1300, 1300, 1300));
}

#[tokio::test]
async fn what_is_undone_is_as_it_was_and_what_someone_changed_is_left_alone() {
    let it = fixture().await;
    it.create("Saw", "A").await;
    it.create("Axe", "B").await;
    let job = it.tried(Mode::Upsert, &[row(2, "x", "A"), row(3, "x", "B"), row(4, "x", "C"), row(5, "x", "D")]).await;
    it.store.commit_import(job.id, None, &asked(), soon()).await.unwrap();
    it.worked().await;
    it.store.update(&change(2, 2, draft("Mine", "B")), None, soon()).await.unwrap();
    it.store.delete(4, None).await.unwrap();

    let key = key("undo");
    let undoing = it.store.undo_import(job.id, Some(&key), &asked(), soon()).await.unwrap();
    assert_eq!((undoing.state, undoing.end_time), (State::Undoing, None));
    assert_eq!(it.store.undo_import(job.id, Some(&key), &asked(), soon()).await.unwrap(), undoing);
    let undone = it.worked().await;

    assert_eq!((undone.state, undone.counts.undone, undone.counts.conflicts), (State::Undone, 2, 1));
    let all = it.all().await;
    assert_eq!(all, [(1, "Saw".to_owned(), "A".to_owned()), (2, "Mine".to_owned(), "B".to_owned())]);
    let conflicts = it.store.import_conflicts(job.id, 0, 10, soon()).await.unwrap();
    assert_eq!((conflicts.len(), conflicts[0].product_id, conflicts[0].version), (1, 2, 2));
    assert_eq!(conflicts[0].product.as_ref().unwrap().name, "Mine");
    let version = it.store.find_version(1, 3, soon()).await.unwrap();
    assert_eq!((version.origin.kind, version.origin.author), (Kind::Undone, asked()));
    let again = it.store.undo_import(job.id, None, &asked(), soon()).await;
    assert!(matches!(again, Err(Error::ImportState { state: State::Undone, .. })));
}

#[tokio::test]
async fn a_cancelled_import_stays_as_it_is_until_it_is_resumed_or_undone() {
    let it = fixture().await;
    let beginning = Beginning { key: Some(key("import")), dry_run: false, ..dry(Mode::Upsert) };
    let rules = Rules { author: asked(), end: false };
    let job = it.store.begin_import(&beginning, soon()).await.unwrap();
    let job = it.store.store_piece(&job, &piece(&[row(2, "x", "A")]), &rules, soon()).await.unwrap();

    let cancelled = it.store.cancel_import(job.id, soon()).await.unwrap();
    assert_eq!((cancelled.state, cancelled.counts.created), (State::Cancelled, 1));
    assert_eq!(it.store.cancel_import(job.id, soon()).await.unwrap(), cancelled);
    let late = it.store.store_piece(&job, &piece(&[row(3, "x", "B")]), &rules, soon()).await;
    assert!(matches!(late, Err(Error::ImportState { state: State::Cancelled, .. })));
    assert_eq!(it.store.begin_import(&beginning, soon()).await.unwrap(), cancelled, "it does not begin by itself");

    let resumed = Beginning { resume_cancelled: true, ..beginning };
    let job = it.store.begin_import(&resumed, soon()).await.unwrap();
    assert_eq!((job.state, job.mark), (State::Receiving, 2));
    let rest = piece(&[row(3, "x", "B")]);
    it.store.store_piece(&job, &rest, &Rules { end: true, ..rules }, soon()).await.unwrap();
    assert!(matches!(it.store.cancel_import(job.id, soon()).await, Err(Error::ImportState { .. })));
    it.store.undo_import(job.id, None, &asked(), soon()).await.unwrap();
    assert_eq!(it.worked().await.counts.undone, 2);
    assert!(it.all().await.is_empty());
}

#[tokio::test]
async fn a_dry_run_that_is_cancelled_or_old_is_forgotten() {
    let it = fixture().await;
    let rows = [row(2, "x", "A"), row(3, "x", "B")];
    let (one, other) = (it.tried(Mode::Upsert, &rows).await, it.tried(Mode::Upsert, &rows).await);

    let cancelled = it.store.cancel_import(one.id, soon()).await.unwrap();
    crate::purge::once(&it.store, now() + SignedDuration::from_hours(8 * 24)).await.unwrap();

    assert_eq!((cancelled.counts.created, cancelled.counts.rows), (0, 2), "nothing of it is in");
    let expired = it.store.find_import(other.id, soon()).await.unwrap();
    assert_eq!((expired.state, expired.counts.created), (State::Cancelled, 0));
    assert_eq!(it.store.forget_staged(soon()).await.unwrap(), 0, "all rows are forgotten");
    let committed = it.store.commit_import(other.id, None, &asked(), soon()).await;
    assert!(matches!(committed, Err(Error::ImportState { .. })));
}

#[tokio::test]
async fn what_happened_too_long_ago_is_not_undone_but_what_is_being_undone_is_kept() {
    let it = fixture().await;
    let later = now() + SignedDuration::from_hours(31 * 24);
    for (sku, is_kept) in [("A", false), ("B", true)] {
        let job = it.tried(Mode::Upsert, &[row(2, "x", sku)]).await;
        it.store.commit_import(job.id, None, &asked(), soon()).await.unwrap();
        it.worked().await;
        if is_kept {
            it.store.undo_import(job.id, None, &asked(), soon()).await.unwrap();
        }
        // What the search index lacks is not forgotten either.
        crate::indexer::fill(&it.store, it.store.search_state(soon()).await.unwrap()).await.unwrap();
        it.store.forget_changes(later, soon()).await.unwrap();
        match is_kept {
            true => assert_eq!(it.worked().await.counts.undone, 1),
            false => {
                let undo = it.store.undo_import(job.id, None, &asked(), soon()).await;
                assert!(matches!(undo, Err(Error::ImportForgotten { .. })), "{undo:?}");
            }
        }
    }
}
