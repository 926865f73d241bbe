use super::*;

/// A listener and the clock beside it.
struct Scene {
    now: Instant,
    plain: Plain,
}

impl Scene {
    fn new(words: Words, reply: Reply) -> Self {
        let now = Instant::now();
        let rules = PlainRules { words, reply, ..PlainRules::default() };
        Self { now, plain: Plain::new(now, rules) }
    }

    fn course() -> Self {
        Self::new(Words::Course, Reply::Auto)
    }

    fn say(&mut self, port: u16, datagram: impl AsRef<[u8]>) -> Action {
        self.say_from(([127, 0, 0, 1], port).into(), datagram)
    }

    fn say_from(&mut self, address: SocketAddr, datagram: impl AsRef<[u8]>) -> Action {
        self.plain.handle_datagram(self.now, address.into(), datagram.as_ref())
    }
}

fn kept(action: &Action) -> Option<(&str, Option<&[u8]>)> {
    match action {
        Action::Keep { text, echo, .. } => Some((text, echo.as_deref())),
        _ => None,
    }
}

fn is_history(action: &Action) -> bool {
    matches!(action, Action::History(_))
}

const EXTRA_WORDS: [&str; 17] = [
    "p",
    "P",
    "R",
    "pre",
    "s",
    "syn",
    "test",
    "-login",
    "l",
    "list",
    "diary",
    "read",
    "history",
    "HANDSHAKE_54857",
    "hi",
    "-r",
    "open",
];

#[test]
fn rule_1_a_datagram_is_a_message_with_or_without_its_line_end() {
    let mut scene = Scene::course();
    for (datagram, text) in [
        ("note", "note"),
        ("note\n", "note"),
        ("note\r\n", "note"),
        ("a\nb\n", "a\nb"),
        (" x ", " x "),
    ] {
        assert_eq!(kept(&scene.say(1, datagram)), Some((text, Some(datagram.as_bytes()))));
    }
    assert!(is_history(&scene.say(1, "r\n")));
    assert!(is_history(&scene.say(1, "sync\r\n")));
}

#[test]
fn rule_2_history_words_are_compared_whole() {
    let mut course = Scene::course();
    let mut compat = Scene::new(Words::Compat, Reply::Auto);
    for word in ["r", "sync"] {
        assert!(is_history(&course.say(1, word)));
        assert!(is_history(&compat.say(1, word)));
    }
    for word in EXTRA_WORDS {
        assert_eq!(kept(&course.say(2, word)).map(|(text, _)| text), Some(word));
        assert!(is_history(&compat.say(2, word)), "{word}");
    }
    for text in ["r ", " r", "Sync", "rr", "sync now", "read me", "-R"] {
        assert_eq!(kept(&course.say(2, text)).map(|(text, _)| text), Some(text));
        assert_eq!(kept(&compat.say(2, text)).map(|(text, _)| text), Some(text));
    }
}

#[test]
fn rule_3_auto_goes_by_the_first_datagram_of_an_address() {
    let mut scene = Scene::course();
    assert!(is_history(&scene.say(1, "sync")));
    assert_eq!(kept(&scene.say(1, "silent")), Some(("silent", None)));
    assert!(is_history(&scene.say(1, "r")));

    assert_eq!(kept(&scene.say(2, "answered")), Some(("answered", Some(&b"answered"[..]))));
    assert!(is_history(&scene.say(2, "r")));
    assert_eq!(kept(&scene.say(2, "still")), Some(("still", Some(&b"still"[..]))));
}

#[test]
fn rule_3_with_compat_some_words_begin_silence_and_others_do_not() {
    let mut scene = Scene::new(Words::Compat, Reply::Auto);
    let silencing = ["r", "sync", "pre", "syn", "history", "test", "-login", "HANDSHAKE_54857"];
    for (port, word) in (1..).zip(silencing) {
        assert!(is_history(&scene.say(port, word)));
        assert_eq!(kept(&scene.say(port, "note")), Some(("note", None)), "{word}");
    }
    for (port, word) in (100..).zip(EXTRA_WORDS.into_iter().filter(|w| !silencing.contains(w))) {
        assert!(is_history(&scene.say(port, word)));
        assert_eq!(kept(&scene.say(port, "note")), Some(("note", Some(&b"note"[..]))), "{word}");
    }
}

#[test]
fn rule_3_always_and_never_do_not_look_at_the_first_datagram() {
    let mut always = Scene::new(Words::Course, Reply::Always);
    assert!(is_history(&always.say(1, "r")));
    assert_eq!(kept(&always.say(1, "note")), Some(("note", Some(&b"note"[..]))));

    let mut never = Scene::new(Words::Course, Reply::Never);
    assert_eq!(kept(&never.say(1, "note")), Some(("note", None)));
    assert!(is_history(&never.say(1, "r")));
    assert_eq!(never.say(1, ""), Action::Nothing);
    assert_eq!(never.say(1, "q"), Action::Nothing);
    assert_eq!(never.say(1, "?"), Action::Nothing);
}

#[test]
fn rule_3_the_table_of_addresses_is_bounded_and_forgets_after_a_day() {
    let mut scene = Scene::course();
    assert!(is_history(&scene.say(1, "r")));
    for port in 10_000..20_000 {
        scene.say(port, "x");
    }
    assert_eq!(kept(&scene.say(1, "silent")), Some(("silent", None)));
    scene.now += SESSION_LIFETIME;
    assert_eq!(kept(&scene.say(1, "new here")), Some(("new here", Some(&b"new here"[..]))));
}

#[test]
fn rule_4_the_answer_to_a_note_is_an_echo_of_its_bytes() {
    let mut scene = Scene::course();
    let gb18030 = b"\xbd\xf1\xcc\xec\r\n";
    assert_eq!(kept(&scene.say(1, gb18030)), Some(("今天", Some(&gb18030[..]))));
}

#[test]
fn rule_5_an_empty_datagram_is_neither_a_note_nor_an_end() {
    let mut scene = Scene::course();
    for empty in ["", "\n", "\r\n"] {
        assert!(is_history(&scene.say(1, empty)));
    }
    scene.say(2, "r");
    assert_eq!(scene.say(2, ""), Action::Nothing);
    assert_eq!(kept(&scene.say(2, "goes on")), Some(("goes on", None)));
}

#[test]
fn rule_6_words_of_parting_and_help_are_not_kept() {
    let mut scene = Scene::course();
    scene.say(2, "r");
    for word in ["q", "quit", "exit", "e", "bye"] {
        assert_eq!(scene.say(1, word), Action::Reply(Bytes::from_static(word.as_bytes())));
        assert_eq!(scene.say(2, word), Action::Nothing);
    }
    for word in ["h", "help", "?"] {
        assert_eq!(scene.say(1, word), Action::Reply(Bytes::from_static(HELP.as_bytes())));
        assert_eq!(scene.say(2, word), Action::Nothing);
    }
    assert!(HELP.len() <= PlainRules::default().max_bytes);
    assert!(kept(&scene.say(1, "still serving")).is_some());
}

fn style(encoding: Encoding, max_bytes: usize) -> HistoryStyle {
    HistoryStyle { encoding, max_bytes, line_feed: false }
}

#[test]
fn rule_7_the_history_holds_the_newest_whole_lines_that_fit() {
    let text = "one\ntwo\nthree\n";
    let utf8 = |max| history(text, style(Encoding::Utf8, max));
    assert_eq!(&utf8(13)[..], b"one\ntwo\nthree");
    assert_eq!(&utf8(12)[..], b"two\nthree");
    assert_eq!(&utf8(9)[..], b"two\nthree");
    assert_eq!(&utf8(8)[..], b"three");
    assert_eq!(&utf8(5)[..], b"three");
    assert_eq!(&utf8(4)[..], b"thre");
    assert_eq!(&utf8(0)[..], b"");
    let style = HistoryStyle { line_feed: true, ..style(Encoding::Utf8, 10) };
    assert_eq!(&history(text, style)[..], b"two\nthree\n");
    assert_eq!(history("", style), "(no notes\n");
}

#[test]
fn rule_7_no_character_is_ever_cut() {
    let text = "昨天\n今天";
    for max_bytes in 0..=20 {
        for encoding in [Encoding::Utf8, Encoding::Gb18030] {
            let datagram = history(text, style(encoding, max_bytes));
            assert!(datagram.len() <= max_bytes);
            let (back, _) = Encoding::decode(&datagram);
            assert!(["", "今", "今天", text].contains(&&*back), "{back}");
        }
    }
    assert_eq!(history(text, style(Encoding::Utf8, 13)), text);
    assert_eq!(history(text, style(Encoding::Utf8, 12)), "今天");
    assert_eq!(
        &history(text, style(Encoding::Gb18030, 9))[..],
        b"\xd7\xf2\xcc\xec\n\xbd\xf1\xcc\xec"
    );
}

#[test]
fn rule_7_an_empty_journal_says_so() {
    assert_eq!(history("", style(Encoding::Utf8, 1024)), "(no notes yet)");
    let mut scene = Scene::course();
    let Action::History(style) = scene.say(1, "r\n") else { panic!("no history") };
    assert_eq!((style.max_bytes, style.line_feed), (1024, true));
    assert_eq!(history("", style), "(no notes yet)\n");
}

#[test]
fn rule_8_bytes_of_any_encoding_are_kept_without_loss() {
    let mut scene = Scene::course();
    for datagram in [&b"\xbd\xf1\xcc\xec"[..], b"\xff\xfe\x00", b"caf\xe9", "今天".as_bytes()] {
        let Action::Keep { text, encoding, .. } = scene.say(1, datagram) else {
            panic!("{datagram:?} is no note")
        };
        assert_eq!(&*encoding.encode(&text), datagram);
    }
}

#[test]
fn rule_8_a_history_comes_in_the_encoding_in_which_the_address_writes() {
    let mut scene = Scene::course();
    let mut encoding_after = |port, datagram: &[u8]| {
        scene.say(port, datagram);
        match scene.say(port, "r") {
            Action::History(style) => style.encoding,
            action => panic!("{action:?}"),
        }
    };
    assert_eq!(encoding_after(1, b"ascii"), Encoding::Utf8);
    assert_eq!(encoding_after(1, b"\xbd\xf1\xcc\xec"), Encoding::Gb18030);
    assert_eq!(encoding_after(1, b"ascii again"), Encoding::Gb18030);
    assert_eq!(encoding_after(1, b"\xff"), Encoding::Gb18030);
    assert_eq!(encoding_after(2, b"another address"), Encoding::Utf8);
    assert_eq!(encoding_after(1, "今天".as_bytes()), Encoding::Utf8);
}

#[test]
fn rule_9_the_source_is_kept_with_the_note() {
    let mut scene = Scene::course();
    let address: SocketAddr = "[::1]:4242".parse().unwrap();
    let Action::Keep { source, .. } = scene.say_from(address, "note") else { panic!("no note") };
    assert_eq!(source, address);
}

#[test]
fn rule_9_an_address_beyond_loopback_is_limited_over_all_its_ports() {
    let mut scene = Scene::course();
    let from = |port| SocketAddr::from(([192, 0, 2, 1], port));
    let answered = (1..1000).filter(|&port| is_history(&scene.say_from(from(port), "r"))).count();
    assert_eq!(answered, DISTANT_RATE.burst as usize);
    assert!(is_history(&scene.say_from(([192, 0, 2, 2], 1).into(), "r")));
    scene.now += Duration::from_secs(1);
    let answered = (1..1000).filter(|&port| is_history(&scene.say_from(from(port), "r"))).count();
    assert_eq!(answered, 20, "one in each 50 ms");
}

#[test]
fn rule_9_a_person_or_a_script_on_loopback_never_meets_a_limit() {
    let mut scene = Scene::course();
    assert!((0..10_000).all(|_| kept(&scene.say(1, "note")).is_some()));
}

#[test]
fn no_datagram_of_any_length_is_a_surprise() {
    let mut scene = Scene::course();
    for len in 1..1500 {
        assert!(kept(&scene.say(1, vec![b'x'; len])).is_some());
        assert!(kept(&scene.say(1, vec![0xff; len])).is_some());
    }
    assert_eq!(scene.say(0, "from port 0"), Action::Nothing);
}
