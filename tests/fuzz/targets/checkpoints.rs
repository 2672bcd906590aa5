//! Checkpoint objects.

use headcount::engine::checkpoint::{Checkpoint, VERSION, read_header};
use headcount::error::Error;
use xxhash_rust::xxh3::xxh3_128;

const CHECKSUM_BYTES: usize = 16;

/// Magic, version and the lengths of outline and header.
const FIXED_BYTES: usize = 16;

/// Any bytes as a checkpoint: read, header and all, if both checksums are right; else an error with a remedy.
pub fn object(data: &[u8]) {
    match (Checkpoint::from_bytes(data), read_header(data)) {
        (Ok(checkpoint), Ok(header)) => {
            assert_eq!(checkpoint.header, header);
            let (front, body) = data.split_at(FIXED_BYTES + length(data, 8) + length(data, 12) + CHECKSUM_BYTES);
            for part in [front, body] {
                let (checked, checksum) = part.split_last_chunk::<CHECKSUM_BYTES>().unwrap();
                assert_eq!(xxh3_128(checked), u128::from_le_bytes(*checksum));
            }
            assert_survives(checkpoint);
        }
        (Err(e), Ok(_)) => assert_told(&e),
        (Err(e), Err(of_header)) => {
            assert_told(&e);
            assert_eq!(e.to_string(), of_header.to_string());
        }
        (Ok(_), Err(e)) => panic!("read, but not its header: {e}"),
    }
}

/// Any bytes as what is behind the checksum: two bytes that are the header's length, the header, the state before compression. Read or
/// refused; what is read can be written, and read again.
pub fn state(data: &[u8]) {
    let Some((length, rest)) = data.split_first_chunk() else { return };
    let Some((header, state)) = rest.split_at_checked(u16::from_le_bytes(*length).into()) else { return };
    match Checkpoint::from_bytes(&sealed(header, state)) {
        Ok(checkpoint) => assert_survives(checkpoint),
        Err(e) => assert_told(&e),
    }
}

/// The object of a header and a state.
fn sealed(header: &[u8], state: &[u8]) -> Vec<u8> {
    let outline = br#"{"run":"run","generation":7}"#;
    let mut bytes = b"HCCK".to_vec();
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend((outline.len() as u32).to_le_bytes());
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(outline);
    bytes.extend(header);
    bytes.extend(xxh3_128(&bytes).to_le_bytes());
    let body = zstd::bulk::compress(state, 1).unwrap();
    bytes.extend(&body);
    bytes.extend(xxh3_128(&body).to_le_bytes());
    bytes
}

/// A length that the object has at a place.
fn length(object: &[u8], at: usize) -> usize {
    u32::from_le_bytes(object[at..at + 4].try_into().unwrap()) as usize
}

/// What [`state`] takes, of an object that is whole.
pub fn opened(object: &[u8]) -> Vec<u8> {
    let (outline, header) = (length(object, 8), length(object, 12));
    let (header, rest) = object[FIXED_BYTES + outline..].split_at(header);
    let state = zstd::stream::decode_all(&rest[CHECKSUM_BYTES..rest.len() - CHECKSUM_BYTES]).unwrap();
    [&(header.len() as u16).to_le_bytes()[..], header, &state].concat()
}

fn assert_told(e: &Error) {
    assert!(!e.message().is_empty() && e.remedy().is_some(), "{e}");
    // The user's if it is of another version, else the disk's; ours never.
    assert_eq!(e.exit_code() == 2, e.message().contains("has format"), "{e}");
}

fn assert_survives(mut checkpoint: Checkpoint) {
    let bytes = checkpoint.to_bytes().unwrap();
    let back = Checkpoint::from_bytes(&bytes).unwrap();
    // What the header says of the state is written anew.
    assert_eq!(back.header.positions_only, checkpoint.state.combine.is_none());
    checkpoint.header.positions_only = back.header.positions_only;
    assert_eq!((&back.header, &back.source), (&checkpoint.header, &checkpoint.source));
    assert_eq!(back.state.has_open_windows(), checkpoint.state.has_open_windows());
    assert!(back.state.shards.keys().eq(checkpoint.state.shards.keys()));
    checkpoint.state.keep_positions();
    assert!(!checkpoint.state.has_open_windows());
}
