//! Copies to a folder; those to a bucket are among the tests of the whole.

use std::path::Path;
use std::time::Instant;

use super::*;

/// Segments in a folder, as the store would list them.
fn list(folder: &Path) -> List {
    let folder = folder.to_owned();
    Box::new(move || {
        let mut files: Vec<SealedFile> = std::fs::read_dir(&folder)
            .unwrap()
            .flatten()
            .map(|file| {
                let name = file.file_name().into_string().unwrap();
                let first_offset = name.trim_end_matches(".seg").parse().unwrap();
                SealedFile { name, path: file.path(), first_offset, bytes: file.metadata().unwrap().len() }
            })
            .collect();
        files.sort_by_key(|file| file.first_offset);
        files
    })
}

fn seal(folder: &Path, first_offset: u64, bytes: usize) {
    let contents: Vec<u8> = (0..bytes).map(|n| (n / 7) as u8).collect();
    // As the store does: a segment is there as a whole or not at all.
    let new = folder.parent().unwrap().join("new");
    std::fs::write(&new, contents).unwrap();
    std::fs::rename(new, folder.join(format!("{first_offset}.seg"))).unwrap();
}

async fn eventually(what: &str, copies: &Copies, is_true: impl Fn(&CopyStatus) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_true(&copies.status()) {
        assert!(Instant::now() < end, "never true: {what}: {:?}", copies.status());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Folders {
    _root: tempfile::TempDir,
    segments: PathBuf,
    copies: PathBuf,
}

fn folders() -> Folders {
    let root = tempfile::tempdir().unwrap();
    let (segments, copies) = (root.path().join("segments"), root.path().join("copies"));
    std::fs::create_dir(&segments).unwrap();
    Folders { _root: root, segments, copies }
}

#[tokio::test]
async fn segments_are_copied_whole_small_and_large() {
    let Folders { _root, segments, copies: there } = folders();
    seal(&segments, 1, 1000);
    seal(&segments, 9, 20 * 1024 * 1024);
    let copies = Copies::start(&format!("file://{}", there.display()), list(&segments)).unwrap();

    eventually("both are there", &copies, |status| status.copied == 2 && status.waiting == 0).await;
    seal(&segments, 17, 1);
    eventually("the new one is too", &copies, |status| status.copied == 3).await;
    copies.stop().await;

    for name in ["1.seg", "9.seg", "17.seg"] {
        assert_eq!(std::fs::read(there.join(name)).unwrap(), std::fs::read(segments.join(name)).unwrap(), "{name}");
    }
    assert_eq!(std::fs::read_dir(&there).unwrap().count(), 3, "nothing else is there");
}

#[tokio::test]
async fn what_is_there_is_left_alone() {
    let Folders { _root, segments, copies: there } = folders();
    seal(&segments, 1, 10);
    seal(&segments, 2, 10);
    std::fs::create_dir(&there).unwrap();
    std::fs::write(there.join("1.seg"), [7; 10]).unwrap();
    std::fs::write(there.join("2.seg"), [7; 11]).unwrap();
    seal(&segments, 3, 10);

    let copies = Copies::start(&format!("file://{}", there.display()), list(&segments)).unwrap();
    eventually("the third is there", &copies, |status| status.copied == 2).await;

    assert_eq!(copies.status().waiting, 1);
    assert_eq!(std::fs::read(there.join("1.seg")).unwrap(), [7; 10]);
    assert_eq!(std::fs::read(there.join("2.seg")).unwrap(), [7; 11]);
    copies.stop().await;
}

#[tokio::test]
async fn a_place_that_is_away_is_tried_again_and_what_went_meanwhile_is_said() {
    let Folders { _root, segments, copies: there } = folders();
    let copies = Copies::start(&format!("file://{}", there.display()), list(&segments)).unwrap();
    // In the place of the folder.
    std::fs::remove_dir(&there).unwrap();
    std::fs::write(&there, "").unwrap();
    seal(&segments, 1, 10);
    eventually("it fails", &copies, |status| status.last_error.contains("1.seg")).await;

    std::fs::remove_file(segments.join("1.seg")).unwrap();
    std::fs::remove_file(&there).unwrap();
    seal(&segments, 2, 10);

    eventually("the second is there", &copies, |status| status.copied == 1).await;
    assert_eq!(copies.status(), CopyStatus { copied: 1, missed: 1, ..Default::default() });
    copies.stop().await;
}

#[test]
fn a_place_that_is_none_is_refused_with_words() {
    let place = |url: &str| match Destination::open(url) {
        Ok(_) => panic!("{url} is a place"),
        Err(error) => format!("{error:#}"),
    };
    assert!(place("ftp://host/x").contains("looks like s3://bucket/prefix"));
    assert!(place("/backup").contains("looks like s3://bucket/prefix"));
    assert!(place("file://backup").contains("from the root on"));
    assert!(place("s3://").contains("names no bucket"));
}

#[tokio::test]
async fn a_bucket_without_a_server_is_an_error_and_not_a_wait() {
    // Nothing is asked of it yet.
    Destination::open("s3://bucket/some/prefix").unwrap();
}
