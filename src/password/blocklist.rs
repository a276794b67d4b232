//! The passwords that attackers try first, compiled in.

/// See `common_passwords.md` for where it comes from.
const COMMON: &str = include_str!("common_passwords.txt");

/// Whether the text, already in lower case, is one of them. A binary search over the sorted lines.
pub(super) fn is_common(lower: &str) -> bool {
    let (mut low, mut high) = (0, COMMON.len());
    while low < high {
        let middle = low + (high - low) / 2;
        // Bytes, because the middle may fall inside a character; a line feed never does.
        let bytes = COMMON.as_bytes();
        let start = bytes[..middle].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let end =
            bytes[middle..].iter().position(|&byte| byte == b'\n').map_or(COMMON.len(), |at| middle + at);
        match bytes[start..end].cmp(lower.as_bytes()) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use unicode_normalization::is_nfc;

    use super::*;

    #[test]
    fn the_list_is_sorted_lower_case_normal_and_long_enough() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 8000 && COMMON.len() < 200_000);
        for pair in lines.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for line in lines {
            assert!(line.chars().count() >= 8, "{line}");
            assert!(is_nfc(line) && line.trim() == line, "{line}");
            assert_eq!(line.to_lowercase(), line);
        }
    }

    #[test]
    fn every_entry_is_found_and_neighbours_are_not() {
        for line in COMMON.lines() {
            assert!(is_common(line), "{line}");
        }
        for absent in
            ["", "\n", "passwor", "password\n", "zzzzzzzzzzzzzzzz", "\u{10ffff}", "a", "no entry of the list"]
        {
            assert!(!is_common(absent), "{absent:?}");
        }
    }
}
