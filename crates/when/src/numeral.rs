//! Numbers in words.

use crate::scan::Scan;

const DIGITS: &str = "〇一二三四五六七八九";

const ENGLISH: &[(&str, i32)] = &[
    ("a couple of", 2),
    ("a", 1),
    ("an", 1),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
    ("ten", 10),
    ("eleven", 11),
    ("twelve", 12),
    ("fifteen", 15),
    ("twenty", 20),
    ("thirty", 30),
];

/// `three`, `a`, `a couple of`.
pub(crate) fn english(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    ENGLISH.iter().find_map(|(words, number)| Some((*number, scan.words(words)?)))
}

fn digit(c: char) -> Option<i32> {
    match c {
        '两' => Some(2),
        _ => DIGITS.chars().position(|digit| digit == c).map(|digit| digit as i32),
    }
}

/// `三`, `二十三`, `廿三`, `一百二十`, `二〇二六`: all that stands here, right here.
pub(crate) fn chinese(scan: Scan<'_>) -> Option<(i32, Scan<'_>)> {
    let is_part = |c: char| digit(c).is_some() || "十百廿卅".contains(c);
    let len: usize = scan.0.chars().take_while(|c| is_part(*c)).map(char::len_utf8).sum();
    let (said, rest) = scan.0.split_at(len);
    let number = value(said)?;
    Some((number, Scan(rest)))
}

fn value(said: &str) -> Option<i32> {
    let count = said.chars().count();
    if count == 0 || count > 6 {
        return None;
    }
    // Digit by digit: 二〇二六, 〇五. Two others in a row are *some*: 两三天前.
    if let Some(digits) = said.chars().map(digit).collect::<Option<Vec<_>>>() {
        return match digits[..] {
            [_] | [0, _] | [_, _, _, _] => {
                Some(digits.iter().fold(0, |number, digit| number * 10 + digit))
            }
            _ => None,
        };
    }
    let (mut sum, mut open, mut least) = (0, None, 1000);
    for c in said.chars() {
        let unit = match c {
            '百' => 100,
            '十' => 10,
            '廿' | '卅' => {
                if open.is_some() || least <= 10 {
                    return None;
                }
                sum += if c == '廿' { 20 } else { 30 };
                least = 10;
                continue;
            }
            _ => {
                let digit = digit(c)?;
                // The 〇 of 一百〇三 says that there are no tens.
                if open.is_some_and(|open| open != 0) || (open.is_none() && least == 1) {
                    return None;
                }
                open = Some(digit);
                continue;
            }
        };
        if unit >= least || open == Some(0) {
            return None;
        }
        sum += unit * open.take().unwrap_or(1);
        least = unit;
    }
    Some(sum + open.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_numbers() {
        for (said, number) in [
            ("三", 3),
            ("两", 2),
            ("十", 10),
            ("十一", 11),
            ("二十", 20),
            ("二十三", 23),
            ("廿三", 23),
            ("卅", 30),
            ("一百", 100),
            ("一百二十", 120),
            ("一百〇三", 103),
            ("二〇二六", 2026),
            ("〇五", 5),
        ] {
            assert_eq!(value(said), Some(number), "{said}");
        }
        for said in ["", "十十", "二二二", "十二三", "百百", "〇十", "三廿"] {
            assert_eq!(value(said), None, "{said}");
        }
    }
}
