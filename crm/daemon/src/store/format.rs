//! Bytes of the state file: a mark, the version of the format, the length, the payload, a SHA-256 of
//! everything before it, and zeros up to whole blocks of the disk.

use crm_core::id::{Epoch, NodeId, Stamp, StoreId};
use crm_core::record::{Record, Stored};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde::Deserialize;
use std::io;

const MARK: &[u8; 8] = b"crmstate";
/// Version of the format of [`Stored`]; another one is refused, not guessed at.
const VERSION: u32 = 3;
const HEAD: usize = 8 + 4 + 8;
/// What a file takes of a disk anyway.
const BLOCK: usize = 4096;
/// What the next one may be longer by without another block.
const ROOM: usize = 512;

/// What format 2 held.
#[derive(Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
struct Second {
    store: StoreId,
    writes: u64,
    epoch: Epoch,
    vote: Option<NodeId>,
    record: Option<Record>,
    committed: Option<(Stamp, u64)>,
}

impl From<Second> for Stored {
    /// Its fingerprints were of another kind, so what they said of forks is forgotten, once.
    fn from(old: Second) -> Stored {
        let Second { store, writes, epoch, vote, record, committed: _forgotten } = old;
        let mut stored = Stored { writes, epoch, vote, record, ..Stored::new(store) };
        if let Some(record) = &mut stored.record {
            record.history.clear();
        }
        stored
    }
}

pub(super) fn encode(stored: &Stored) -> io::Result<Vec<u8>> {
    let payload = postcard::to_stdvec(stored).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(HEAD + payload.len() + SHA256_OUTPUT_LEN);
    bytes.extend_from_slice(MARK);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&payload);
    let sum = digest(&SHA256, &bytes);
    bytes.extend_from_slice(sum.as_ref());
    bytes.resize((bytes.len() + ROOM).next_multiple_of(BLOCK), 0);
    Ok(bytes)
}

/// The error goes on from the name of the file.
pub(super) fn decode(bytes: &[u8]) -> Result<Stored, String> {
    let Some((mark, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("has {} bytes only", bytes.len()));
    };
    if mark != MARK {
        return Err("is not a state file of crm".to_owned());
    }
    let Some((version, rest)) = rest.split_first_chunk::<4>() else {
        return Err("is cut off".to_owned());
    };
    let version = u32::from_le_bytes(*version);
    if version != VERSION && version != 2 {
        return Err(format!(
            "has format {version}, this program reads {VERSION}: it was written by another version"
        ));
    }
    let Some((length, rest)) = rest.split_first_chunk::<8>() else {
        return Err("is cut off".to_owned());
    };
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let end = length.and_then(|length| length.checked_add(SHA256_OUTPUT_LEN));
    // Earlier versions wrote no zeros.
    let Some((_, zeros)) = end.and_then(|end| rest.split_at_checked(end)) else {
        return Err("has another length than it says: it is cut off or damaged".to_owned());
    };
    if zeros.iter().any(|byte| *byte != 0) {
        return Err("has more in it than it says: it is damaged".to_owned());
    }
    let (head_and_payload, sum) =
        bytes[..bytes.len() - zeros.len()].split_at(bytes.len() - zeros.len() - SHA256_OUTPUT_LEN);
    if digest(&SHA256, head_and_payload).as_ref() != sum {
        return Err("is damaged: its checksum is wrong".to_owned());
    }
    let payload = head_and_payload.get(HEAD..).unwrap_or_default();
    let read = if version == 2 {
        postcard::take_from_bytes::<Second>(payload).map(|(old, left)| (old.into(), left))
    } else {
        postcard::take_from_bytes(payload)
    };
    let (stored, left) = read.map_err(|error| format!("cannot be understood: {error}"))?;
    if !left.is_empty() {
        return Err(format!("has {} bytes too many", left.len()));
    }
    Ok(stored)
}

#[cfg(fuzzing)]
pub(crate) mod fuzzing {
    use crm_core::record::Stored;

    /// # Errors
    /// Why the file is refused.
    pub fn decode_state(bytes: &[u8]) -> Result<Stored, String> {
        super::decode(bytes)
    }

    pub fn encode_state(stored: &Stored) -> Vec<u8> {
        super::encode(stored).expect("a store can be written")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_format_2_is_read_without_its_fingerprints() {
        let name = NodeId::new("alpha");
        let mut record = Record::founding("cluster: x\n", &name, StoreId(5));
        record.history.push_back((Stamp::default(), 9));
        let payload = postcard::to_stdvec(&Second {
            store: StoreId(5),
            writes: 4,
            epoch: Epoch(2),
            vote: Some(name),
            record: Some(record),
            committed: Some((Stamp::default(), 8)),
        });
        let payload = payload.expect("it is written");
        let mut bytes = MARK.to_vec();
        bytes.extend_from_slice(&2u32.to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&payload);
        let sum = digest(&SHA256, &bytes);
        bytes.extend_from_slice(sum.as_ref());
        let read = decode(&bytes).expect("it is read");
        assert_eq!((read.store, read.writes, read.epoch), (StoreId(5), 4, Epoch(2)));
        assert_eq!(
            (&read.vote, read.committed, read.company.len()),
            (&Some("alpha".into()), None, 0)
        );
        assert!(read.record.as_ref().is_some_and(|record| record.history.is_empty()));
        assert_eq!(decode(&encode(&read).expect("it is written anew")), Ok(read));
    }
}
