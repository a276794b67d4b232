//! Passwords that a rule writes: a short unit over and over, or runs along the alphabet or a row of the keyboard.

/// Rows of the usual keyboards, in lower case; the last are the American and German number rows with shift.
const ROWS: [&str; 11] = [
    "1234567890-=",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiopü",
    "asdfghjklöä",
    "yxcvbnm,.-",
    "azertyuiop",
    "qsdfghjklm",
    "!@#$%^&*()",
    "!\"§$%&/()=",
];

/// The ways in which one character can follow from the one before, as bits.
const SAME: u8 = 1;
const NEXT: u8 = 2;
const PREVIOUS: u8 = 4;
const RIGHT: u8 = 8;
const LEFT: u8 = 16;

/// Whether the text is one unit of fewer than `shortest` characters repeated at least twice; the last may be cut off.
pub(super) fn is_repetition(text: &[char], shortest: usize) -> bool {
    let longest_unit = (text.len() / 2).min(shortest.saturating_sub(1));
    (1..=longest_unit).any(|unit| text[unit..] == text[..text.len() - unit])
}

/// Whether the text is little more than a few runs, such as `abcdefgh` or `qwertz` or `54321`. A run of three and more
/// is worth two characters; a text is refused when a third of its length, or four, is all it is worth.
pub(super) fn is_run(text: &[char]) -> bool {
    worth(text) <= (text.len() / 3).max(4)
}

fn worth(text: &[char]) -> usize {
    let mut worth = 0;
    let mut length = 0;
    let mut step = 0;
    for (at, &character) in text.iter().enumerate() {
        let follows = if at == 0 { 0 } else { steps(text[at - 1], character) };
        // A run keeps its direction; its second character sets it.
        let kept = if length == 1 { follows } else { follows & step };
        if length > 0 && kept != 0 {
            length += 1;
            step = kept;
        } else {
            worth += length.min(2);
            length = 1;
            step = 0;
        }
    }
    // A run of two is worth its two characters, so that ordinary words lose nothing.
    worth + length.min(2)
}

fn steps(from: char, to: char) -> u8 {
    let mut steps = 0;
    if from == to {
        steps |= SAME;
    }
    if from.is_alphanumeric() && to.is_alphanumeric() {
        let (a, b) = (u32::from(from), u32::from(to));
        if a + 1 == b || (from, to) == ('9', '0') {
            steps |= NEXT;
        }
        if b + 1 == a || (from, to) == ('0', '9') {
            steps |= PREVIOUS;
        }
    }
    for row in ROWS {
        let neighbours = row.chars().zip(row.chars().skip(1));
        for (left, right) in neighbours {
            if (from, to) == (left, right) {
                steps |= RIGHT;
            }
            if (from, to) == (right, left) {
                steps |= LEFT;
            }
        }
    }
    steps
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Vec<char> {
        text.chars().collect()
    }

    #[test]
    fn short_units_over_and_over_are_repetitions() {
        for text in
            ["passwordpassword", "abcabcabcabcabc", "aaaaaaaaaaaaaaa", "ababababababa", "🦀🦀🦀🦀🦀🦀🦀🦀"]
        {
            assert!(is_repetition(&chars(text), 15), "{text}");
        }
        for text in ["", "a", "ab", "abcdefgxyzabc", "one phrase, one phrase once"] {
            assert!(!is_repetition(&chars(text), 15), "{text}");
        }
        let twice = "fifteen letters".repeat(2);
        assert!(!is_repetition(&chars(&twice), 15) && is_repetition(&chars(&twice), 16));
    }

    #[test]
    fn runs_along_alphabet_digits_and_rows_are_runs() {
        for text in [
            "123456789012345",
            "098765432109876",
            "abcdefghijklmno",
            "zyxwvutsrqponml",
            "qwertyuiopasdfg",
            "qwertzuiopasdfgh",
            "azertyuiopqsdfgh",
            "lkjhgfdsapoiuytr",
            "abcdefgh12345678",
            "12345678",
            "abcd1234",
            "aaaaaaaabbbbbbbb",
            "aaaaaaaaaaaaaab",
            "!@#$%^&*()12345",
            "абвгдежзийклмно",
        ] {
            assert!(is_run(&chars(text)), "{text} {}", worth(&chars(text)));
        }
    }

    #[test]
    fn ordinary_text_is_none() {
        for text in [
            "correct staple battery",
            "xyzk92mq",
            "the first defence is depth",
            "moonlit harbour 42",
            "zebra-quilt-9",
            "abc or 123, whichever",
            "password",
            "straße nach süden",
        ] {
            assert!(!is_run(&chars(text)), "{text}");
            assert!(!is_repetition(&chars(text), 15), "{text}");
        }
    }
}
