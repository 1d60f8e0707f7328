//! The rules, one by one and all together.

use super::*;
use crate::import::{Manner, Mode};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn draft(name: &str, sku: &str) -> Draft {
    Draft::parse(name, "Tools", sku).unwrap()
}

fn write(steps: Vec<Step>) -> Write {
    Write { author: Author::default(), steps, validate_only: false }
}

fn rename(id: i64, name: &str) -> Step {
    let draft = draft(name, "X");
    Step::Update(Change { id, etag: None, name: Some(draft.name), category: None, sku: None })
}

fn give_sku(id: i64, sku: &str) -> Step {
    let draft = draft("X", sku);
    Step::Update(Change { id, etag: None, name: None, category: None, sku: Some(draft.sku) })
}

fn ledger() -> Ledger {
    Ledger::new(Clock::default(), at(100))
}

/// A row of an import that says `Saw` with a SKU.
fn row(ledger: &mut Ledger, sku: &str, mode: Mode) -> Row {
    ledger.take_row(&draft("Saw", sku), Manner { mode, allow_damaged: false }, &Author::default())
}

fn cause(error: Error) -> (usize, Error) {
    match error {
        Error::At { index, cause } => (index, *cause),
        other => panic!("{other}"),
    }
}

#[test]
fn a_write_is_taken_whole_or_not_at_all() {
    let mut ledger = ledger();
    ledger.take(&write(vec![Step::Create(draft("Saw", "S-1"))])).unwrap();
    let (clock, effects) = (ledger.clock, ledger.effects.clone());

    let steps = vec![Step::Create(draft("Axe", "A-1")), rename(1, "Hand Saw"), Step::Create(draft("Other", "s-1"))];
    let (index, refused) = cause(ledger.take(&write(steps)).unwrap_err());

    assert!(matches!((index, refused), (2, Error::SkuTaken { product_id: 1 })));
    assert_eq!(ledger.clock, clock);
    assert_eq!((ledger.effects.events.clone(), ledger.effects.before.len()), (effects.events, 1));
    assert_eq!(ledger.product(1).unwrap().product.name, "Saw");
    assert!(ledger.product(2).is_none() && ledger.holder("a-1").is_none());
}

#[test]
fn a_sku_that_stands_twice_in_a_write_names_no_product_that_never_is() {
    let mut ledger = ledger();
    let steps = vec![Step::Create(draft("Saw", "S-1")), Step::Create(draft("Axe", "s-1"))];

    let refused = ledger.take(&write(steps)).unwrap_err();

    assert!(matches!(cause(refused), (1, Error::SkuTwice)));
}

#[test]
fn a_check_answers_and_leaves_nothing() {
    let mut ledger = ledger();
    let steps = vec![Step::Create(draft("Saw", "S-1"))];

    let answer = ledger.take(&Write { validate_only: true, ..write(steps) }).unwrap();

    assert_eq!((answer[0].id, answer[0].name.as_str()), (1, "Saw"));
    assert_eq!((ledger.clock, ledger.effects.events.len(), ledger.effects.before.len()), (Clock::default(), 0, 0));
}

#[test]
fn two_products_swap_their_skus_in_one_write() {
    let mut ledger = ledger();
    ledger.take(&write(vec![Step::Create(draft("Saw", "S-1")), Step::Create(draft("Axe", "A-1"))])).unwrap();

    ledger.take(&write(vec![give_sku(1, "T-1"), give_sku(2, "S-1"), give_sku(1, "A-1")])).unwrap();

    assert_eq!(ledger.holder("a-1").unwrap().product.id, 1);
    assert_eq!(ledger.holder("s-1").unwrap().product.id, 2);
    assert!(ledger.holder("t-1").is_none());
}

#[test]
fn what_says_nothing_new_makes_no_version() {
    let mut ledger = ledger();
    ledger.take(&write(vec![Step::Create(draft("Saw", "S-1"))])).unwrap();

    let answer = ledger.take(&write(vec![rename(1, "Saw")])).unwrap();

    assert_eq!((answer[0].version, ledger.effects.events.len()), (1, 1));
    assert_eq!(row(&mut ledger, "S-1", Mode::Upsert), Row::Unchanged);
    assert_eq!(row(&mut ledger, "s-1", Mode::Update), Row::Updated);
    assert_eq!(row(&mut ledger, "S-1", Mode::Create), Row::Taken { product_id: 1 });
    assert_eq!(row(&mut ledger, "S-2", Mode::Update), Row::Missing);
    assert_eq!((ledger.effects.events.len(), ledger.clock.last_id), (2, 1));
}

#[test]
fn a_product_goes_and_comes_back_unless_its_sku_is_taken() {
    let mut ledger = ledger();
    let delete = |id, allow_missing| write(vec![Step::Delete { id, etag: None, allow_missing }]);
    let undelete = |id| write(vec![Step::Undelete { id, etag: None }]);
    ledger.take(&write(vec![Step::Create(draft("Saw", "S-1"))])).unwrap();
    assert!(matches!(cause(ledger.take(&undelete(1)).unwrap_err()).1, Error::ProductNotDeleted { id: 1 }));

    let deleted = ledger.take(&delete(1, false)).unwrap().remove(0);
    assert_eq!((deleted.version, deleted.delete_time, ledger.clock.live_products), (2, Some(at(100)), 0));
    assert!(matches!(cause(ledger.take(&delete(1, false)).unwrap_err()).1, Error::ProductNotFound { id: 1 }));
    assert_eq!(ledger.take(&delete(1, true)).unwrap(), [deleted]);
    assert!(ledger.take(&delete(9, true)).unwrap().is_empty());

    ledger.take(&write(vec![Step::Create(draft("Other", "S-1"))])).unwrap();
    assert!(matches!(cause(ledger.take(&undelete(1)).unwrap_err()).1, Error::SkuTaken { product_id: 2 }));
    ledger.take(&delete(2, false)).unwrap();
    let back = ledger.take(&undelete(1)).unwrap().remove(0);
    assert_eq!((back.version, back.delete_time, ledger.clock.live_products), (3, None, 1));
}

#[test]
fn an_earlier_version_comes_back_as_a_new_one() {
    let mut ledger = ledger();
    ledger.take(&write(vec![Step::Create(draft("Saw", "S-1")), rename(1, "Hand Saw")])).unwrap();
    ledger.load_earlier(ledger.effects.versions[0].product.clone());

    let restored =
        ledger.take(&write(vec![Step::Restore { id: 1, version: 1, earlier: None, etag: None }])).unwrap().remove(0);
    let missing =
        ledger.take(&write(vec![Step::Restore { id: 1, version: 9, earlier: None, etag: None }])).unwrap_err();

    assert_eq!((restored.version, restored.name.as_str()), (3, "Saw"));
    assert_eq!(ledger.product(1).unwrap().origin.kind, Kind::Restored);
    assert!(matches!(cause(missing).1, Error::VersionNotFound { id: 1, version: 9 }));
}

#[test]
fn time_does_not_run_backwards_in_a_history() {
    let mut ledger = ledger();
    let product = ledger.take(&write(vec![Step::Create(draft("Saw", "S-1"))])).unwrap().remove(0);
    let origin = Origin { kind: Kind::Created, author: Author::default() };
    let mut late = Ledger::new(Clock { last_id: 1, ..Clock::default() }, at(50));
    late.load(Present { product, origin });

    let renamed = late.take(&write(vec![rename(1, "Hand Saw")])).unwrap().remove(0);

    assert_eq!(renamed.update_time, at(100));
}

#[test]
fn sequences_have_no_gaps_and_versions_follow_each_other() {
    let mut random = fastrand::Rng::with_seed(6);
    let mut ledger = ledger();
    for _ in 0..2_000 {
        let id = random.i64(0..20);
        let sku = format!("S-{}", random.u8(0..12));
        let mut steps = Vec::new();
        for _ in 0..random.usize(1..4) {
            steps.push(match random.u8(0..6) {
                0 => Step::Create(draft("New", &sku)),
                1 => give_sku(id, &sku),
                2 => rename(id, &random.u8(..).to_string()),
                3 => Step::Delete { id, etag: None, allow_missing: random.bool() },
                _ => Step::Undelete { id, etag: None },
            });
        }
        let validate_only = random.u8(0..5) == 0;
        let _either = ledger.take(&Write { validate_only, ..write(steps) }).is_ok();
    }

    let (effects, products, clock) = ledger.close();
    let sequences: Vec<i64> = effects.events.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=clock.last_sequence).collect::<Vec<_>>());
    assert_eq!(clock.live_products, products.values().filter(|it| it.product.delete_time.is_none()).count() as i64);
    let mut live = HashMap::new();
    for (id, present) in &products {
        let versions = effects.versions.iter().filter(|version| version.product.id == *id).count() as i64;
        assert_eq!(present.product.version, versions + 1);
        if present.product.delete_time.is_none() {
            assert!(live.insert(fold(&present.product.sku), *id).is_none(), "a SKU is there twice");
        }
    }
}

#[test]
fn a_damaged_sku_is_refused_unless_a_product_has_it_or_that_is_allowed() {
    let mut ledger = ledger();
    ledger.take(&write(vec![Step::Create(draft("Saw", "000123")), Step::Create(draft("Axe", "3-Mar"))])).unwrap();
    let told = |row: Row| row.refusal().map(|(_, message)| message).unwrap_or_default();

    let stripped = told(row(&mut ledger, "123", Mode::Upsert));
    assert!(stripped.ends_with("it probably was 000123, product 1"), "{stripped}");
    assert!(
        told(row(&mut ledger, "123", Mode::Update)).contains("leading zeros"),
        "more is known than that it is missing"
    );
    assert!(told(row(&mut ledger, "2-Jan", Mode::Create)).contains("made a date"));
    assert!(told(row(&mut ledger, "1.2E+12", Mode::Upsert)).contains("scientific notation"));
    assert_eq!(row(&mut ledger, "3-Mar", Mode::Upsert), Row::Updated);
    assert_eq!(row(&mut ledger, "124", Mode::Upsert), Row::Created);

    let allowed = Manner { mode: Mode::Upsert, allow_damaged: true };
    assert_eq!(ledger.take_row(&draft("Saw", "123"), allowed, &Author::default()), Row::Created);
    assert_eq!(row(&mut ledger, "123", Mode::Upsert), Row::Unchanged);
}

#[test]
fn what_an_import_adds_itself_is_no_sign_of_damage() {
    let mut ledger = ledger();

    assert_eq!(row(&mut ledger, "0077", Mode::Upsert), Row::Created);
    assert_eq!(row(&mut ledger, "77", Mode::Upsert), Row::Created);
}

#[test]
fn what_an_import_did_is_taken_back_unless_someone_changed_it_since() {
    let mut ledger = ledger();
    let author = Author { name: "undoer".to_owned(), call_id: String::new(), person: false };
    let steps = ["A", "B", "C"].map(|sku| Step::Create(draft("Old", sku))).to_vec();
    ledger.take(&write(steps)).unwrap();
    for id in 1..=3 {
        ledger.load_earlier(ledger.product(id).unwrap().product.clone());
    }
    for sku in ["A", "B", "C", "D", "E", "F"] {
        row(&mut ledger, sku, Mode::Upsert);
    }
    let delete = |id| Step::Delete { id, etag: None, allow_missing: false };
    ledger.take(&write(vec![rename(2, "Mine"), delete(3), rename(5, "Mine"), delete(6)])).unwrap();

    let undone: Vec<Undone> = [(6, 1), (5, 1), (4, 1), (3, 2), (2, 2), (1, 2), (9, 1), (9, 2)]
        .map(|(id, version)| ledger.undo(id, version, &author))
        .into();

    use Undone::{Conflict, Gone, TakenBack};
    assert_eq!(undone, [Gone, Conflict, TakenBack, Conflict, Conflict, TakenBack, Gone, Conflict]);
    let first = ledger.product(1).unwrap();
    assert_eq!((first.product.name.as_str(), first.product.version, first.origin.kind), ("Old", 3, Kind::Undone));
    assert_eq!(first.origin.author, author);
    assert!(ledger.product(4).unwrap().product.delete_time.is_some() && ledger.holder("d").is_none());
    assert_eq!((ledger.product(2).unwrap().product.name.as_str(), ledger.clock.live_products), ("Mine", 3));
}
