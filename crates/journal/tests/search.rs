//! Tokens and search terms; every run of CJK characters in a text is found.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use suibi_journal::{Folds, SearchLine, Term, Token, tokens};

/// As if no note had any of its words of letters as a word.
fn line(query: &str, folds: Folds) -> SearchLine {
    let mut line = SearchLine::parse(query, folds);
    line.settle(|_| Ok::<_, ()>(false)).unwrap();
    line
}

fn finds(query: &str, text: &str) -> bool {
    line(query, Folds::default()).fits(text)
}

/// `word`, `begin*`, `"several tokens"`.
fn terms(query: &str) -> Vec<String> {
    let words = |tokens: &[Token]| {
        tokens.iter().map(|token| token.word.as_str()).collect::<Vec<_>>().join(" ")
    };
    let terms = SearchLine::parse(query, Folds::default()).terms;
    let written = terms.iter().map(|term| match term.written() {
        Term::Word(word) => word.word.clone(),
        Term::Prefix(start) => format!("{}*", start.word),
        Term::Phrase(tokens) => format!("\"{}\"", words(tokens)),
        Term::Sounding(..) => unreachable!("written"),
    });
    written.collect()
}

#[test]
fn words_are_folded_in_case_width_and_diacritics() {
    assert_eq!(tokens("Café CAFÉ Cafe\u{301} ｃａｆｅ"), ["cafe"; 4]);
    assert_eq!(tokens("Ærø ΟΔΟΣ οδος İstanbul"), ["ærø", "οδοσ", "οδοσ", "istanbul"]);
    assert_eq!(tokens("①②  ½ ﬁn"), ["12", "1", "2", "fin"]);
    assert_eq!(tokens(""), [] as [&str; 0]);
    assert_eq!(tokens(" \n…—!? 🎉"), [] as [&str; 0]);
}

#[test]
fn each_cjk_character_is_a_token() {
    assert_eq!(tokens("买牛奶，明天。"), ["买", "牛", "奶", "明", "天"]);
    assert_eq!(tokens("iPhone15手机"), ["iphone15", "手", "机"]);
    assert_eq!(tokens("Ｗｉ－Ｆｉ密码"), ["wi", "fi", "密", "码"]);
    assert_eq!(tokens("カメラ ｶﾒﾗ が ｶﾞ"), ["カ", "メ", "ラ", "カ", "メ", "ラ", "が", "ガ"]);
    assert_eq!(tokens("한국어 \u{1112}\u{1161}\u{11ab}"), ["한", "국", "어", "한"]);
    // 𠮷 and 𰻝 lie beyond the basic plane; 々 repeats the character before.
    assert_eq!(tokens("𠮷野家𰻝面 時々"), ["𠮷", "野", "家", "𰻝", "面", "时", "々"]);
    // A variation selector picks a glyph, not another character.
    assert_eq!(tokens("葛\u{E0100}城"), ["葛", "城"]);
}

#[test]
fn what_joins_words_cuts() {
    assert_eq!(tokens("can't don’t"), ["can", "t", "don", "t"]);
    assert_eq!(
        tokens("example.com snake_case 3.14"),
        ["example", "com", "snake", "case", "3", "14"]
    );
    assert_eq!(tokens("a@b #tag"), ["a", "b", "tag"]);
    // A vowel mark whose letter was cut off by the apostrophe.
    assert_eq!(tokens("a'\u{730}ں"), ["a", "ں"]);
}

#[test]
fn a_search_line_has_words_beginnings_and_phrases() {
    for (query, expected) in [
        ("Green TEA", &["green", "tea"][..]),
        ("gre*", &["gre*"]),
        ("\"green tea\" cup", &["\"green tea\"", "cup"]),
        ("“绿 茶” \"open end", &["\"绿 茶\"", "\"open end\""]),
        ("手机 茶", &["\"手 机\"", "茶"]),
        ("手机*", &["\"手 机\""]),
        ("手机ip*", &["\"手 机\"", "ip*"]),
        ("can't", &["\"can t\""]),
        ("-5 3-4 a -", &["5", "\"3 4\"", "a"]),
        ("手機", &["\"手 机\""]),
        (" * \"\" ?! - -- \u{3000}", &[]),
    ] {
        assert_eq!(terms(query), expected, "{query}");
    }
}

#[test]
fn a_minus_is_without_and_a_sigil_is_a_tag() {
    let text = "green tea with milk #shop @lin/home 喝茶";
    for query in [
        "-coffee",
        "tea -coffee",
        "-\"tea green\"",
        "#shop",
        "@shop tea",
        "@lin",
        "＃Shop",
        "#lin/home",
        "lin/",
        "tea -#food",
        "-喝水",
        "-\"a b",
        "－coffee",
        "#喝茶 喝茶 -",
    ] {
        assert_eq!(finds(query, text), query != "#喝茶 喝茶 -", "{query}");
    }
    for query in ["-tea", "tea -mil*", "-\"green tea\"", "#sho", "#tea", "-#shop", "-@lin", "-喝茶"]
    {
        assert!(!finds(query, text), "{query}");
    }
    // A tag's name is a word of the text as well.
    assert!(finds("shop", text) && finds("home", text) && !finds("-shop", text));
    // What cannot be a tag is words.
    assert!(finds("#1", "gate 1") && finds("@", text));
}

#[test]
fn what_is_taken_for_the_same_can_be_told_apart() {
    let all = Folds::default();
    for (folds, query, text, together) in [
        (Folds { script: false, ..all }, "头发", "頭髮", true),
        (Folds { script: false, ..all }, "书", "看書", true),
        (Folds { script: false, ..all }, "了解", "瞭解", true),
        (Folds { width: false, ..all }, "usb", "ＵＳＢ", true),
        (Folds { width: false, ..all }, "us*", "ＵＳＢ", true),
        (Folds { width: false, ..all }, "カメラ", "ｶﾒﾗ", true),
        (Folds { pinyin: false, ..all }, "beijing", "北京", true),
        (Folds { pinyin: false, ..all }, "bj", "北京", true),
        (Folds { pinyin: false, ..all }, "xi'an", "西安", true),
    ] {
        assert_eq!(line(query, all).fits(text), together, "{query}");
        assert!(!line(query, folds).fits(text), "{query} {folds:?}");
        assert!(line(text, folds).fits(text), "{text} {folds:?}");
        // What is told apart is not what must not be there.
        assert!(line(&format!("-{query}"), folds).fits(text), "{query} {folds:?}");
    }
    // Nothing else is.
    let none = Folds { script: false, width: false, pinyin: false };
    assert!(line("CAFE 手机", none).fits("café 手机"));
}

#[test]
fn a_word_that_somebody_wrote_is_not_taken_for_pinyin_unless_it_must_be() {
    let settled = |query: &str, is_written: bool| {
        let mut line = SearchLine::parse(query, Folds::default());
        line.settle(|_| Ok::<_, ()>(is_written)).unwrap();
        line
    };
    for (query, text, sure) in [
        ("beijing", "去北京", true),
        ("bj", "去北京", true),
        ("he", "和他", false),
        ("cha", "喝茶", false),
        ("aq", "安全", false),
        ("beij", "去北京", false),
        ("my", "没有", false),
    ] {
        assert!(settled(query, false).fits(text), "{query}");
        assert_eq!(settled(query, true).fits(text), sure, "{query}");
        assert!(settled(query, true).fits(&format!("{query}, {text}")), "{query}");
    }
    for (query, text) in
        [("nvhai", "女孩"), ("nǚhái", "女孩"), ("lüse", "绿色"), ("BeiJing", "北京")]
    {
        assert!(finds(query, text), "{query}");
    }
    // Only next to each other, and a minus, a star and quotes mean what is written.
    assert!(!finds("beijing", "京北") && !finds("beijing", "北 of 京"));
    assert!(
        finds("-beijing", "北京") && !finds("beijing*", "北京") && !finds("\"beijing\"", "北京")
    );
}

#[test]
fn places_are_those_of_the_text_as_it_was_written() {
    for (query, text, marked) in [
        ("tea", "Green TEA, tea-time", "Green [TEA], [tea]-time"),
        ("手机", "新手機；手机", "新[手機]；[手机]"),
        ("cafe", "Un CAFÉ ｃａｆｅ́!", "Un [CAFÉ] [ｃａｆｅ́]!"),
        ("te* green", "Green tea 😀", "[Green] [tea] 😀"),
        ("beijing", "我在北京。", "我在[北京]。"),
        ("bj 在", "我在北京。", "我[在北京]。"),
        ("が", "ｶﾞ か\u{3099}", "ｶﾞ [か\u{3099}]"),
        ("家", "👨‍👩‍👧家 é家", "👨‍👩‍👧[家] é[家]"),
        ("-tea #shop", "milk #shop", "milk #shop"),
        ("can't", "I can’t", "I [can’t]"),
    ] {
        let mut shown = text.to_owned();
        for place in line(query, Folds::default()).places(text).iter().rev() {
            shown.insert(place.end, ']');
            shown.insert(place.start, '[');
        }
        assert_eq!(shown, marked, "{query}");
    }
}

#[test]
fn what_fits_better_ranks_higher() {
    let better = |query: &str, one: &str, other: &str| {
        let line = line(query, Folds::default());
        let ranks = (line.rank(one), line.rank(other));
        assert!(ranks.0 > ranks.1, "{query}: {one:?}, {other:?}, {ranks:?}");
    };
    better("beijing", "to Beijing today", "今天去北京");
    better("tea", "tea and tea and tea", "tea and bread and milk");
    better("tea", "tea", &format!("tea {}", "and other things ".repeat(20)));
    better(
        "茶",
        "绿茶",
        "茶叶的味道，以及很多和它没有什么关系的其他事情，今天都记在了这里，明天再看",
    );
}

/// Words and how they are typed.
const PINYIN: &str = include_str!("pinyin.txt");

#[test]
fn words_are_found_by_their_pinyin_and_by_its_first_letters() {
    let mut words = 0;
    let mut missed = Vec::new();
    for entry in PINYIN.lines().filter(|entry| !entry.is_empty()) {
        let (word, syllables) = entry.split_once(' ').unwrap();
        let initials: String =
            syllables.split(' ').filter_map(|syllable| syllable.chars().next()).collect();
        words += 1;
        for typed in [syllables.replace(' ', ""), syllables.replace(' ', "'"), initials] {
            let text = format!("今天说到{word}，很好 ok");
            let line = line(&typed, Folds::default());
            let found = line.fits(&text);
            let is_marked =
                line.places(&text).iter().any(|place| text[place.clone()].contains(word));
            if !(found && is_marked) {
                missed.push(format!("{typed} {word}"));
            }
        }
    }
    println!("{words} words, each typed in three ways: {} not found {missed:?}", missed.len());
    assert!(words >= 300, "{words}");
    assert_eq!(missed, [""; 0]);
}

#[test]
fn all_terms_have_to_be_there() {
    let text = "2026年11月 买了 iPhone15手机, green tea with Lin";
    for query in
        ["", "手机", "机", "买了", "green lin", "iph*", "\"Green  TEA\"", "2026年11月", "年"]
    {
        assert!(finds(query, text), "{query}");
    }
    for query in ["机手", "iphone", "green wine", "\"tea green\"", "phone*", "买手机", "1"] {
        assert!(!finds(query, text), "{query}");
    }
}

fn cjk() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        4 => prop::char::range('\u{4e00}', '\u{9fff}'),
        1 => prop::char::range('\u{3400}', '\u{4dbf}'),
        1 => prop::char::range('\u{20000}', '\u{2a6df}'),
        1 => prop::char::range('\u{30000}', '\u{3134a}'),
        1 => prop::char::range('\u{f900}', '\u{fad9}'),
        1 => prop::char::range('\u{3041}', '\u{3096}'),
        1 => prop::char::range('\u{30a1}', '\u{30fa}'),
        1 => prop::char::range('\u{ac00}', '\u{d7a3}'),
        1 => Just('々'),
    ];
    prop::collection::vec(character, 1..24).prop_map(String::from_iter)
}

proptest! {
    #[test]
    fn every_run_of_cjk_characters_is_found(
        text in cjk(),
        before in "[a-zA-Z0-9 ,。，!]{0,6}",
        after in "[a-zA-Z0-9 ,。，!]{0,6}",
        from in any::<prop::sample::Index>(),
        len in any::<prop::sample::Index>(),
    ) {
        let chars: Vec<char> = text.chars().collect();
        let from = from.index(chars.len());
        let len = 1 + len.index(chars.len() - from);
        let query = String::from_iter(&chars[from..from + len]);
        prop_assert!(!SearchLine::parse(&query, Folds::default()).is_empty());
        let text = format!("{before}{text}{after}");
        prop_assert!(finds(&query, &text), "{} in {}", query, text);
    }

    #[test]
    fn every_text_is_found_by_itself(text in ".{0,40}") {
        let quoted = text.replace(['"', '“', '”', '＂'], " ");
        let query = format!("\"{quoted}\"");
        prop_assert!(finds(&query, &quoted));
    }

    #[test]
    fn every_word_is_found_by_its_beginning(text in ".{0,40}", cut in any::<prop::sample::Index>()) {
        for token in tokens(&text) {
            let chars: Vec<char> = token.chars().collect();
            let beginning = String::from_iter(&chars[..=cut.index(chars.len())]);
            let start = Token { word: beginning, han: None, is_wide: false };
            let mut line = SearchLine::default();
            line.terms.push(Term::Prefix(start));
            prop_assert!(line.fits(&text));
        }
    }

    #[test]
    fn tokens_are_clean_and_fold_to_themselves(text in any::<String>()) {
        let first = tokens(&text);
        for token in &first {
            let is_clean = |c: char| !c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit();
            prop_assert!(!token.is_empty() && token.chars().all(is_clean), "{:?}", token);
        }
        prop_assert_eq!(tokens(&first.join(" ")), first);
    }

    #[test]
    fn no_search_line_is_too_rude(
        any in any::<String>(),
        rude in prop::collection::vec(prop::sample::select(&RUDE[..]), 0..12),
        text in any::<String>(),
    ) {
        for query in [any, rude.concat()] {
            let line = line(&query, Folds::default());
            for term in &line.terms {
                let is_empty = match term.written() {
                    Term::Word(word) | Term::Prefix(word) => word.word.is_empty(),
                    Term::Phrase(words) => words.len() < 2,
                    Term::Sounding(..) => true,
                };
                prop_assert!(!is_empty, "{:?}", query);
            }
            for text in [&text, &query] {
                let fits = line.fits(text);
                let places = line.places(text);
                prop_assert!(!fits || line.rank(text) >= 0.0);
                prop_assert!(places.windows(2).all(|two| two[0].end < two[1].start));
                // They begin and end with characters.
                prop_assert!(places.iter().all(|place| !text[place.clone()].is_empty()));
            }
        }
    }

    #[test]
    fn a_phrase_between_quotes_is_a_phrase_whatever_is_in_it(inside in "[-#@*a-z 北京0-9'.]{1,12}") {
        let line = SearchLine::parse(&format!("\"{inside}\""), Folds::default());
        prop_assert!(line.tags.is_empty() && line.not.is_empty());
        prop_assert!(line.terms.len() <= 1);
        prop_assert!(line.fits(&inside));
    }

    #[test]
    fn where_a_text_fits_it_has_places(text in "[a-c 的一机機]{0,10}", query in "[a-c的一机機]{1,3}") {
        let line = SearchLine::parse(&query, Folds::default());
        prop_assert_eq!(line.fits(&text), !line.places(&text).is_empty());
    }
}

const RUDE: [&str; 24] = [
    "\"", "“", "-", "－", "#", "@", "*", "＊", " ", "\u{3000}", "a", "bj", "beijing", "北", "京",
    "機", "5", "'", "/", "\u{301}", "ü", "-\"", "Ａ", "\u{200d}",
];
