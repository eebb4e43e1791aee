//! The frames of a stream: a length, then a protobuf message of an optional flag and optional data. A
//! data channel knows no half-closing and no reset, so they travel in there.
//!
//! Two fields are all there is to the message, so it is written and read by hand. Fields that are not
//! known are skipped, as protobuf wants it.

use std::ops::Range;

use crate::limits::MAX_WEBRTC_FRAME;

/// What a frame says about the stream (*protocol*: the numbers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// The sender sends no more.
    Fin = 0,
    /// The sender reads no more.
    StopSending = 1,
    /// The sender has given up the stream. What it sent before need not be read.
    Reset = 2,
    /// The sender has received a [`Flag::Fin`].
    FinAck = 3,
}

impl Flag {
    fn from_number(number: u64) -> Option<Self> {
        match number {
            0 => Some(Self::Fin),
            1 => Some(Self::StopSending),
            2 => Some(Self::Reset),
            3 => Some(Self::FinAck),
            _ => None,
        }
    }
}

/// Tags of the two fields: number and wire type.
const FLAG: u8 = 1 << 3;
const DATA: u8 = 2 << 3 | 2;

/// Most bytes around the data of a frame: two lengths of up to three bytes, two tags, a flag.
const OVERHEAD: usize = 9;

/// Most data that fits in one frame, in bytes.
pub(super) const MAX_DATA: usize = MAX_WEBRTC_FRAME - OVERHEAD;

/// Writes a frame. Of data that is longer than [`MAX_DATA`] only the beginning is taken.
pub(super) fn encode(flag: Option<Flag>, data: &[u8]) -> Vec<u8> {
    let data = data.get(..MAX_DATA).unwrap_or(data);
    let mut body = Vec::with_capacity(data.len() + OVERHEAD);
    // Room for the length, which is known at the end. It is written with as many bytes as it needs,
    // because padded numbers are refused by some.
    if let Some(flag) = flag {
        body.extend([FLAG, flag as u8]);
    }
    if !data.is_empty() {
        body.push(DATA);
        write_number(&mut body, data.len());
        body.extend_from_slice(data);
    }
    let mut length = Vec::with_capacity(3);
    write_number(&mut length, body.len());
    body.splice(0..0, length);
    body
}

fn write_number(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// A frame that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// What it says. Unknown flags are none.
    pub(super) flag: Option<Flag>,
    /// Where its data lies in the bytes that it was read from.
    pub(super) data: Range<usize>,
    /// Where the frame ends.
    pub(super) end: usize,
}

/// The bytes are no frames, or one is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reads the frame that begins at `at`. `None`: there is more to come.
pub(super) fn decode(bytes: &[u8], at: usize) -> Result<Option<Frame>, Malformed> {
    let mut reader = Reader { bytes, at };
    let length = match reader.number() {
        Ok(length) => length,
        // No length that is allowed has more than three bytes.
        Err(Malformed) if bytes.len() - at.min(bytes.len()) < 3 => return Ok(None),
        Err(Malformed) => return Err(Malformed),
    };
    if length > MAX_WEBRTC_FRAME as u64 {
        return Err(Malformed);
    }
    let end = reader.at + length as usize;
    let Some(bytes) = bytes.get(..end) else {
        return Ok(None);
    };
    let mut reader = Reader {
        bytes,
        at: reader.at,
    };
    let mut frame = Frame {
        flag: None,
        data: end..end,
        end,
    };
    while reader.at < end {
        let tag = reader.number()?;
        if tag == u64::from(FLAG) {
            frame.flag = Flag::from_number(reader.number()?);
        } else if tag == u64::from(DATA) {
            frame.data = reader.skip_counted()?;
        } else {
            match tag & 7 {
                0 => _ = reader.number()?,
                1 => _ = reader.skip(8)?,
                2 => _ = reader.skip_counted()?,
                5 => _ = reader.skip(4)?,
                _ => return Err(Malformed),
            }
        }
    }
    Ok(Some(frame))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
            self.at += 1;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn skip(&mut self, count: u64) -> Result<Range<usize>, Malformed> {
        let left = self.bytes.len() - self.at;
        let count = usize::try_from(count).ok().filter(|count| *count <= left);
        let from = self.at;
        self.at += count.ok_or(Malformed)?;
        Ok(from..self.at)
    }

    fn skip_counted(&mut self) -> Result<Range<usize>, Malformed> {
        let count = self.number()?;
        self.skip(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn flag() -> impl Strategy<Value = Option<Flag>> {
        (0_u64..5).prop_map(Flag::from_number)
    }

    #[test]
    fn as_the_specification_writes_them() {
        assert_eq!(encode(Some(Flag::Fin), &[]), [2, 0x08, 0]);
        assert_eq!(encode(Some(Flag::FinAck), &[]), [2, 0x08, 3]);
        assert_eq!(encode(None, b"abc"), [5, 0x12, 3, b'a', b'b', b'c']);
        assert_eq!(encode(Some(Flag::Reset), b"a"), [5, 0x08, 2, 0x12, 1, b'a']);
        assert_eq!(encode(None, &[]), [0]);
    }

    #[test]
    fn the_largest_frame_is_not_too_large() {
        let frame = encode(Some(Flag::Fin), &[7; MAX_DATA + 1]);
        assert!(frame.len() <= MAX_WEBRTC_FRAME);
        assert_eq!(decode(&frame, 0).unwrap().unwrap().data.len(), MAX_DATA);
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_there() {
        let mut bytes = Vec::new();
        write_number(&mut bytes, MAX_WEBRTC_FRAME + 1);
        assert_eq!(decode(&bytes, 0), Err(Malformed));
        assert_eq!(decode(&[0xff, 0xff, 0xff, 0x7f], 0), Err(Malformed));
        assert_eq!(decode(&[0xff; 12], 0), Err(Malformed));
    }

    #[test]
    fn unknown_fields_and_flags_are_skipped() {
        // Field 3: a number, field 4: eight bytes, field 5: counted bytes, field 6: four bytes.
        let unknown = [
            0x18, 0x96, 0x01, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0x2a, 1, 9, 0x35, 0, 0, 0, 0,
        ];
        let mut bytes = vec![unknown.len() as u8 + 5];
        bytes.extend(unknown);
        bytes.extend([0x08, 77, 0x12, 1, 42]);
        let frame = decode(&bytes, 0).unwrap().unwrap();
        assert_eq!(frame.flag, None);
        assert_eq!(bytes[frame.data], [42]);
        // A group, and data that is longer than the frame.
        assert_eq!(decode(&[2, 0x1b, 0], 0), Err(Malformed));
        assert_eq!(decode(&[3, 0x12, 2, 0, 0], 0), Err(Malformed));
    }

    proptest! {
        #[test]
        fn there_and_back(
            frames in prop::collection::vec((flag(), prop::collection::vec(any::<u8>(), 0..300)), 1..5),
        ) {
            let bytes: Vec<u8> = frames.iter().flat_map(|(flag, data)| encode(*flag, data)).collect();
            let mut at = 0;
            for (flag, data) in &frames {
                let frame = decode(&bytes, at).unwrap().unwrap();
                prop_assert_eq!(frame.flag, *flag);
                prop_assert_eq!(&bytes[frame.data], data);
                at = frame.end;
            }
            prop_assert_eq!(at, bytes.len());
        }

        #[test]
        fn a_part_of_a_frame_is_waited_for(
            flag in flag(), data in prop::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>(),
        ) {
            let bytes = encode(flag, &data);
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())], 0), Ok(None));
        }

        #[test]
        fn garbage_is_no_trouble(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0_usize..80) {
            if let Ok(Some(frame)) = decode(&bytes, at) {
                prop_assert!(frame.end <= bytes.len() && frame.data.end <= frame.end);
                prop_assert!(frame.end > at);
            }
        }
    }
}
