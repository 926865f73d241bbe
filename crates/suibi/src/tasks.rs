//! Tasks in a note: lines with a box, as Markdown has them.
//!
//! ```text
//! - [ ] call mum
//! - [x] buy milk
//! ```

/// A line with a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Task {
    /// The line in the note, from 0.
    pub(crate) line: usize,
    pub(crate) is_done: bool,
    /// What stands after the box.
    pub(crate) text: String,
}

/// The tasks of a note, in its order.
pub(crate) fn tasks(text: &str) -> Vec<Task> {
    let task = |(line, text): (usize, &str)| {
        let mark = mark(text)?;
        let is_done = &text[mark..=mark] != " ";
        Some(Task { line, is_done, text: text[mark + 2..].trim().to_owned() })
    };
    text.split('\n').enumerate().filter_map(task).collect()
}

/// The note with this task done; every other byte stays as it is. None if there is no such task that is still open.
pub(crate) fn ticked(text: &str, task: &Task) -> Option<String> {
    if !tasks(text).iter().any(|is| !is.is_done && is == task) {
        return None;
    }
    let line = |(at, line): (usize, &str)| match mark(line).filter(|_| at == task.line) {
        Some(mark) => format!("{}x{}", &line[..mark], &line[mark + 1..]),
        None => line.to_owned(),
    };
    Some(text.split('\n').enumerate().map(line).collect::<Vec<_>>().join("\n"))
}

/// Where the mark stands in the box of a line, one byte long, if the line has one.
fn mark(line: &str) -> Option<usize> {
    let after = line.trim_start().strip_prefix(['-', '*', '+'])?;
    let boxed = after.trim_start();
    if boxed.len() == after.len() {
        return None;
    }
    let inside = boxed.strip_prefix('[')?;
    let mark = line.len() - inside.len();
    let closed = inside.strip_prefix([' ', 'x', 'X'])?.strip_prefix(']')?;
    let is_text = closed.starts_with(char::is_whitespace) && !closed.trim().is_empty();
    is_text.then_some(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_a_line_with_a_box_and_words() {
        for (line, wanted) in [
            ("- [ ] call mum", Some((false, "call mum"))),
            ("- [x] 买牛奶", Some((true, "买牛奶"))),
            ("  * [X]  twice  ", Some((true, "twice"))),
            ("+ [ ] plus\r", Some((false, "plus"))),
            ("- [ ]　全角空格", Some((false, "全角空格"))),
            ("-[ ] no space", None),
            ("- [] no mark", None),
            ("- [ ]no space", None),
            ("- [ ] ", None),
            ("- [-] other mark", None),
            ("[ ] no dash", None),
            ("see - [ ] in a sentence", None),
            ("- [é] x", None),
            ("", None),
        ] {
            let found = tasks(line);
            let found = found.first().map(|task| (task.is_done, task.text.as_str()));
            assert_eq!(found, wanted, "{line:?}");
        }
    }

    #[test]
    fn ticking_changes_one_byte() {
        let text = "# 今天\r\n- [ ] a\n\n  - [ ] 乙\n- [x] c\n";
        let all = tasks(text);
        assert_eq!(all.iter().map(|task| task.line).collect::<Vec<_>>(), [1, 3, 4]);
        let after = ticked(text, &all[1]).unwrap();
        assert_eq!(after, "# 今天\r\n- [ ] a\n\n  - [x] 乙\n- [x] c\n");
        assert_eq!(ticked(&after, &all[1]), None, "it is done");
        assert_eq!(ticked(text, &all[2]), None, "it was done");
        assert_eq!(ticked("\n- [ ] b\n", &all[0]), None, "another task stands there");
    }
}
