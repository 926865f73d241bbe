//! The log of `strace -f -y -xx`, and what follows from its order.

use std::collections::BTreeMap;

/// What [`Log::is_flushed_before`] says when nothing like it was sent at all.
pub(crate) const NOT_SENT: &str = "was never sent";

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Call {
    kind: Kind,
    /// The file or socket, as `-y` tells it.
    file: Vec<u8>,
    /// What was written or sent, buffer by buffer.
    strings: Vec<Vec<u8>>,
    /// The line of its beginning, and that of its end where it came to one.
    begin: usize,
    end: Option<usize>,
    succeeded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Flush,
    Send,
}

impl Kind {
    fn of(name: &str) -> Option<Self> {
        match name {
            "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2" => Some(Self::Write),
            // The others that are traced flush no metadata, or only parts.
            "fsync" | "fdatasync" => Some(Self::Flush),
            "sendto" | "sendmsg" | "sendmmsg" => Some(Self::Send),
            _ => None,
        }
    }
}

/// The calls of a process and all its threads, in the order in which they began.
pub(crate) struct Log {
    calls: Vec<Call>,
}

impl Log {
    pub(crate) fn parse(text: &str) -> Self {
        let mut calls: Vec<Call> = Vec::new();
        // Where a thread's call was not over when another thread's came.
        let mut unfinished = BTreeMap::new();
        for (number, line) in text.lines().enumerate() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let rest = rest.trim_start();
            let finished = !rest.ends_with("<unfinished ...>");
            let succeeded = finished && has_succeeded(rest);
            if rest.starts_with("<... ") {
                if let Some(at) = unfinished.remove(thread) {
                    let call: &mut Call = &mut calls[at];
                    (call.end, call.succeeded) = (Some(number), succeeded);
                    // Of `sendmmsg`, what was sent is told with what came of it.
                    call.strings.extend(strings(rest));
                }
                continue;
            }
            let Some((name, arguments)) = rest.split_once('(') else { continue };
            let Some(kind) = Kind::of(name) else { continue };
            if !finished {
                unfinished.insert(thread, calls.len());
            }
            let file = arguments.split_once('<').and_then(|(_, file)| file.split_once('>'));
            calls.push(Call {
                kind,
                file: file.map_or_else(Vec::new, |(file, _)| unescaped(file)),
                strings: strings(arguments).collect(),
                begin: number,
                end: finished.then_some(number),
                succeeded,
            });
        }
        Self { calls }
    }

    /// Whether a file whose name ends like this was written with these bytes in it, and then flushed to the end, before
    /// any send began of which `is_it` says that it tells of them.
    ///
    /// # Errors
    /// With what is lacking.
    pub(crate) fn is_flushed_before(
        &self,
        file: &str,
        bytes: &[u8],
        is_it: impl Fn(&[u8]) -> bool,
    ) -> Result<(), String> {
        let what = String::from_utf8_lossy(bytes);
        let of_file = |call: &&Call| call.file.ends_with(file.as_bytes()) && call.succeeded;
        let written = self.calls.iter().filter(|call| call.kind == Kind::Write).filter(of_file);
        let written = written
            .filter(|call| call.strings.iter().any(|string| find(string, bytes).next().is_some()))
            .find_map(|call| call.end)
            .ok_or_else(|| format!("{what}: was never written to {file}"))?;
        let flushed = self.calls.iter().filter(|call| call.kind == Kind::Flush).filter(of_file);
        let flushed = flushed
            .filter(|call| call.begin > written)
            .filter_map(|call| call.end)
            .min()
            .ok_or_else(|| format!("{what}: {file} was not flushed after line {written}"))?;
        let sent = self.calls.iter().filter(|call| call.kind == Kind::Send);
        let sent = sent
            .filter(|call| call.strings.iter().any(|string| is_it(string)))
            .map(|call| call.begin)
            .min()
            .ok_or_else(|| format!("{what}: {NOT_SENT}"))?;
        if sent > flushed {
            return Ok(());
        }
        Err(format!("{what}: sent in line {sent}, flushed in line {flushed}"))
    }
}

/// The places where `part` is in `whole`.
pub(crate) fn find(whole: &[u8], part: &[u8]) -> impl Iterator<Item = usize> {
    whole.windows(part.len()).enumerate().filter(move |(_, at)| *at == part).map(|(at, _)| at)
}

/// What the call returned is the last that the line says.
fn has_succeeded(line: &str) -> bool {
    line.rsplit_once(") ").is_some_and(|(_, rest)| {
        let result = rest.trim_start().strip_prefix("= ");
        result.is_some_and(|result| result.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// The strings of a line. None has a quotation mark in it, as each byte is two digits.
fn strings(line: &str) -> impl Iterator<Item = Vec<u8>> {
    line.split('"').skip(1).step_by(2).map(unescaped)
}

/// The bytes of a string in which each is `\x` and two digits; what is not stays as it is.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.bytes().next() {
        let byte = rest.strip_prefix("\\x").and_then(|rest| rest.get(..2));
        if let Some(byte) = byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &rest[4..];
        } else {
            bytes.push(first);
            let len = rest.chars().next().map_or(1, char::len_utf8);
            rest = &rest[len..];
        }
    }
    bytes
}

/// A log of these lines; `W`, `F` and `S` stand for a write of "tea", a flush and a send of "tea".
fn proof(lines: &[&str]) -> Result<(), String> {
    let lines = lines.iter().map(|line| match *line {
        "W" => r#"7 pwrite64(4</d/\x73-wal>, "\x61\x74\x65\x61", 4, 0) = 4"#,
        "F" => "7 fdatasync(4</d/s-wal>)           = 0",
        "S" => {
            r#"6 sendmmsg(9<UDP:[1]>, [{msg_hdr={msg_iov=[{iov_base="\x74\x65\x61"}]}}], 1, 0) = 1"#
        }
        other => other,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Log::parse(&text).is_flushed_before("s-wal", b"tea", |sent| sent == b"tea")
}

#[test]
fn a_note_that_is_written_flushed_and_sent_is_proven() {
    assert_eq!(proof(&["W", "F", "S"]), Ok(()));
    assert_eq!(proof(&["F", "W", "F", "S", "F", "S"]), Ok(()));
    let in_pieces = ["7 fsync(4</d/s-wal> <unfinished ...>", "7 <... fsync resumed>) = 0"];
    assert_eq!(proof(&["W", in_pieces[0], in_pieces[1], "S"]), Ok(()));
    let in_pieces = [
        "6 sendmmsg(9<UDP:[1]>,  <unfinished ...>",
        r#"6 <... sendmmsg resumed>[{"tea"}], 1, 0) = 1"#,
    ];
    assert_eq!(proof(&["W", "F", in_pieces[0], in_pieces[1]]), Ok(()));
    assert!(proof(&["W", in_pieces[0], "F", in_pieces[1]]).is_err());
}

#[test]
fn any_other_order_is_found_out() {
    let begun = "7 fsync(4</d/s-wal> <unfinished ...>";
    let over = "7 <... fsync resumed>)             = 0";
    for (lines, why) in [
        (&["W", "S", "F"][..], "tea: sent in line 1, flushed in line 2"),
        // Another note's flush.
        (&["F", "W", "S"], "tea: s-wal was not flushed after line 1"),
        (&["W", "S"], "tea: s-wal was not flushed after line 0"),
        (&["F", "S"], "tea: was never written to s-wal"),
        (&["W", "F"], "tea: was never sent"),
        // A flush that began before all was written, or was not over.
        (&[begun, "8 pwrite64(4</d/s-wal>, \"tea\", 3, 0) = 3", over, "S"], "not flushed after"),
        (&["W", begun, "S", over], "tea: sent in line 2, flushed in line 3"),
        (&["W", begun, "S"], "tea: s-wal was not flushed after line 0"),
        // One that failed, and one of another file.
        (&["W", "7 fsync(4</d/s-wal>) = -1 EIO (Input/output error)", "S"], "not flushed after"),
        (&["W", "7 fsync(4</d/s.db>) = 0", "S"], "not flushed after"),
        (&["7 pwrite64(4</d/s-wal>, \"tea\", 3, 0) = -1 ENOSPC (x)", "F", "S"], "never written"),
    ] {
        let said = proof(lines).unwrap_err();
        assert!(said.contains(why), "{lines:?}: {said}");
    }
}
