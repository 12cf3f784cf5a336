//! One record: `format (1 byte) || checksum (16 bytes) || payload`.
//!
//! The checksum is the first half of SHA-256 over the format, the record's sequence number and the payload, so that a
//! record that lost a bit, or stands in another's place, is found. It guards against damage, not against an attacker:
//! who can write the file owns the ledger. The format is for the record's frame; what the payload means is the core's.

use sha2::{Digest, Sha256};

/// Format written now.
pub(super) const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 16;
const HEADER_BYTES: usize = 1 + CHECKSUM_BYTES;

/// Why a record cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// Shorter than its header.
    Short,
    /// A format that is not known here.
    Format(u8),
    /// The checksum does not fit.
    Checksum,
}

/// Frames a payload as record number `sequence`.
pub(super) fn seal(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER_BYTES + payload.len());
    record.push(FORMAT);
    record.extend_from_slice(&checksum(sequence, payload));
    record.extend_from_slice(payload);
    record
}

/// The payload of record number `sequence`.
pub(super) fn open(sequence: u64, record: &[u8]) -> Result<&[u8], Flaw> {
    let (header, payload) = record.split_at_checked(HEADER_BYTES).ok_or(Flaw::Short)?;
    if header[0] != FORMAT {
        return Err(Flaw::Format(header[0]));
    }
    if header[1..] != checksum(sequence, payload) {
        return Err(Flaw::Checksum);
    }
    Ok(payload)
}

fn checksum(sequence: u64, payload: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::new()
        .chain_update([FORMAT])
        .chain_update(sequence.to_be_bytes())
        .chain_update(payload)
        .finalize();
    let mut half = [0; CHECKSUM_BYTES];
    half.copy_from_slice(&digest[..CHECKSUM_BYTES]);
    half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_opens_in_its_own_place_only() {
        let record = seal(7, b"payload");
        assert_eq!(open(7, &record), Ok(&b"payload"[..]));
        assert_eq!(open(8, &record), Err(Flaw::Checksum));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let record = seal(7, b"payload");
        for bit in 0..record.len() * 8 {
            let mut damaged = record.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(7, &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_short_or_foreign_record_is_named() {
        assert_eq!(open(0, &[]), Err(Flaw::Short));
        assert_eq!(open(0, &seal(0, b"")[..16]), Err(Flaw::Short));
        let mut other = seal(0, b"x");
        other[0] = 9;
        assert_eq!(open(0, &other), Err(Flaw::Format(9)));
    }
}
