//! Tests of the picture: what overlaps, what it says, whether it stays the same.

use super::*;

fn node(name: &str) -> Node {
    Node { name: name.into(), words: "1 instance".into(), tone: "good", page: None }
}

fn line(from: usize, to: usize) -> Line {
    let (words, sentence) = ("1.0/s".to_owned(), String::new());
    Line { from, to, weight: 1, look: "good", words, trouble: String::new(), sentence }
}

/// A mesh of so many services in tiers, where many call many.
fn mesh(services: usize) -> Drawing {
    let nodes = (0..services).map(|n| node(&format!("service-{n}"))).collect();
    let lines = (0..services).flat_map(|n| [line(n, n * 2 + 1), line(n, n * 2 + 2), line(n, (n * 7 + 3) % services)]);
    Drawing::new(nodes, lines.filter(|line| line.to < services).collect())
}

#[test]
fn boxes_and_words_have_room_with_few_services_and_with_many() {
    for services in [1, 4, 30, 80] {
        let drawing = mesh(services);
        for (n, a) in drawing.boxes.iter().enumerate() {
            assert!(a.x >= 0.0 && a.y >= 0.0 && a.x + BOX_WIDTH <= drawing.width && a.y + a.height <= drawing.height);
            for b in &drawing.boxes[n + 1..] {
                let apart = a.x != b.x || a.y + a.height <= b.y || b.y + b.height <= a.y;
                assert!(apart, "{services}: {a:?} and {b:?}");
            }
        }
        for (n, a) in drawing.lines.iter().enumerate() {
            for b in &drawing.lines[n + 1..] {
                assert!(a.x != b.x || (a.y - b.y).abs() >= 30.0, "{services}: {a:?} and {b:?}");
            }
        }
    }
}

#[test]
fn a_line_ends_with_its_head_at_who_is_called() {
    let drawing = Drawing::new(vec![node("portal"), node("productsvc")], vec![line(0, 1), line(1, 0), line(0, 0)]);

    assert_eq!(drawing.lines.len(), 2, "none to itself");
    let [portal, productsvc] = &drawing.boxes[..] else { panic!("{drawing:?}") };
    assert!(portal.x < productsvc.x);
    assert!(drawing.lines[0].head.starts_with(&format!("M{:.1} ", productsvc.x)), "{:?}", drawing.lines[0]);
    assert!(drawing.lines[1].head.starts_with(&format!("M{:.1} ", portal.x + BOX_WIDTH)), "{:?}", drawing.lines[1]);
}

#[test]
fn the_same_mesh_is_the_same_picture() {
    assert_eq!(format!("{:?}", mesh(30)), format!("{:?}", mesh(30)));
}

#[test]
fn a_long_name_is_cut_in_the_picture_only() {
    let drawing = Drawing::new(vec![node(&"é".repeat(63))], vec![]);
    assert_eq!(drawing.boxes[0].short, format!("{}…", "é".repeat(12)));
    assert_eq!(drawing.boxes[0].node.name.chars().count(), 63);
}
