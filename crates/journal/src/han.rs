//! What is known of Chinese characters: the simplified form of each, and how it is read.
//!
//! The tables are made when this is compiled (`build.rs`), of OpenCC's list of characters and of pinyin-data.

include!(concat!(env!("OUT_DIR"), "/han.rs"));

/// The first character of the block by which the tables are numbered; others have no reading here.
const FIRST: u32 = 0x4E00;

/// A character as it is compared: in simplified script. Most are what they are.
///
/// Each by itself: `乾` and `干` are one, although simplified texts have both.
pub(crate) fn simplified(c: char) -> char {
    let near = u32::from(c).checked_sub(FIRST).and_then(|place| SIMPLE.get(place as usize));
    let simple = match near {
        Some(0) => return c,
        Some(simple) if *simple > 1 => u32::from(*simple),
        _ => match SIMPLE_FAR.binary_search_by_key(&u32::from(c), |pair| pair.0) {
            Ok(place) => SIMPLE_FAR[place].1,
            Err(_) => return c,
        },
    };
    char::from_u32(simple).unwrap_or(c)
}

/// A syllable of pinyin without its tone; `v` is the `ü`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Syllable(u16);

impl Syllable {
    /// All there are, in the order of the alphabet.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SYLLABLES.len() as u16).map(Self)
    }

    /// How it is written.
    pub fn name(self) -> &'static str {
        let name = &SYLLABLES[usize::from(self.0)];
        std::str::from_utf8(name).unwrap_or_default().trim_end()
    }

    /// The first letter, 0 for `a` and 25 for `z`, and its number, below 64, among those that begin so.
    pub fn place(self) -> (u8, u8) {
        let [letter, number] = PLACES[usize::from(self.0)];
        (letter, number)
    }
}

/// How a character can be read, the most usual first. None: it is no ideograph of the great block.
pub fn readings(c: char) -> impl Iterator<Item = Syllable> {
    let place = u32::from(c).checked_sub(FIRST).and_then(|place| READINGS.get(place as usize));
    let place = place.map_or(0, |place| usize::from(*place));
    let len = usize::from(SETS[place]);
    SETS[place + 1..place + 1 + len].iter().map(|id| Syllable(*id))
}

/// All characters that have a reading.
pub(crate) fn read_characters() -> impl Iterator<Item = char> {
    let all = (FIRST..).zip(&READINGS).filter(|(_, place)| **place > 0);
    all.filter_map(|(code, _)| char::from_u32(code))
}
