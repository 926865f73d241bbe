//! One spelling: full width becomes half width, capitals small, traditional characters simplified as far as we know them.

/// The text in the spelling that the rest of the crate reads.
pub(crate) fn fold(text: &str) -> String {
    text.trim().chars().flat_map(|c| one(c).to_lowercase()).collect()
}

fn one(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(c as u32 - 0xff01 + 0x21).expect("these are the ASCII ones")
        }
        '〜' => '~',
        '–' | '—' | '‐' | '‑' | '−' => '-',
        '’' => '\'',
        '、' => ',',
        '∶' => ':',
        '○' | '零' => '〇',
        '點' => '点',
        '後' => '后',
        '週' => '周',
        '個' => '个',
        '號' => '号',
        '鐘' | '鍾' => '钟',
        '時' => '时',
        '這' => '这',
        '禮' => '礼',
        '裡' | '裏' => '里',
        '兩' => '两',
        '間' => '间',
        '從' => '从',
        '過' => '过',
        '來' => '来',
        '開' => '开',
        '當' => '当',
        '內' => '内',
        '剛' => '刚',
        '現' => '现',
        '歲' => '岁',
        '黃' => '黄',
        c if c.is_whitespace() => ' ',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_case_and_characters() {
        assert_eq!(fold(" Ｎｏｖ　２３ "), "nov 23");
        assert_eq!(fold("昨天１５：３０"), "昨天15:30");
        assert_eq!(fold("上週五 9點"), "上周五 9点");
    }
}
