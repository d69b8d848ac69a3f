//! Which language a text is written in, as far as this project tells them apart.

/// A Chinese character says about as much as an English word, which has about four letters: the
/// Chinese share is measured in words, so "CAPM与APT的区别" is Chinese.
const LETTERS_PER_CHARACTER: usize = 4;

/// `zh` when Chinese characters make up at least half of the words of `texts`, else `en`.
pub fn detect(texts: &[&str]) -> &'static str {
    let (chinese, latin) = words(texts);
    if chinese > 0.0 && chinese >= latin { "zh" } else { "en" }
}

/// Words of `texts` in Chinese and in Latin letters.
pub(super) fn words(texts: &[&str]) -> (f64, f64) {
    let (mut chinese, mut letters) = (0usize, 0usize);
    for text in texts {
        for c in text.chars() {
            if c.is_ascii_alphabetic() {
                letters += 1;
            } else if is_chinese(c) {
                chinese += 1;
            }
        }
    }
    (chinese as f64, letters as f64 / LETTERS_PER_CHARACTER as f64)
}

/// CJK ideographs: the basic block, extension A, the compatibility block and the supplementary planes.
fn is_chinese(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{323af}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixed_text_goes_to_the_language_that_carries_it() {
        assert_eq!(detect(&["什么是可转债？"]), "zh");
        assert_eq!(detect(&["CAPM与APT的联系与区别"]), "zh");
        assert_eq!(detect(&["What is a convertible bond?"]), "en");
        assert_eq!(detect(&["What does 可转债 mean in a fund's annual report?"]), "en");
        assert_eq!(detect(&["1 + 1 = ?", ""]), "en");
        assert_eq!(detect(&[]), "en");
    }
}
