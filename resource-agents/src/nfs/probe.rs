//! Does the NFS server answer? The null procedure of NFS version 4 over TCP (RFC 5531, RFC 7530).

use super::kernel::PORT;
use crate::deadline::Deadline;
use crate::tcp;

/// Asks once; the error says what was found.
pub(super) fn ask(deadline: Deadline) -> Result<(), String> {
    let deadline = deadline.for_a_question();
    let explain = |error: std::io::Error| format!("the NFS server gave no answer: {error}");
    let stream = tcp::connect(&format!("127.0.0.1:{PORT}"), deadline)?;
    let number = std::process::id();
    // The whole answer is as long as this; a shorter one is none.
    let answer =
        tcp::exchange(stream, &request(number), deadline, ANSWER, |_| false).map_err(explain)?;
    let answer = answer.first_chunk().ok_or("the NFS server's answer ended too early")?;
    judge(number, answer)
}

/// One record with a call: program, version, procedure, and neither credentials nor verifier.
fn request(number: u32) -> Vec<u8> {
    let call = [number, CALL, RPC, PROGRAM, VERSION, NULL, 0, 0, 0, 0];
    let mut out = (LAST | (4 * call.len() as u32)).to_be_bytes().to_vec();
    out.extend(call.iter().flat_map(|word| word.to_be_bytes()));
    out
}

fn judge(number: u32, answer: &[u8; ANSWER]) -> Result<(), String> {
    let word = |n: usize| {
        let bytes = answer.get(4 * n..4 * n + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    // Length, number, reply, accepted, verifier (kind and length), result.
    let found = [1, 2, 3, 6].map(|n| word(n).unwrap_or(u32::MAX));
    match found == [number, 1, 0, 0] {
        true => Ok(()),
        false => Err(format!("the NFS server refused the null procedure: {found:?}")),
    }
}

const LAST: u32 = 0x8000_0000;
const CALL: u32 = 0;
const RPC: u32 = 2;
const PROGRAM: u32 = 100_003;
const VERSION: u32 = 4;
const NULL: u32 = 0;
const ANSWER: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_one_record_of_ten_words() {
        let packet = request(0x0102_0304);
        assert_eq!(packet.len(), 44);
        assert_eq!(packet[..8], [0x80, 0, 0, 40, 1, 2, 3, 4]);
        assert_eq!(packet[16..24], [0, 1, 0x86, 0xa3, 0, 0, 0, 4]);
    }

    #[test]
    fn only_an_accepted_answer_to_this_question_counts() {
        let answer = |words: [u32; 7]| {
            let mut out = [0; ANSWER];
            for (at, word) in out.chunks_mut(4).zip(words) {
                at.copy_from_slice(&word.to_be_bytes());
            }
            out
        };
        assert!(judge(7, &answer([LAST | 24, 7, 1, 0, 0, 0, 0])).is_ok());
        for bad in [
            [LAST | 24, 8, 1, 0, 0, 0, 0],
            [LAST | 24, 7, 0, 0, 0, 0, 0],
            [LAST | 24, 7, 1, 1, 0, 0, 0],
            [LAST | 24, 7, 1, 0, 0, 0, 2],
            [0; 7],
        ] {
            assert!(judge(7, &answer(bad)).is_err(), "{bad:?}");
        }
    }
}
