//! What gossip peers tell each other: RPCs in protobuf, each after its length as a varint. The fields
//! are those of gossipsub 1.2; what is not listed here is skipped.
//!
//! ```text
//! RPC      1 subscriptions*: { 1 subscribe: bool, 2 topic }
//!          2 messages*:      { 1 author, 2 data, 3 number, 4 topic, 5 signature, 6 key }
//!          3 control:        { 1 have*: { 1 topic, 2 ids* }   2 want*: { 1 ids* }
//!                              3 graft*: { 1 topic }          4 prune*: { 1 topic, 3 backoff in s }
//!                              5 unwanted*: { 1 ids* } }
//! ```

use std::sync::Arc;

use libp2p::PeerId;
use sha2::{Digest, Sha256};

use crate::limits;

/// Names a message for all members of the mesh: SHA-256 over topic and data, so that one message is
/// one message, whoever publishes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MessageId([u8; 32]);

impl MessageId {
    pub(crate) fn of(topic: &str, data: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(topic.as_bytes());
        hash.update(data);
        Self(hash.finalize().into())
    }
}

/// A message. Nodes neither sign nor check who has published it, and a signature is not passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// Who claims to have published it.
    pub(crate) author: Option<PeerId>,
    /// A number of its author's choice.
    pub(crate) number: Option<[u8; 8]>,
    pub(crate) topic: String,
    pub(crate) data: Vec<u8>,
}

/// One thing a peer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Subscribe(String),
    Unsubscribe(String),
    Message(Message),
    /// It has seen these messages of a topic of late.
    Have(String, Vec<MessageId>),
    /// It takes us into its mesh of a topic.
    Graft(String),
    /// It takes us out of it, and wants to be left alone for some seconds.
    Prune(String, Option<u64>),
    /// It has these messages already.
    Unwanted(Vec<MessageId>),
}

/// The bytes are no RPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

// --- Reading --------------------------------------------------------------------------------------

/// Reads an RPC, without its length. What goes beyond the limits is left out. So are messages that no
/// honest peer passes on, because the next one would hold them against it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Item>, Malformed> {
    let mut items = Vec::new();
    let mut messages = 0;
    let mut rpc = Fields(bytes);
    while let Some((number, value)) = rpc.next()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => add(&mut items, subscription(bytes)?),
            (2, Value::Bytes(bytes)) if messages < limits::MAX_GOSSIP_MESSAGES_PER_RPC => {
                messages += 1;
                add(&mut items, message(bytes)?);
            }
            (3, Value::Bytes(bytes)) => control(bytes, &mut items)?,
            _ => {}
        }
    }
    Ok(items)
}

fn add(items: &mut Vec<Item>, item: Option<Item>) {
    if items.len() < limits::MAX_GOSSIP_ITEMS_PER_RPC {
        items.extend(item);
    }
}

fn subscription(bytes: &[u8]) -> Result<Option<Item>, Malformed> {
    let (mut subscribe, mut topic) = (false, None);
    let mut fields = Fields(bytes);
    while let Some(field) = fields.next()? {
        match field {
            (1, Value::Number(number)) => subscribe = number != 0,
            (2, Value::Bytes(bytes)) => topic = topic_name(bytes),
            _ => {}
        }
    }
    Ok(topic.map(|topic| match subscribe {
        true => Item::Subscribe(topic),
        false => Item::Unsubscribe(topic),
    }))
}

fn message(bytes: &[u8]) -> Result<Option<Item>, Malformed> {
    let (mut author, mut data, mut number, mut topic): (_, &[u8], _, _) = (None, &[], None, None);
    let mut fields = Fields(bytes);
    while let Some((field, value)) = fields.next()? {
        match (field, value) {
            (1, Value::Bytes(bytes)) => author = Some(bytes),
            (2, Value::Bytes(bytes)) => data = bytes,
            (3, Value::Bytes(bytes)) => number = Some(bytes),
            (4, Value::Bytes(bytes)) => topic = topic_name(bytes),
            _ => {}
        }
    }
    // Left empty is the same as left out.
    let author = author.filter(|author| !author.is_empty());
    let number = number.filter(|number| !number.is_empty());
    let author = match author.map(PeerId::from_bytes).transpose() {
        Ok(author) => author,
        Err(_) => return Ok(None),
    };
    let number = match number.map(<[u8; 8]>::try_from).transpose() {
        Ok(number) => number,
        Err(_) => return Ok(None),
    };
    Ok(topic.map(|topic| {
        Item::Message(Message {
            author,
            number,
            topic,
            data: data.to_vec(),
        })
    }))
}

fn control(bytes: &[u8], items: &mut Vec<Item>) -> Result<(), Malformed> {
    let mut control = Fields(bytes);
    while let Some((number, value)) = control.next()? {
        let Value::Bytes(bytes) = value else { continue };
        let (mut topic, mut ids, mut backoff) = (None, Vec::new(), None);
        let has_topic = number != 5;
        let mut fields = Fields(bytes);
        while let Some(field) = fields.next()? {
            match field {
                (1, Value::Bytes(bytes)) if has_topic => topic = topic_name(bytes),
                (1 | 2, Value::Bytes(bytes)) => {
                    // The ids of other kinds of gossip have other lengths.
                    if let Ok(id) = <[u8; 32]>::try_from(bytes)
                        && ids.len() < limits::MAX_GOSSIP_IDS_PER_ITEM
                    {
                        ids.push(MessageId(id));
                    }
                }
                (3, Value::Number(number)) => backoff = Some(number),
                _ => {}
            }
        }
        let item = match (number, topic) {
            (1, Some(topic)) => Item::Have(topic, ids),
            (3, Some(topic)) => Item::Graft(topic),
            (4, Some(topic)) => Item::Prune(topic, backoff),
            (5, None) => Item::Unwanted(ids),
            // Wishes too: we say of no message that we have it.
            _ => continue,
        };
        add(items, Some(item));
    }
    Ok(())
}

fn topic_name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    (name.len() <= limits::MAX_GOSSIP_TOPIC_BYTES).then(|| name.to_owned())
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field we know has.
    Other,
}

/// The fields of a protobuf message that are still to be read.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field with its number, if there is one.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, Malformed> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Other)?,
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Malformed)?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Other)?,
            _ => return Err(Malformed),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Malformed)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

// --- Writing --------------------------------------------------------------------------------------

/// An RPC with its length, ready to be sent, to any number of peers.
pub(crate) type Frame = Arc<[u8]>;

/// One thing we say, as an RPC of its own: the readers of nodes keep only the last of several controls.
pub(crate) fn subscription_frame(topic: &str, subscribe: bool) -> Frame {
    let mut fields = vec![1 << 3, u8::from(subscribe)];
    put(&mut fields, 2, topic.as_bytes());
    frame(1, &fields)
}

pub(crate) fn message_frame(message: &Message) -> Frame {
    let mut fields = Vec::with_capacity(message.data.len() + message.topic.len() + 64);
    if let Some(author) = message.author {
        put(&mut fields, 1, &author.to_bytes());
    }
    put(&mut fields, 2, &message.data);
    if let Some(number) = message.number {
        put(&mut fields, 3, &number);
    }
    put(&mut fields, 4, message.topic.as_bytes());
    frame(2, &fields)
}

pub(crate) fn graft_frame(topic: &str) -> Frame {
    let mut fields = Vec::new();
    put(&mut fields, 1, topic.as_bytes());
    control_frame(3, &fields)
}

pub(crate) fn prune_frame(topic: &str, backoff_secs: u64) -> Frame {
    let mut fields = Vec::new();
    put(&mut fields, 1, topic.as_bytes());
    fields.push(3 << 3);
    put_varint(&mut fields, backoff_secs);
    control_frame(4, &fields)
}

pub(crate) fn want_frame(ids: &[MessageId]) -> Frame {
    let mut fields = Vec::new();
    for MessageId(id) in ids {
        put(&mut fields, 1, id);
    }
    control_frame(2, &fields)
}

fn control_frame(number: u8, fields: &[u8]) -> Frame {
    let mut control = Vec::new();
    put(&mut control, number, fields);
    frame(3, &control)
}

fn frame(number: u8, fields: &[u8]) -> Frame {
    let mut rpc = Vec::with_capacity(fields.len() + 8);
    put(&mut rpc, number, fields);
    let mut frame = Vec::with_capacity(rpc.len() + 4);
    put_varint(&mut frame, rpc.len() as u64);
    frame.extend_from_slice(&rpc);
    frame.into()
}

fn put(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// What is in a frame, which must hold nothing else.
    fn decode_frame(frame: &Frame) -> Vec<Item> {
        let mut fields = Fields(frame);
        let length = fields.varint().unwrap();
        assert_eq!(length, fields.0.len() as u64);
        decode(fields.0).unwrap()
    }

    fn id(byte: u8) -> MessageId {
        MessageId([byte; 32])
    }

    /// A length-delimited field.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, number, bytes);
        out
    }

    fn a_message() -> Message {
        Message {
            author: Some(PeerId::random()),
            number: Some([1; 8]),
            topic: "news".to_owned(),
            data: vec![7; 300],
        }
    }

    #[test]
    fn what_we_say_is_understood() {
        let topic = || "news".to_owned();
        let all = [
            (
                subscription_frame("news", true),
                vec![Item::Subscribe(topic())],
            ),
            (
                subscription_frame("news", false),
                vec![Item::Unsubscribe(topic())],
            ),
            (graft_frame("news"), vec![Item::Graft(topic())]),
            (
                prune_frame("news", 300),
                vec![Item::Prune(topic(), Some(300))],
            ),
            // We are not asked for messages, so this is understood by others only.
            (want_frame(&[id(1)]), vec![]),
        ];
        for (frame, items) in all {
            assert_eq!(decode_frame(&frame), items);
        }
        let bare = Message {
            author: None,
            number: None,
            topic: String::new(),
            data: vec![],
        };
        for message in [a_message(), bare] {
            let items = decode_frame(&message_frame(&message));
            assert_eq!(items, [Item::Message(message)]);
        }
    }

    #[test]
    fn the_bytes_are_those_of_gossipsub() {
        assert_eq!(
            *subscription_frame("ab", true),
            *b"\x08\x0a\x06\x08\x01\x12\x02ab"
        );
        assert_eq!(*graft_frame("ab"), *b"\x08\x1a\x06\x1a\x04\x0a\x02ab");
        assert_eq!(
            *prune_frame("ab", 60),
            *b"\x0a\x1a\x08\x22\x06\x0a\x02ab\x18\x3c"
        );
        assert_eq!(want_frame(&[id(9)])[..7], *b"\x26\x1a\x24\x12\x22\x0a\x20");
    }

    #[test]
    fn fields_of_other_releases_are_skipped() {
        // A number, eight bytes, four bytes, and bytes, each in fields nobody knows, around one that is.
        let strange = [
            vec![15 << 3, 0x80, 1],
            [vec![14 << 3 | 1], vec![0; 8]].concat(),
            [vec![13 << 3 | 5], vec![0; 4]].concat(),
            field(12, b"bytes"),
        ]
        .concat();
        let known = field(
            1,
            &[vec![8, 1], field(2, b"news"), strange.clone()].concat(),
        );
        let rpc = [strange.clone(), known, strange].concat();
        assert_eq!(decode(&rpc), Ok(vec![Item::Subscribe("news".to_owned())]));
        // A group is of no use to anybody.
        assert_eq!(decode(&[3]), Err(Malformed));
    }

    #[test]
    fn messages_that_would_be_held_against_us_are_left_out() {
        let with = |bytes: Vec<u8>| decode(&field(2, &[field(4, b"news"), bytes].concat()));
        assert_eq!(with(field(1, b"no peer id")), Ok(vec![]));
        assert_eq!(with(field(3, &[0; 7])), Ok(vec![]));
        assert_eq!(with(field(4, &[0xff])), Ok(vec![]));
        assert_eq!(with(field(4, &[b'x'; 257])), Ok(vec![]));
        // Empty is as good as absent, and a signature is not passed on.
        let message = Message {
            author: None,
            number: None,
            topic: "news".to_owned(),
            data: b"data".to_vec(),
        };
        let signed = [
            field(1, &[]),
            field(2, b"data"),
            field(3, &[]),
            field(5, b"signature"),
            field(6, b"key"),
        ]
        .concat();
        assert_eq!(with(signed), Ok(vec![Item::Message(message)]));
        // Without a topic it is none.
        assert_eq!(decode(&field(2, &field(2, b"data"))), Ok(vec![]));
    }

    #[test]
    fn lists_are_cut_off() {
        let count = |rpc: &[u8]| decode(rpc).unwrap().len();
        let subscription = field(1, &[vec![8, 1], field(2, b"news")].concat());
        assert_eq!(
            count(&subscription.repeat(5000)),
            limits::MAX_GOSSIP_ITEMS_PER_RPC
        );
        let message = field(2, &field(4, b"news"));
        assert_eq!(
            count(&message.repeat(5000)),
            limits::MAX_GOSSIP_MESSAGES_PER_RPC
        );
        let graft = field(3, &field(1, b"news"));
        assert_eq!(
            count(&field(3, &graft.repeat(5000))),
            limits::MAX_GOSSIP_ITEMS_PER_RPC
        );
        let ids = field(2, &[3; 32]).repeat(5000);
        let have = field(1, &[field(1, b"news"), ids].concat());
        let items = decode(&field(3, &have)).unwrap();
        let expected = vec![id(3); limits::MAX_GOSSIP_IDS_PER_ITEM];
        assert_eq!(items, [Item::Have("news".to_owned(), expected)]);
        // Ids of another length are none of this network.
        let unwanted = field(5, &[field(1, &[1; 31]), field(1, &[2; 32])].concat());
        let items = decode(&field(3, &unwanted)).unwrap();
        assert_eq!(items, [Item::Unwanted(vec![id(2)])]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(items) = decode(&bytes) {
                prop_assert!(items.len() <= bytes.len());
            }
        }

        #[test]
        fn any_message_comes_back(data in prop::collection::vec(any::<u8>(), 0..5000), topic in "[a-z0-9_-]{0,80}") {
            let message = Message { data, topic, ..a_message() };
            prop_assert_eq!(decode_frame(&message_frame(&message)), [Item::Message(message)]);
        }

        #[test]
        fn what_is_cut_off_or_changed_is_no_trap(at in 0usize..400, byte: u8) {
            let frame = message_frame(&a_message());
            let rpc = frame.get(2..).unwrap();
            prop_assert_eq!(decode(rpc).map(|items| items.len()), Ok(1));
            let cut = rpc.get(..at.min(rpc.len() - 1)).unwrap();
            prop_assert!(cut.is_empty() || decode(cut) == Err(Malformed));
            let mut changed = rpc.to_vec();
            let at = at % changed.len();
            changed[at] = byte;
            drop(decode(&changed));
        }
    }
}
