//! The products that are measured: each is made of its number and the seed, and of nothing else.
//!
//! Names are those of a building-supply store: a few makers and nouns that very many
//! products share, series that few do, sizes with fractions.

use proto::products::ImportRow;

/// What every catalogue is made of. Another one would be other products.
pub(crate) const SEED: u64 = 20_261_125;

const MAKERS: [(&str, &str); 20] = [
    ("DeWalt", "DW"),
    ("Makita", "MK"),
    ("Bosch", "BS"),
    ("Milwaukee", "ML"),
    ("Kreg", "KG"),
    ("Simpson", "SS"),
    ("GRK", "GR"),
    ("Irwin", "IR"),
    ("Stanley", "ST"),
    ("Lenox", "LX"),
    ("Diablo", "DB"),
    ("Freud", "FR"),
    ("Titebond", "TB"),
    ("Benjamin Moore", "BM"),
    ("Zinsser", "ZN"),
    ("Purdy", "PD"),
    ("Wooster", "WO"),
    ("Hillman", "HM"),
    ("Andersen", "AN"),
    ("Trex", "TX"),
];

const NOUNS: [(&str, &str); 40] = [
    ("Wood Screw", "Fasteners/Screws"),
    ("Deck Screw", "Fasteners/Screws"),
    ("Drywall Screw", "Fasteners/Screws"),
    ("Lag Bolt", "Fasteners/Bolts"),
    ("Carriage Bolt", "Fasteners/Bolts"),
    ("Hex Nut", "Fasteners/Nuts"),
    ("Flat Washer", "Fasteners/Washers"),
    ("Framing Nail", "Fasteners/Nails"),
    ("Finish Nail", "Fasteners/Nails"),
    ("Joist Hanger", "Hardware/Connectors"),
    ("Post Base", "Hardware/Connectors"),
    ("Hinge", "Hardware/Doors"),
    ("Door Knob", "Hardware/Doors"),
    ("Deadbolt", "Hardware/Doors"),
    ("Stud", "Lumber/Framing"),
    ("Treated Lumber", "Lumber/Framing"),
    ("Plywood", "Lumber/Sheets"),
    ("OSB Sheathing", "Lumber/Sheets"),
    ("Composite Decking", "Lumber/Decking"),
    ("Cedar Board", "Lumber/Boards"),
    ("Eggshell Paint", "Paint/Interior"),
    ("Satin Paint", "Paint/Interior"),
    ("Semi-Gloss Paint", "Paint/Interior"),
    ("Exterior Stain", "Paint/Exterior"),
    ("Primer", "Paint/Primers"),
    ("Wood Glue", "Paint/Adhesives"),
    ("Angle Brush", "Paint/Applicators"),
    ("Roller Cover", "Paint/Applicators"),
    ("Circular Saw Blade", "Tools/Blades"),
    ("Jigsaw Blade", "Tools/Blades"),
    ("Drill Bit", "Tools/Bits"),
    ("Impact Driver", "Tools/Power"),
    ("Table Saw", "Tools/Power"),
    ("Claw Hammer", "Tools/Hand"),
    ("Tape Measure", "Tools/Hand"),
    ("Copper Pipe", "Plumbing/Pipe"),
    ("PVC Elbow", "Plumbing/Fittings"),
    ("Ball Valve", "Plumbing/Valves"),
    ("Wire Nut", "Electrical/Connectors"),
    ("Dimmer Switch", "Electrical/Switches"),
];

const FINISHES: [&str; 12] = [
    "Zinc",
    "Galvanized",
    "Stainless",
    "Black",
    "Bronze",
    "Brass",
    "White",
    "Coarse",
    "Fine",
    "Select",
    "Premium",
    "Heavy Duty",
];

const SYLLABLES: [&str; 24] = [
    "tor", "ven", "max", "pro", "lin", "dar", "gal", "fen", "ro", "ka", "mi", "so", "bel", "qui", "zan", "tri", "lo",
    "ne", "wick", "ham", "ster", "ford", "ley", "by",
];

/// Series that there are: the first ones have very many products, the last ones a few.
const SERIES: f64 = 12_000.0;

/// The product of a number from 1 on; what a tenth of them is called depends on the edition.
pub(super) fn row(number: i64, edition: i64) -> ImportRow {
    let mut random = fastrand::Rng::with_seed(SEED ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let (maker, code) = MAKERS[random.usize(..MAKERS.len())];
    let (noun, category) = NOUNS[random.usize(..NOUNS.len())];
    let finish = FINISHES[random.usize(..FINISHES.len())];
    let series = series((random.f64().powi(3) * SERIES) as usize);
    let size = match random.u8(..4) {
        0 => format!("#{} x {}-{}/8\"", random.u8(4..15), random.u8(1..5), random.u8(1..8)),
        1 => format!(
            "{}x{}x{} ft",
            [1, 2, 4, 6][random.usize(..4)],
            [4, 6, 8, 10, 12][random.usize(..5)],
            random.u8(6..21)
        ),
        2 => format!("{}/{} in", [1, 3, 5, 7][random.usize(..4)], [4, 8, 16, 32][random.usize(..4)]),
        _ => format!("{} mm", random.u16(2..400)),
    };
    let edition = if number % 10 == 0 { edition } else { 0 };
    ImportRow {
        line: number,
        name: format!("{maker} {series} {finish} {noun} {size}, {} ct", random.u16(1..500) as i64 + edition),
        category: format!("{category}/{finish}"),
        // An odd factor gives each number a code of its own, spread over the index.
        sku: format!("{code}-{:08X}", (number as u32).wrapping_mul(2_654_435_761)),
    }
}

/// A series by its place: a name of two to three syllables and a number.
fn series(place: usize) -> String {
    let part = |n: usize| SYLLABLES[n % SYLLABLES.len()];
    let name =
        format!("{}{}{}", part(place), part(place / 24 + place), if place > 2_000 { part(place / 576) } else { "" });
    let mut letters = name.chars();
    let first = letters.next().unwrap_or('x').to_ascii_uppercase();
    format!("{first}{}{}", letters.as_str(), 100 + place % 900)
}
