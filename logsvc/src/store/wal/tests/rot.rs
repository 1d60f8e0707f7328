//! Bytes that change on the disk: what is lost is said, and nothing else is lost.

use super::*;

const SMALL: u64 = 16 << 10;

/// A disk with files, and where each commit is in them.
struct Stored {
    disk: SimulatedDisk,
    commits: Vec<Placed>,
}

#[derive(Clone)]
struct Placed {
    commit: Commit,
    file: String,
    position: u64,
}

impl Placed {
    /// Without what fills it up to the next one.
    fn length(&self) -> u64 {
        24 + self.commit.payload.len() as u64
    }
}

fn store(number: usize, longest: usize, rng: &mut fastrand::Rng) -> Stored {
    let disk = SimulatedDisk::new(rng.u64(..));
    let (mut wal, _, _) = open(&disk, SMALL).unwrap();
    let mut commits = Vec::new();
    for _ in 0..number {
        let commit = Commit::random(wal.next_offset(), longest, rng);
        commit.append_to(&mut wal).unwrap();
        let file = name_of(wal.files.last().unwrap().first_offset);
        let size = (24 + commit.payload.len() as u64).next_multiple_of(8);
        commits.push(Placed { position: wal.active.as_ref().unwrap().position - size, file, commit });
    }
    Stored { disk, commits }
}

/// The damage that is to be found when these commits are hit, and what is to be replayed.
fn expected(commits: &[Placed], hit: &[bool]) -> (Vec<Damage>, Vec<Commit>) {
    let newest = &commits.last().unwrap().file;
    let mut damage: Vec<Damage> = Vec::new();
    for (place, placed) in commits.iter().enumerate().filter(|(place, _)| hit[*place]) {
        let nothing_behind = hit[place..].iter().all(|hit| *hit);
        if placed.file == *newest && nothing_behind {
            continue;
        }
        let Commit { first_offset, .. } = placed.commit;
        match damage.last_mut() {
            Some(last) if last.file == placed.file && last.to_offset == Some(first_offset) => {
                last.to_offset = Some(placed.commit.end());
            }
            _ => damage.push(Damage {
                file: placed.file.clone(),
                from_offset: first_offset,
                to_offset: Some(placed.commit.end()),
            }),
        }
    }
    let good = commits.iter().zip(hit).filter(|(_, hit)| !**hit).map(|(placed, _)| placed.commit.clone());
    (damage, good.collect())
}

/// Flips one bit in the header or in the payload of the commit.
fn hit(disk: &SimulatedDisk, placed: &Placed, rng: &mut fastrand::Rng) {
    let bytes = if rng.bool() { 24 } else { placed.length() };
    disk.flip(&path_of(&placed.file), placed.position + rng.u64(0..bytes), 1 << rng.u8(0..8));
}

#[test]
fn a_flipped_byte_costs_its_commit_and_is_reported() {
    for seed in 0..150 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let longest = [30, 4000][rng.usize(0..2)];
        let Stored { disk, commits } = store(20, longest, &mut rng);
        let mut hits = vec![false; commits.len()];
        for _ in 0..rng.usize(1..4) {
            let place = rng.usize(0..commits.len());
            if !std::mem::replace(&mut hits[place], true) {
                hit(&disk, &commits[place], &mut rng);
            }
        }
        check_and_go_on(&disk, &commits, &hits);
    }
}

/// Twice the same answer, then the log goes on, and what was damaged ends in quarantine.
fn check_and_go_on(disk: &SimulatedDisk, commits: &[Placed], hits: &[bool]) {
    let (damage, mut good) = expected(commits, hits);
    for _ in 0..2 {
        let (_, found, replayed) = open(disk, SMALL).unwrap();
        assert_eq!((&found, &replayed), (&damage, &good));
    }
    let (mut wal, ..) = open(disk, SMALL).unwrap();
    for count in 1..4 {
        good.push(Commit { first_offset: wal.next_offset(), count, payload: vec![count as u8; 1000] });
        good.last().unwrap().append_to(&mut wal).unwrap();
    }
    let disk = disk.crash(&mut fastrand::Rng::with_seed(1));
    let (mut wal, found, replayed) = open(&disk, SMALL).unwrap();
    assert_eq!((&found, &replayed), (&damage, &good));

    wal.append(wal.next_offset(), 1, &[1; 9000]).unwrap();
    wal.append(wal.next_offset(), 1, &[1; 9000]).unwrap();
    wal.release(wal.next_offset()).unwrap();
    let disk = disk.crash(&mut fastrand::Rng::with_seed(2));
    assert_eq!(open(&disk, SMALL).unwrap().1, []);
    let mut files: Vec<_> = damage.into_iter().map(|damage| damage.file).collect();
    files.dedup();
    assert_eq!(disk.list(&path_of("quarantine")).unwrap_or_default(), files);
}

#[test]
fn a_file_without_a_header_is_reported_as_a_whole() {
    let mut rng = fastrand::Rng::with_seed(5);
    let Stored { disk, commits } = store(20, 4000, &mut rng);
    let files: Vec<_> = open(&disk, SMALL).unwrap().0.files.iter().map(|file| file.first_offset).collect();
    let [_, middle, next, .., newest] = files[..] else { panic!("more files than {files:?}") };
    for copy in [20, 4096 + 20] {
        assert_eq!(open(&disk, SMALL).unwrap().1, [], "one copy is enough");
        disk.flip(&path_of(&name_of(middle)), copy, 1);
        disk.flip(&path_of(&name_of(newest)), copy, 1);
    }

    let lost = |from_offset, to_offset| Damage { file: name_of(from_offset), from_offset, to_offset };
    let (mut wal, damage, replayed) = open(&disk, SMALL).unwrap();
    assert_eq!(damage, [lost(middle, Some(next)), lost(newest, None)]);
    let readable = |commit: &Commit| commit.first_offset < middle || (next..newest).contains(&commit.first_offset);
    let mut good: Vec<_> = commits.into_iter().map(|placed| placed.commit).filter(readable).collect();
    assert_eq!(replayed, good);

    good.push(Commit { first_offset: wal.next_offset(), count: 1, payload: b"at the name of the lost file".to_vec() });
    good.last().unwrap().append_to(&mut wal).unwrap();
    let disk = disk.crash(&mut rng);
    let (_, damage, replayed) = open(&disk, SMALL).unwrap();
    assert_eq!((damage, replayed), (vec![lost(middle, Some(next))], good));
    assert_eq!(disk.list(&path_of("quarantine")).unwrap(), [name_of(newest)]);
}

#[test]
fn a_file_that_is_gone_is_reported() {
    let Stored { disk, commits } = store(20, 4000, &mut fastrand::Rng::with_seed(6));
    let files: Vec<_> = open(&disk, SMALL).unwrap().0.files.iter().map(|file| file.first_offset).collect();
    disk.remove(&path_of(&name_of(files[1]))).unwrap();
    let (_, damage, replayed) = open(&disk, SMALL).unwrap();
    let hole = Damage { file: name_of(files[0]), from_offset: files[1], to_offset: Some(files[2]) };
    assert_eq!(damage, [hole]);
    assert!(replayed.len() < commits.len());
}

#[test]
fn a_last_commit_torn_at_any_byte_is_as_if_it_had_never_been() {
    let mut rng = fastrand::Rng::with_seed(7);
    let Stored { disk, commits } = store(4, 100, &mut rng);
    let last = commits.last().unwrap().clone();
    let path = path_of(&last.file);
    let whole = disk.content(&path).unwrap();
    let good: Vec<_> = commits.iter().map(|placed| placed.commit.clone()).collect();
    for cut in 0..last.length() {
        for rest in [0, 0xA5] {
            let at = (last.position + cut) as usize;
            // A byte that is the same by chance is not torn off.
            let torn: Vec<_> = whole[at..(last.position + last.length()) as usize].iter().map(|_| rest).collect();
            if torn == whole[at..at + torn.len()] {
                continue;
            }
            let file: Box<dyn DiskFile> = disk.open(&path).unwrap();
            file.write_at(&whole, 0).unwrap();
            file.write_at(&torn, at as u64).unwrap();
            let (mut wal, damage, replayed) = open(&disk, SMALL).unwrap();
            assert_eq!((damage.as_slice(), replayed.as_slice()), ([].as_slice(), &good[..3]), "cut at {cut}");

            let next = Commit { first_offset: wal.next_offset(), count: 1, payload: vec![9; 10] };
            next.append_to(&mut wal).unwrap();
            let (_, damage, replayed) = open(&disk, SMALL).unwrap();
            assert_eq!((damage, replayed.last(), replayed.len()), (vec![], Some(&next), 4));
        }
    }
}

#[test]
fn a_released_file_that_comes_back_is_harmless() {
    let Stored { disk, commits } = store(20, 4000, &mut fastrand::Rng::with_seed(8));
    let (mut wal, ..) = open(&disk, SMALL).unwrap();
    let first = path_of(&name_of(0));
    let content = disk.content(&first).unwrap();
    let before = wal.files[1].first_offset;
    wal.release(before).unwrap();
    disk.create(&first).unwrap().write_at(&content, 0).unwrap();
    // A file that overlaps with others, as no crash of ours leaves it: its copy under the name of a later one.
    disk.create(&path_of(&name_of(before - 1))).unwrap().write_at(&content, 0).unwrap();
    let (_, damage, replayed) = open(&disk, SMALL).unwrap();
    assert!(damage.iter().all(|damage| damage.to_offset.is_some_and(|end| end <= before)));
    let later: Vec<_> = commits.iter().map(|p| p.commit.clone()).filter(|c| c.first_offset >= before).collect();
    let replayed_later: Vec<_> = replayed.into_iter().filter(|commit| commit.first_offset >= before).collect();
    assert_eq!(replayed_later, later);
}

#[test]
fn a_logged_copy_of_the_file_is_no_frame() {
    let disk = SimulatedDisk::new(1);
    let (mut wal, ..) = open(&disk, 4 * SMALL).unwrap();
    wal.append(0, 5, b"first").unwrap();
    wal.append(5, 5, b"second").unwrap();
    let copy = disk.content(&path_of(&name_of(0))).unwrap()[8192..8296].to_vec();
    let position = wal.active.as_ref().unwrap().position;
    wal.append(10, 5, &copy).unwrap();
    disk.flip(&path_of(&name_of(0)), position + 8, 1);
    let (_, damage, replayed) = open(&disk, 4 * SMALL).unwrap();
    assert_eq!((damage, replayed.len()), (vec![], 2));
}
