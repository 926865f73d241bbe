//! What is a tag, and what only looks like one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use suibi_journal::{fold_tag, tags};

fn shown(text: &str) -> Vec<String> {
    tags(text).iter().map(ToString::to_string).collect()
}

fn none(text: &str) {
    assert_eq!(shown(text), [] as [&str; 0], "{text}");
}

#[test]
fn tags_are_found_in_both_languages() {
    assert_eq!(shown("milk @shop, #Home!"), ["@shop", "#home"]);
    assert_eq!(shown("今天#工作，和@小林 吃饭。#生活"), ["#工作", "@小林", "#生活"]);
    assert_eq!(shown("＃日记 ＠Ｌｉｎ"), ["#日记", "@lin"]);
    assert_eq!(shown("(#a) [#b] “#c” —#d *#e*"), ["#a", "#b", "#c", "#d", "#e"]);
    assert_eq!(shown("#café #CAFÉ #cafe"), ["#café", "#cafe"]);
    assert_eq!(
        shown("#𠮷野家 #일기 #にっき #2026计划"),
        ["#𠮷野家", "#일기", "#にっき", "#2026计划"]
    );
}

#[test]
fn names_may_be_nested_and_joined() {
    assert_eq!(
        shown("#work/meeting/q3 #to-do #snake_case"),
        ["#work/meeting/q3", "#to-do", "#snake_case"]
    );
    assert_eq!(shown("#工作／会议"), ["#工作/会议"]);
    assert_eq!(shown("#end- #end2/ #a--b #c//d"), ["#end", "#end2", "#a", "#c"]);
}

#[test]
fn each_name_comes_once_whatever_its_sigil() {
    assert_eq!(shown("@Shop then #shop and @SHOP"), ["@shop"]);
}

#[test]
fn what_only_looks_like_a_tag_is_none() {
    none("# Heading\n## Second\n###third");
    none("#1 and #42, &#39; &#x27;");
    none("me@example.com, 小林@example.com <a.b@c.org>");
    none("https://example.com/page#part https://example.com/#/@user?x=#y");
    none("见https://zh.example.org/随笔#历史");
    none("www.example.com/#top HTTP://EXAMPLE.COM/#TOP");
    none("C# F#m a@b a_#c a/#b ##b");
    none(r"\#escaped \@escaped");
    none("#¼ #½a");
    none("@ # ＃ ＠ #- #/a #_ @");
}

#[test]
fn a_name_of_a_hundred_characters_is_the_longest() {
    assert_eq!(shown(&format!("#{}", "长".repeat(100))).len(), 1);
    none(&format!("#{}", "长".repeat(101)));
}

#[test]
fn a_tag_after_a_url_counts() {
    assert_eq!(shown("https://example.com/a#b #after"), ["#after"]);
    assert_eq!(shown("见https://example.com/a#b。#后面"), ["#后面"]);
}

#[test]
fn a_name_is_asked_for_with_or_without_its_sigil() {
    assert_eq!(fold_tag("@Shop"), "shop");
    assert_eq!(fold_tag("＃ＷＯＲＫ"), "work");
    assert_eq!(fold_tag("工作/会议"), "工作/会议");
}

proptest! {
    #[test]
    fn what_is_shown_is_found_again(text in any::<String>()) {
        for tag in tags(&text) {
            prop_assert_eq!(fold_tag(&tag.name), tag.name.clone());
            prop_assert_eq!(tags(&tag.to_string()), vec![tag]);
        }
    }

    #[test]
    fn a_tag_between_words_is_found(name in "[a-z][a-z0-9]{0,8}|[\u{4e00}-\u{9fff}]{1,6}") {
        prop_assert_eq!(shown(&format!("word @{name} word")), vec![format!("@{name}")]);
        prop_assert_eq!(shown(&format!("我#{name}，")), vec![format!("#{name}")]);
    }

    #[test]
    fn no_text_is_too_rude(text in "[#@＃＠/a:.w手1 -]{0,24}") {
        let _ = tags(&text);
    }
}
