//! Frames in pieces, lengths that are wrong, streams that end early.

use coxswain_dv_wire::frame::{FrameError, FrameReader, Read, frame, frame_bytes, sync_frame};
use coxswain_dv_wire::message::encode;
use coxswain_dv_wire::node_sig::MsgNodeSig;
use coxswain_dv_wire::sync::MsgSyncResponse;
use coxswain_dv_wire::well_known::Timestamp;
use proptest::prelude::*;

/// What a reader makes of bytes that come in pieces of one size, and how many of them it took.
fn read(
    reader: &mut FrameReader,
    bytes: &[u8],
    piece: usize,
) -> Result<Option<(Vec<u8>, usize)>, FrameError> {
    let mut taken = 0;
    for part in bytes.chunks(piece.max(1)) {
        match reader.push(part)? {
            Read::More => taken += part.len(),
            Read::Whole { message, used } => return Ok(Some((message.to_vec(), taken + used))),
        }
    }
    Ok(None)
}

#[track_caller]
fn check_refused(bytes: &[u8], limit: usize, expected: FrameError) {
    for piece in [1, 2, bytes.len()] {
        let mut reader = FrameReader::new(limit);
        assert_eq!(read(&mut reader, bytes, piece), Err(expected), "in pieces of {piece}");
        assert_eq!(reader.push(&[0]), Err(expected), "it stays refused");
        assert_eq!(reader.end(), Err(expected), "it stays refused");
    }
}

#[test]
fn lengths_are_as_short_as_they_can_be_and_within_the_limit() {
    check_refused(&[0x80, 0x00], 1000, FrameError::NotMinimal);
    check_refused(&[0x81, 0x80, 0x00], 1000, FrameError::NotMinimal);
    check_refused(&[0x80; 12], 1000, FrameError::LengthTooLong);
    check_refused(&[0xff; 12], usize::MAX, FrameError::LengthTooLong);
    check_refused(&[0x0b, 1, 2], 10, FrameError::TooLong { length: 11, limit: 10 });
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let limit = 128 * 1024 * 1024;
    check_refused(&most, limit, FrameError::TooLong { length: (1 << 63) - 1, limit });
    let mut reader = FrameReader::new(10);
    assert_eq!(read(&mut reader, &[0x0a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 3).map(|r| r.is_some()), Ok(true));
}

#[test]
fn a_length_alone_takes_no_memory_for_the_message() {
    let mut reader = FrameReader::new(usize::MAX);
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    assert_eq!(reader.push(&most), Ok(Read::More));
    assert_eq!(reader.push(&[7; 100_000]), Ok(Read::More));
    assert_eq!(reader.end(), Err(FrameError::Short { got: 100_009 }));
}

#[test]
fn an_empty_message_is_one_byte() {
    assert_eq!(frame(&MsgNodeSig::default()), [0]);
    assert_eq!(frame_bytes(&[]), [0]);
    let mut reader = FrameReader::new(0);
    assert_eq!(reader.end(), Ok(()));
    assert_eq!(reader.push(&[]), Ok(Read::More));
    assert_eq!(reader.push(&[0, 0]), Ok(Read::Whole { message: Vec::new().into(), used: 1 }));
    assert_eq!(reader.end(), Ok(()), "between two frames");
}

#[test]
fn sync_frames_have_a_message_and_a_positive_length() {
    for (bytes, limit, expected) in [
        ([0; 8], 10, FrameError::Empty { length: 0 }),
        ([0xff; 8], 10, FrameError::Empty { length: -1 }),
        ([0, 0, 0, 0, 0, 0, 0, 0x80], 10, FrameError::Empty { length: i64::MIN }),
        ([11, 0, 0, 0, 0, 0, 0, 0], 10, FrameError::TooLong { length: 11, limit: 10 }),
        ([0, 0, 0, 0, 1, 0, 0, 0], 10, FrameError::TooLong { length: 1 << 32, limit: 10 }),
    ] {
        for piece in [1, 3, 8] {
            assert_eq!(read(&mut FrameReader::sync(limit), &bytes, piece), Err(expected), "{bytes:?}");
        }
    }
    assert_eq!(sync_frame(&MsgNodeSig::default()), Err(FrameError::Empty { length: 0 }));
    let message = MsgSyncResponse { sync_timestamp: Some(Timestamp::default()), error: String::new() };
    assert_eq!(sync_frame(&message), Ok(vec![2, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_in_any_pieces(lengths in proptest::collection::vec(0_usize..70_000, 1..4), piece in 1_usize..5_000) {
        let messages: Vec<Vec<u8>> = lengths.iter().map(|length| vec![0xa5; *length]).collect();
        let stream: Vec<u8> = messages.iter().flat_map(|message| frame_bytes(message)).collect();
        let mut reader = FrameReader::new(70_000);
        let mut rest = stream.as_slice();
        for message in &messages {
            let (read, used) = read(&mut reader, rest, piece).expect("frames").expect("a whole one");
            prop_assert_eq!(&read, message);
            rest = &rest[used..];
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(reader.end(), Ok(()));
    }

    #[test]
    fn frames_that_end_early(length in 1_usize..500, cut in 1_usize..500) {
        let whole = frame_bytes(&vec![1; length]);
        let got = whole.len().saturating_sub(cut).max(1);
        let mut reader = FrameReader::new(length);
        prop_assert_eq!(read(&mut reader, &whole[..got], 7), Ok(None));
        prop_assert_eq!(reader.end(), Err(FrameError::Short { got }));
    }

    #[test]
    fn a_message_in_a_frame_is_its_bytes_in_a_frame(signature in proptest::collection::vec(any::<u8>(), 0..20_000), index: u32) {
        let message = MsgNodeSig { signature, peer_index: index };
        prop_assert_eq!(frame(&message), frame_bytes(&encode(&message)));
    }
}
