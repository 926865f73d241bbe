//! Tokens and search terms; every run of CJK characters in a text is found.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use suibi_journal::{Term, matches, parse_search, tokens};

fn finds(query: &str, text: &str) -> bool {
    matches(&tokens(text), &parse_search(query))
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
    assert_eq!(tokens("𠮷野家𰻝面 時々"), ["𠮷", "野", "家", "𰻝", "面", "時", "々"]);
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
    let word = |word: &str| Term::Word(word.to_owned());
    let phrase = |words: &[&str]| Term::Phrase(words.iter().map(|w| (*w).to_owned()).collect());
    assert_eq!(parse_search("Green TEA"), [word("green"), word("tea")]);
    assert_eq!(parse_search("gre*"), [Term::Prefix("gre".to_owned())]);
    assert_eq!(parse_search("\"green tea\" cup"), [phrase(&["green", "tea"]), word("cup")]);
    assert_eq!(
        parse_search("“绿 茶” \"open end"),
        [phrase(&["绿", "茶"]), phrase(&["open", "end"])]
    );
    assert_eq!(parse_search("手机 茶"), [phrase(&["手", "机"]), word("茶")]);
    assert_eq!(parse_search("手机*"), [phrase(&["手", "机"])]);
    assert_eq!(parse_search("手机ip*"), [phrase(&["手", "机"]), Term::Prefix("ip".to_owned())]);
    assert_eq!(parse_search("can't"), [phrase(&["can", "t"])]);
    assert_eq!(parse_search(" * \"\" ?! "), []);
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
        prop_assert!(!parse_search(&query).is_empty());
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
            prop_assert!(matches(&tokens(&text), &[Term::Prefix(beginning)]));
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
    fn no_search_line_is_too_rude(line in any::<String>()) {
        for term in parse_search(&line) {
            let is_empty = match term {
                Term::Word(word) | Term::Prefix(word) => word.is_empty(),
                Term::Phrase(words) => words.len() < 2,
            };
            prop_assert!(!is_empty);
        }
    }
}
