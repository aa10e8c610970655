//! Which known word was probably meant.

/// The word of `known` nearest to `word`, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const WORD_CHARS_MAX: usize = 64;
    let typed: Vec<char> = word.to_lowercase().replace('-', "_").chars().collect();
    if typed.len() > WORD_CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(&typed, &candidate.chars().collect::<Vec<char>>()), candidate))
        .filter(|(steps, candidate)| *steps <= candidate.chars().count().max(typed.len()) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Insertions, removals, replacements and swaps of neighbours that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let change = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row[j] = best;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_understood_and_strangers_are_not() {
        let known = ["keepalive", "deadtime", "warntime", "prefer", "runs_with"];
        assert_eq!(nearest("keepalvie", known), Some("keepalive"));
        assert_eq!(nearest("dead-time", known), Some("deadtime"));
        assert_eq!(nearest("runs-with", known), Some("runs_with"));
        assert_eq!(nearest("Prefer", known), Some("prefer"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }
}
