//! The first question of an SMB client: which version do you speak? A server that answers it has read its
//! configuration, accepted the connection and made a process for it.

use std::net::SocketAddr;

use crate::deadline::Deadline;
use crate::tcp;

/// Asks once; the error says what was found.
pub(super) fn ask(server: SocketAddr, deadline: Deadline) -> Result<(), String> {
    let deadline = deadline.for_a_question();
    let explain = |error: std::io::Error| {
        format!(
            "{server} gave no answer to a negotiate request: {error}; does `hosts allow` leave it out?"
        )
    };
    let stream = tcp::connect(&server.to_string(), deadline)?;
    let answer = tcp::exchange(stream, &request(), deadline, ENOUGH, |_| false).map_err(explain)?;
    judge(&answer).map_err(|found| format!("{server} {found}"))
}

/// A length, the header, the request (MS-SMB2 2.2.1 and 2.2.3). SMB 3.1.1 is not offered, for it wants more; a server
/// that insists on it says so, which is an answer as well.
fn request() -> Vec<u8> {
    let mut packet = Vec::with_capacity(HEADER + REQUEST + 2 * DIALECTS.len());
    packet.extend(MAGIC);
    packet.extend((HEADER as u16).to_le_bytes());
    packet.resize(HEADER, 0);
    packet.extend((REQUEST as u16).to_le_bytes());
    packet.extend((DIALECTS.len() as u16).to_le_bytes());
    // Signing is known, and not asked for.
    packet.extend(1_u16.to_le_bytes());
    packet.resize(HEADER + REQUEST, 0);
    for dialect in DIALECTS {
        packet.extend(dialect.to_le_bytes());
    }
    let mut out = (packet.len() as u32).to_be_bytes().to_vec();
    out.extend(packet);
    out
}

/// Any answer to a negotiate request will do, unless the server calls itself unable.
fn judge(answer: &[u8]) -> Result<(), String> {
    let word = |at: usize| {
        Some(u32::from_le_bytes(answer.get(LENGTH + at..LENGTH + at + 4)?.try_into().ok()?))
    };
    let magic = answer.get(LENGTH..LENGTH + MAGIC.len());
    let (Some(status), Some(command)) = (word(8), word(12)) else {
        return Err(match answer {
            [] => "closed the connection without an answer".to_owned(),
            _ => format!("answered {} bytes that are no SMB2", answer.len()),
        });
    };
    if magic != Some(&MAGIC[..]) || command & 0xffff != NEGOTIATE {
        return Err("answered something that is no SMB2".to_owned());
    }
    match status {
        OK | NOT_SUPPORTED | INVALID_PARAMETER => Ok(()),
        other => Err(format!("answered with the status {other:#010x}")),
    }
}

const MAGIC: [u8; 4] = *b"\xfeSMB";
const LENGTH: usize = 4;
const HEADER: usize = 64;
const REQUEST: usize = 36;
const DIALECTS: [u16; 4] = [0x0202, 0x0210, 0x0300, 0x0302];
const NEGOTIATE: u32 = 0;
const OK: u32 = 0;
const NOT_SUPPORTED: u32 = 0xc000_00bb;
const INVALID_PARAMETER: u32 = 0xc000_000d;
/// Length and header tell all.
const ENOUGH: usize = LENGTH + HEADER;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_the_specification_wants_it() {
        let packet = request();
        assert_eq!(packet.len(), LENGTH + HEADER + REQUEST + 8);
        assert_eq!(packet[..4], [0, 0, 0, 108]);
        assert_eq!(packet[4..10], [0xfe, b'S', b'M', b'B', 64, 0]);
        assert_eq!(packet[68..74], [36, 0, 4, 0, 1, 0]);
        assert_eq!(packet[104..], [0x02, 0x02, 0x10, 0x02, 0x00, 0x03, 0x02, 0x03]);
    }

    #[test]
    fn only_an_answer_of_smb_counts() {
        let answer = |status: u32, command: u16| {
            let mut packet = vec![0, 0, 0, 64];
            packet.extend(MAGIC);
            packet.extend([64, 0, 0, 0]);
            packet.extend(status.to_le_bytes());
            packet.extend(command.to_le_bytes());
            packet.resize(LENGTH + HEADER, 0);
            packet
        };
        assert!(judge(&answer(0, 0)).is_ok());
        assert!(judge(&answer(NOT_SUPPORTED, 0)).is_ok());
        assert!(judge(&answer(0xc000_009a, 0)).is_err(), "insufficient resources");
        assert!(judge(&answer(0, 1)).is_err(), "another command");
        assert!(judge(&answer(0, 0)[..12]).is_err(), "cut off");
        for foreign in [&b""[..], b"HTTP/1.0 400 Bad Request\r\n\r\n", &[0; 80]] {
            assert!(judge(foreign).is_err(), "{foreign:?}");
        }
    }
}
