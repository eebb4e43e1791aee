#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use futures::{AsyncReadExt, AsyncWriteExt, future::join};
use proptest::prelude::*;

use super::{
    memory::{Channel, pair},
    *,
};
use crate::limits::MAX_WEBRTC_FRAME;

fn streams() -> (Stream<Channel>, Stream<Channel>) {
    let (near, far) = pair();
    (Stream::new(near), Stream::new(far))
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Sends frames as they are.
fn send(channel: &mut Channel, frames: &[Vec<u8>]) {
    for frame in frames {
        channel.send(frame).unwrap();
    }
}

#[tokio::test]
async fn a_request_and_its_answer() {
    let (mut near, mut far) = streams();
    let big = vec![7; 300_000];
    join(
        async {
            near.write_all(b"question").await.unwrap();
            near.close().await.unwrap();
            let mut answer = Vec::new();
            near.read_to_end(&mut answer).await.unwrap();
            assert_eq!(answer, big);
            // What is over is over.
            assert_eq!(
                near.write(b"x").await.unwrap_err().kind(),
                ErrorKind::BrokenPipe
            );
            assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
        },
        async {
            let mut question = Vec::new();
            far.read_to_end(&mut question).await.unwrap();
            assert_eq!(question, b"question");
            // Half closed is half open.
            far.write_all(&big).await.unwrap();
            far.close().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn the_writer_waits_for_room() {
    let (mut near, mut far) = streams();
    let data = vec![1; 20 * MAX_WEBRTC_FRAME];
    let mut writing = Box::pin(near.write_all(&data));
    assert!(futures::poll!(writing.as_mut()).is_pending());
    let mut read = vec![0; data.len()];
    let (written, read) = join(writing, far.read_exact(&mut read)).await;
    written.unwrap();
    read.unwrap();
}

#[tokio::test]
async fn an_unfinished_stream_is_reset() {
    let (mut near, mut far) = streams();
    near.write_all(b"half a mess").await.unwrap();
    drop(near);
    let mut read = Vec::new();
    let error = far.read_to_end(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert!(far.write_all(b"x").await.is_err());
    assert!(far.close().await.is_err());
}

#[tokio::test]
async fn who_wants_no_answer_says_so() {
    let (near, far) = pair();
    let (mut near, mut far) = (Stream::new(near), far);
    near.write_all(b"x").await.unwrap();
    near.close().await.unwrap();
    drop(near);
    let mut flags = Vec::new();
    while let Some(message) = std::future::poll_fn(|cx| far.poll_receive(cx)).await {
        let frame = frame::decode(&message.unwrap(), 0).unwrap().unwrap();
        flags.extend(frame.flag);
    }
    assert_eq!(flags, [Flag::Fin, Flag::StopSending]);
}

#[tokio::test]
async fn the_end_is_acknowledged_after_our_own() {
    let (near, mut far) = pair();
    let mut near = Stream::new(near);
    send(&mut far, &[frame::encode(Some(Flag::Fin), b"last words")]);
    let mut read = Vec::new();
    near.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"last words");
    assert_eq!(near.channel.sent(), 0);
    near.close().await.unwrap();
    assert_eq!(near.channel.sent(), 2);
    drop(near);
    let mut flags = Vec::new();
    while let Some(message) = std::future::poll_fn(|cx| far.poll_receive(cx)).await {
        flags.extend(frame::decode(&message.unwrap(), 0).unwrap().unwrap().flag);
    }
    assert_eq!(flags, [Flag::Fin, Flag::FinAck]);
}

#[tokio::test]
async fn a_writer_learns_that_nobody_reads() {
    let (near, mut far) = pair();
    let mut near = Stream::new(near);
    let stop = [
        frame::encode(Some(Flag::Fin), &[]),
        frame::encode(Some(Flag::StopSending), &[]),
    ];
    send(&mut far, &stop);
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    let error = near.write_all(b"x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    // Nothing is left to be said.
    near.close().await.unwrap();
}

#[tokio::test]
async fn a_reset_takes_back_what_was_not_read() {
    let (near, mut far) = pair();
    let mut near = Stream::new(near);
    send(&mut far, &[frame::encode(Some(Flag::Reset), b"never mind")]);
    let error = near.read(&mut [0; 16]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_channel_that_closes_is_no_end_of_a_message() {
    let (near, mut far) = pair();
    let mut near = Stream::new(near);
    send(&mut far, &[frame::encode(None, b"half a mess")]);
    far.close();
    let mut read = Vec::new();
    let error = near.read_to_end(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(read, b"half a mess");
}

#[tokio::test]
async fn garbage_ends_the_stream() {
    for garbage in [vec![0xff; 40], vec![2, 0x1b, 0]] {
        let (near, mut far) = pair();
        let mut near = Stream::new(near);
        send(&mut far, &[garbage]);
        let error = near.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(far.send(b"x").is_err());
    }
}

#[tokio::test]
async fn what_comes_after_the_end_is_not_kept() {
    let (near, mut far) = pair();
    let mut near = Stream::new(near);
    send(&mut far, &[frame::encode(Some(Flag::Fin), &[])]);
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    for _ in 0..100 {
        send(&mut far, &[frame::encode(None, &[1; 10_000])]);
        near.write_all(b"x").await.unwrap();
        std::future::poll_fn(|cx| far.poll_receive(cx))
            .await
            .unwrap()
            .unwrap();
    }
    assert!(near.received.len() < 2 * MAX_WEBRTC_FRAME);
    assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
}

proptest! {
    /// Others may cut the frames into messages as they like.
    #[test]
    fn frames_need_not_be_messages(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 1..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        room in 1_usize..64,
    ) {
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| frame::encode(None, part)).collect();
        bytes.extend(frame::encode(Some(Flag::Fin), &[]));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let messages: Vec<Vec<u8>> =
            cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect();
        let read = block_on(async {
            let (near, mut far) = pair();
            let mut near = Stream::new(near);
            send(&mut far, &messages);
            let (mut read, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                match near.read(&mut buffer).await.unwrap() {
                    0 => break read,
                    n => read.extend_from_slice(&buffer[..n]),
                }
            }
        });
        prop_assert_eq!(read, parts.concat());
    }

    #[test]
    fn garbage_is_no_trouble(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
        block_on(async {
            let (near, mut far) = pair();
            let mut near = Stream::new(near);
            send(&mut far, &messages);
            far.close();
            let mut read = Vec::new();
            drop(near.read_to_end(&mut read).await);
            assert!(read.len() <= messages.concat().len());
        });
    }
}
