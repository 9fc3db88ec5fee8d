//! Bodies in protobuf, for the few kinds that kubectl and helm write so.
//!
//! Go's typed clients prefer protobuf for what they send. What kubectl and helm send
//! through them is little: secrets, config maps, namespaces, deletions, evictions. The field
//! numbers are those of `generated.proto` in `k8s.io/api` v0.34. Answers are always JSON,
//! which these clients take.

use jiff::Timestamp;
use k8s_openapi::ByteString;
use serde_json::{Map, Value, json};

use super::object::time_text;
use super::status::Refusal;

/// What every such body begins with.
const MAGIC: &[u8] = b"k8s\0";

/// A message's fields: number, name, kind.
type Message = &'static [(u64, &'static str, Kind)];

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Left out when empty, which is how Go sends what is not set.
    Text,
    Texts,
    Number,
    /// A number that is sent only when set: zero counts.
    SetNumber,
    Bool,
    Time,
    TextMap,
    BytesMap,
    Json,
    One(Message),
    Many(Message),
}

use Kind::{Bool, BytesMap, Json, Many, Number, One, SetNumber, Text, TextMap, Texts, Time};

const OWNER: Message = &[
    (5, "apiVersion", Text),
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (6, "controller", Bool),
    (7, "blockOwnerDeletion", Bool),
];

const MANAGED: Message = &[
    (1, "manager", Text),
    (2, "operation", Text),
    (3, "apiVersion", Text),
    (4, "time", Time),
    (6, "fieldsType", Text),
    (7, "fieldsV1", Json),
    (8, "subresource", Text),
];

const META: Message = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Number),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", SetNumber),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
    (17, "managedFields", Many(MANAGED)),
];

const DELETE_OPTIONS: Message = &[
    (1, "gracePeriodSeconds", SetNumber),
    (2, "preconditions", One(&[(1, "uid", Text), (2, "resourceVersion", Text)])),
    (3, "orphanDependents", Bool),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];

const REFERENCE: Message = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];

/// The kinds that are read.
const KINDS: &[(&str, Message)] = &[
    (
        "Secret",
        &[
            (1, "metadata", One(META)),
            (2, "data", BytesMap),
            (3, "type", Text),
            (4, "stringData", TextMap),
            (5, "immutable", Bool),
        ],
    ),
    (
        "ConfigMap",
        &[(1, "metadata", One(META)), (2, "data", TextMap), (3, "binaryData", BytesMap), (4, "immutable", Bool)],
    ),
    (
        "Namespace",
        &[
            (1, "metadata", One(META)),
            (2, "spec", One(&[(1, "finalizers", Texts)])),
            (3, "status", One(&[(1, "phase", Text)])),
        ],
    ),
    (
        "ServiceAccount",
        &[
            (1, "metadata", One(META)),
            (2, "secrets", Many(REFERENCE)),
            (3, "imagePullSecrets", Many(&[(1, "name", Text)])),
            (4, "automountServiceAccountToken", Bool),
        ],
    ),
    ("DeleteOptions", DELETE_OPTIONS),
    ("Eviction", &[(1, "metadata", One(META)), (2, "deleteOptions", One(DELETE_OPTIONS))]),
    ("Binding", &[(1, "metadata", One(META)), (2, "target", One(REFERENCE))]),
];

/// What every body says of itself first.
const TYPE: Message = &[(1, "apiVersion", Text), (2, "kind", Text)];

/// Whether a body is protobuf.
pub(crate) fn is_protobuf(body: &[u8]) -> bool {
    body.starts_with(MAGIC)
}

/// A protobuf body as the object that it is.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let broken = || Refusal::bad_request("unable to decode the protobuf body: it breaks off");
    let envelope = Wire(&body[MAGIC.len()..]).fields().ok_or_else(broken)?;
    let part = |number: u64| {
        envelope.iter().find_map(|(own, item)| if *own == number { item.bytes() } else { None }).unwrap_or_default()
    };
    let mut object = read(part(1), TYPE).ok_or_else(broken)?;
    let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
    let Some((_, message)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Err(Refusal::not_imitated(&format!("bodies of kind `{kind}` in protobuf")));
    };
    object.extend(read(part(2), message).ok_or_else(broken)?);
    Ok(Value::Object(object))
}

/// A field on the wire.
#[derive(Clone, Copy)]
enum Item<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A fixed-width number: none of the messages above has one.
    Fixed,
}

impl<'a> Item<'a> {
    fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Varint(_) | Self::Fixed => None,
        }
    }
}

/// Bytes that are read from the front.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    /// All fields, by number.
    fn fields(mut self) -> Option<Vec<(u64, Item<'a>)>> {
        let mut fields = Vec::new();
        while !self.0.is_empty() {
            let tag = self.varint()?;
            let item = match tag & 7 {
                0 => Item::Varint(self.varint()?),
                1 => self.take(8).map(|_| Item::Fixed)?,
                2 => {
                    let length = usize::try_from(self.varint()?).ok()?;
                    Item::Bytes(self.take(length)?)
                }
                5 => self.take(4).map(|_| Item::Fixed)?,
                _ => return None,
            };
            fields.push((tag >> 3, item));
        }
        Some(fields)
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

/// The fields of a message that are set. Unknown ones are passed over, as protobuf has it.
fn read(bytes: &[u8], message: Message) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for (number, item) in Wire(bytes).fields()? {
        let Some((_, name, kind)) = message.iter().find(|(own, _, _)| *own == number) else { continue };
        match (kind, item) {
            (Text, Item::Bytes([])) | (Number, Item::Varint(0)) => {}
            (Text, Item::Bytes(bytes)) => {
                object.insert((*name).to_owned(), text(bytes));
            }
            (Texts, Item::Bytes(bytes)) => append(&mut object, name, text(bytes)),
            (Number | SetNumber, Item::Varint(number)) => {
                // A negative number is sent as its two's complement.
                object.insert((*name).to_owned(), json!(number.cast_signed()));
            }
            (Bool, Item::Varint(truth)) => {
                object.insert((*name).to_owned(), json!(truth != 0));
            }
            (Time, Item::Bytes(bytes)) => {
                let at = Wire(bytes).fields()?.into_iter().find_map(|(number, item)| match (number, item) {
                    (1, Item::Varint(seconds)) => Timestamp::from_second(seconds.cast_signed()).ok(),
                    _ => None,
                });
                if let Some(at) = at {
                    object.insert((*name).to_owned(), time_text(at).into());
                }
            }
            (TextMap | BytesMap, Item::Bytes(bytes)) => {
                let entry = Wire(bytes).fields()?;
                let part = |number: u64| {
                    entry.iter().find(|(own, _)| *own == number).and_then(|(_, item)| item.bytes()).unwrap_or_default()
                };
                let value = if matches!(kind, TextMap) { text(part(2)) } else { json!(ByteString(part(2).to_vec())) };
                let map = object.entry((*name).to_owned()).or_insert_with(|| json!({}));
                map[String::from_utf8_lossy(part(1)).as_ref()] = value;
            }
            (Json, Item::Bytes(bytes)) => {
                let raw = Wire(bytes).fields()?.into_iter().find_map(|(_, item)| item.bytes()).unwrap_or_default();
                object.insert((*name).to_owned(), serde_json::from_slice(raw).ok()?);
            }
            (One(inner), Item::Bytes(bytes)) => {
                let inner = read(bytes, inner)?;
                if !inner.is_empty() {
                    object.insert((*name).to_owned(), Value::Object(inner));
                }
            }
            (Many(inner), Item::Bytes(bytes)) => append(&mut object, name, Value::Object(read(bytes, inner)?)),
            _ => return None,
        }
    }
    Some(object)
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn append(object: &mut Map<String, Value>, name: &str, value: Value) {
    if let Value::Array(items) = object.entry(name.to_owned()).or_insert_with(|| json!([])) {
        items.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn a_secret_is_read_as_helm_sends_it() {
        let meta = [
            field(1, b"s"),
            field(2, b""),
            field(8, b""),
            field(11, &[field(1, b"owner"), field(2, b"helm")].concat()),
        ];
        let raw = [field(1, &meta.concat()), field(2, &[field(1, b"k"), field(2, b"v")].concat()), field(3, b"Opaque")];
        let kind = [field(1, b"v1"), field(2, b"Secret")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &raw.concat())].concat();
        assert_eq!(
            decode(&body).unwrap(),
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": "s", "labels": {"owner": "helm"}},
                "data": {"k": "dg=="}, "type": "Opaque",
            }),
        );
        assert!(decode(&body[..body.len() - 1]).is_err(), "a cut body is refused");
    }

    #[test]
    fn zero_grace_is_not_no_grace() {
        let kind = [field(1, b"v1"), field(2, b"DeleteOptions")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &[1 << 3, 0])].concat();
        assert_eq!(decode(&body).unwrap()["gracePeriodSeconds"], 0);
    }
}
