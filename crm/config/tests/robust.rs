//! No text makes the reader panic, and none takes long: broken, mutated and hostile ones alike.

use crm_config::{DIAGNOSTICS_MAX, NoCatalog, TEXT_BYTES_MAX, check};
use std::time::{Duration, Instant};

/// Marsaglia's xorshift: a seed gives the same texts on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (sides.max(1) as u64)).unwrap()
    }
}

fn texts() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// What is said must hold together: a refusal has an error, a text renders, counts are bounded.
fn judge(text: &str) {
    let checked = check("fuzz.yaml", text, &NoCatalog);
    assert!(checked.diagnostics.len() <= DIAGNOSTICS_MAX);
    let errors = checked
        .diagnostics
        .iter()
        .filter(|found| found.severity == crm_config::Severity::Error)
        .count();
    assert_eq!(errors == 0, checked.cluster.is_some(), "{text}");
    for diagnostic in &checked.diagnostics {
        assert!(!diagnostic.render(true).is_empty());
        assert!(!diagnostic.one_line().contains('\n'));
        assert!(diagnostic.line >= 1 && diagnostic.column >= 1);
    }
    if let Some(cluster) = &checked.cluster {
        crm_config::budget(cluster).iter().for_each(|line| assert!(!line.to_string().is_empty()));
    }
}

#[test]
fn mutated_texts_never_panic() {
    let texts = texts();
    let pieces = [
        ":",
        "-",
        "{",
        "}",
        "[",
        "]",
        "\"",
        "'",
        "#",
        "\n",
        "\t",
        " ",
        "&a ",
        "*a",
        "<<: ",
        "!x ",
        "|",
        ">",
        "~",
        "null",
        "0",
        "18446744073709551616",
        "1e999",
        ".nan",
        "한글",
        "\u{feff}",
        "\0",
        "%",
        "---\n",
        "...\n",
        "? ",
        "99999999999h",
        "::",
        "/",
        "\r\n",
        "\u{85}",
        "\u{2028}",
        "é",
        "10.0.0.1",
    ];
    let mut dice = Dice(0x5eed_0001);
    let rounds = 3_000;
    for _ in 0..rounds {
        let mut text: Vec<char> = texts[dice.roll(texts.len())].chars().collect();
        for _ in 0..=dice.roll(6) {
            let at = dice.roll(text.len() + 1).min(text.len());
            match dice.roll(4) {
                0 => {
                    let piece = pieces[dice.roll(pieces.len())];
                    text.splice(at..at, piece.chars());
                }
                1 => {
                    let end = (at + dice.roll(12)).min(text.len());
                    text.drain(at..end);
                }
                2 => {
                    let end = (at + dice.roll(60)).min(text.len());
                    let copy: Vec<char> = text[at..end].to_vec();
                    let to = dice.roll(text.len() + 1);
                    text.splice(to..to, copy);
                }
                _ => text.truncate(at),
            }
        }
        judge(&text.into_iter().collect::<String>());
    }
}

#[test]
fn hostile_texts_are_answered_quickly() {
    let head = "cluster: x\nfencing: none\nnodes: {a: {links: [10.0.0.1]}}\n";
    let mut chain = format!("{head}groups:\n");
    for number in 0..600 {
        chain.push_str(&format!(
            "  g{number}: {{starts_after: [g{}], resources: [vip: 10.{}.{}.9]}}\n",
            (number + 1) % 600,
            1 + number / 200,
            number % 200
        ));
    }
    let unknown = format!("{head}{}", (0..3000).map(|n| format!("k{n}: 1\n")).collect::<String>());
    let texts = [
        chain,
        unknown,
        "[".repeat(TEXT_BYTES_MAX),
        "a: {".repeat(50_000),
        format!("{head}groups: {{g: {{resources: [{}]}}}}", "vip,".repeat(4_000)),
        "- ".repeat(100_000),
        "x".repeat(TEXT_BYTES_MAX),
        format!("cluster: {}", "\"\\u00e9\"".repeat(10_000)),
        "\n".repeat(TEXT_BYTES_MAX - 1) + ":",
    ];
    for text in &texts {
        let start = Instant::now();
        judge(text);
        let took = start.elapsed();
        // Generous for a busy machine; a quadratic reader needs minutes.
        assert!(took < Duration::from_secs(20), "{took:?}: {}", &text[..40]);
    }
}
