//! Runs that end anywhere, several at once, and lakes that are not what they were.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::History;
use crate::lake::tests::SMALL;
use crate::product::{Draft, Product};
use crate::version::{Author, Version};
use crate::write::{Change, Step, Write};

struct Fixture {
    store: ProductStore,
    archiver: Archiver,
    history: History,
    lake: PathBuf,
    _directory: TempDir,
}

fn soon() -> Instant {
    within(Duration::from_secs(20))
}

async fn take(store: &ProductStore, step: Step) -> Product {
    let author = Author { name: "tests".to_owned(), call_id: "call".to_owned(), person: false };
    let write = Write { author, steps: vec![step], validate_only: false };
    store.write(write, None, soon()).await.unwrap().remove(0)
}

impl Fixture {
    /// A catalogue of some products, which changed over three months long ago.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/products.db", directory.path().display());
        let store = ProductStore::open(&url).await.unwrap();
        let lake = directory.path().join("lake");
        let of = Lake::open(lake.to_str().unwrap()).unwrap();
        let shape = Shape { part_rows: 10, group_rows: 4, page_rows: 2, ..SMALL };
        // A run that ended is followed by the next at once.
        let archiver = Archiver { shape, lease: SignedDuration::ZERO, ..Archiver::new(store.clone(), of.clone()) };
        let it = Self { history: History::new(store.clone(), Some(of)), store, archiver, lake, _directory: directory };
        for id in 1..=8 {
            take(&it.store, Step::Create(draft(id, 1))).await;
        }
        for version in 2..=10 {
            for id in 1..=8 {
                it.change(id, version).await;
            }
            if version % 3 == 1 {
                it.store.pass(SignedDuration::from_hours(31 * 24), soon()).await;
            }
        }
        it.store.pass(SignedDuration::from_hours(70 * 24), soon()).await;
        it
    }

    async fn change(&self, id: i64, version: i64) -> Product {
        let Draft { name, category, sku } = draft(id, version);
        let change = Change { id, etag: None, name: Some(name), category: Some(category), sku: Some(sku) };
        take(&self.store, Step::Update(change)).await
    }

    /// All versions of all products.
    async fn all(&self) -> BTreeMap<i64, Vec<Version>> {
        let mut all = BTreeMap::new();
        for id in 1..=8 {
            all.insert(id, self.history.versions(id, i64::MAX, 100, soon()).await.unwrap());
        }
        all
    }

    /// Archives; ends the run, as a power cut would, when it has told so much.
    async fn archive(&self, most: usize) -> Option<Result<(), Error>> {
        let (told, mut heard) = mpsc::channel(1);
        let mut run = Box::pin(self.archiver.run(Archiver::last_closed(Timestamp::now()), false, &told));
        for _ in 0..=most {
            tokio::select! {
                done = &mut run => return Some(done),
                _ = heard.recv() => {}
            }
        }
        None
    }

    /// How many versions are in the database that are to be archived.
    async fn left(&self) -> i64 {
        let end = Archiver::last_closed(Timestamp::now()).end();
        self.store.superseded_months(end, soon()).await.unwrap().values().sum()
    }

    /// The files of the lake that hold versions.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.lake.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.extension() {
                    Some(extension) if extension == "parquet" => files.push(path),
                    _ if path.is_dir() => folders.push(path),
                    _ => {}
                }
            }
        }
        files.sort();
        files
    }
}

fn draft(id: i64, version: i64) -> Draft {
    Draft::parse(&format!("Hammer {id}, version {version}"), "Tools/Hand", &format!("HAM-{id}")).unwrap()
}

#[tokio::test]
async fn what_was_archived_is_in_the_lake_once_and_still_in_the_history() {
    let it = Fixture::new().await;
    let before = it.all().await;

    it.archive(usize::MAX).await.unwrap().unwrap();

    assert_eq!(it.left().await, 0);
    assert_eq!(it.all().await, before);
    let archives = it.store.archives(0, 100, soon()).await.unwrap();
    assert_eq!(archives.iter().map(|archive| archive.rows).sum::<i64>(), 72);
    assert!(archives.len() >= 3 && archives.iter().all(|archive| archive.removed), "{archives:?}");
    assert_eq!(it.files().len(), archives.iter().map(|archive| archive.files as usize).sum::<usize>());
    for (id, versions) in before {
        for version in versions {
            let (number, begun) = (version.product.version, version.product.update_time);
            assert_eq!(it.history.find_as_of(id, begun, soon()).await.unwrap(), version.product);
            assert_eq!(it.history.find_version(id, number, soon()).await.unwrap(), version);
        }
        let middle = it.history.versions(id, 8, 3, soon()).await.unwrap();
        assert_eq!(middle.iter().map(|version| version.product.version).collect::<Vec<_>>(), [7, 6, 5]);
        // A page at a time, of any size: what follows is where the one before ended.
        for size in [1, 3, 10] {
            let (mut paged, mut before, mut more) = (Vec::new(), i64::MAX, true);
            while more {
                let page = it.history.page(id, before, size, soon()).await.unwrap();
                assert!(page.0.len() == size || !page.1, "a page in the middle is full");
                before = page.0.last().map_or(0, |last| last.product.version);
                paged.extend(page.0);
                more = page.1;
            }
            assert_eq!(paged.len(), 10);
        }
        let never = it.history.find_version(id, 11, soon()).await;
        assert!(matches!(never, Err(Error::VersionNotFound { .. })));
    }
    it.archive(usize::MAX).await.unwrap().unwrap();
    assert_eq!(it.store.archives(0, 100, soon()).await.unwrap(), archives, "there was nothing to do");
}

#[tokio::test]
async fn a_run_that_ends_anywhere_is_gone_on_with_and_nothing_is_lost() {
    for most in 0..60 {
        let it = Fixture::new().await;
        let before = it.all().await;

        let ended = it.archive(most).await;

        assert_eq!(it.all().await, before, "after {most} messages");
        it.archive(usize::MAX).await.unwrap().unwrap();
        assert_eq!((it.all().await, it.left().await), (before, 0), "after {most} messages");
        let archives = it.store.archives(0, 100, soon()).await.unwrap();
        assert_eq!(archives.iter().map(|archive| archive.rows).sum::<i64>(), 72, "after {most} messages");
        assert_eq!(it.files().len(), archives.iter().map(|archive| archive.files as usize).sum::<usize>());
        if ended.is_some() {
            assert!(most > 10, "it tells what it does");
            return;
        }
    }
    panic!("it tells too much");
}

#[tokio::test]
async fn two_runs_at_once_archive_everything_once() {
    let it = Fixture::new().await;
    let before = it.all().await;

    // Without a lease each takes the month from the other whenever it can; so that both
    // come to an end, they stop that after a while.
    let (robbing, polite) = (it.archiver.clone(), Archiver { lease: LEASE, ..it.archiver.clone() });
    let runs = async || {
        for round in 0_u64.. {
            let (told, mut heard) = mpsc::channel(1);
            let archiver = if round < 20 { &robbing } else { &polite };
            let run = archiver.run(Archiver::last_closed(Timestamp::now()), false, &told);
            let hear = async { while heard.recv().await.is_some() {} };
            let done = tokio::select! {
                done = run => done,
                () = hear => unreachable!("the run holds the other end"),
            };
            match done {
                Ok(()) => return,
                Err(Error::ArchiveRunning { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    tokio::join!(runs(), runs());

    assert_eq!((it.all().await, it.left().await), (before, 0));
    let archives = it.store.archives(0, 100, soon()).await.unwrap();
    assert_eq!(archives.iter().map(|archive| archive.rows).sum::<i64>(), 72);
}

#[tokio::test]
async fn a_month_that_someone_has_is_refused() {
    let it = Fixture::new().await;
    let (month, _) = it.archiver.months(Archiver::last_closed(Timestamp::now())).await.unwrap()[0];
    let hold = Hold { month, run: "other".to_owned() };
    it.store.hold(&hold, SignedDuration::from_hours(1), soon()).await.unwrap();

    let refused = it.archive(usize::MAX).await.unwrap();

    assert!(matches!(refused, Err(Error::ArchiveRunning { month: held }) if held == month));
    assert_eq!((it.left().await, it.files().len()), (72, 0));
}

#[tokio::test]
async fn versions_that_come_to_an_archived_month_make_another_part() {
    let it = Fixture::new().await;
    it.archive(usize::MAX).await.unwrap().unwrap();
    let files = it.files();
    for id in [2, 7] {
        it.change(id, 11).await;
    }
    // Of a month that is in the lake already.
    it.store.pass(SignedDuration::from_hours(101 * 24), soon()).await;
    let late = it.all().await;

    it.archive(usize::MAX).await.unwrap().unwrap();

    assert_eq!((it.all().await, it.left().await), (late, 0));
    assert!(it.files().len() > files.len() && files.iter().all(|file| it.files().contains(file)));
}

#[tokio::test]
async fn nothing_is_removed_when_the_lake_is_not_what_was_written() {
    let it = Fixture::new().await;
    // It ends when it has written, and has removed nothing yet.
    let months = it.archiver.months(Archiver::last_closed(Timestamp::now())).await.unwrap().len();
    let mut most = months + 1;
    while it.store.unsettled_months(soon()).await.unwrap().is_empty() {
        assert!(it.archive(most).await.is_none(), "no part counted before all was done");
        most += 1;
    }
    let left = it.left().await;
    let month = it.store.unsettled_months(soon()).await.unwrap()[0];
    let damaged = it.files()[0].clone();
    assert!(damaged.starts_with(it.lake.join(month.folder())));
    let whole = std::fs::read(&damaged).unwrap();
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 0x40;
    std::fs::write(&damaged, bytes).unwrap();

    let refused = it.archive(usize::MAX).await.unwrap();
    assert!(matches!(refused, Err(Error::LakeDamaged { .. })), "{refused:?}");
    std::fs::remove_file(&damaged).unwrap();
    let refused = it.archive(usize::MAX).await.unwrap();
    assert!(matches!(refused, Err(Error::LakeAway { .. })), "{refused:?}");
    assert_eq!(it.left().await, left);

    std::fs::write(&damaged, whole).unwrap();
    it.store.falsify(soon()).await;
    let refused = it.archive(usize::MAX).await.unwrap();
    assert!(matches!(refused, Err(Error::LakeDamaged { .. })), "{refused:?}");
    assert_eq!(it.left().await, left);
}
