//! JSON as CEL sees it, and back.
//!
//! An object is turned into nodes once. Lists and maps are shared, so that the
//! variable of an `exists` over ten thousand pods is a pointer, and maps keep
//! their keys sorted, so that no answer hangs on a hash.

use std::any::Any;
use std::sync::Arc;

use cel::ExecutionError;
use cel::common::traits::{self, Adder, Container, Indexer, Iterable, Sizer, Zeroer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString, CelType, CelUInt, Kind,
    LIST_TYPE, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use serde_json::Value;

use super::function::Version;

/// A JSON value that expressions can be asked about.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Null,
    Bool(CelBool),
    Int(CelInt),
    Double(CelDouble),
    Text(CelString<'static>),
    Items(Items),
    Fields(Fields),
}

/// A list.
#[derive(Debug, Clone)]
pub(super) struct Items(Arc<[Node]>);

/// A map, its keys in order.
#[derive(Debug, Clone)]
pub(super) struct Fields(Arc<[(CelString<'static>, Node)]>);

static NULL: CelNull = CelNull;

impl Node {
    /// Converts JSON.
    ///
    /// Members that are `null` are left out, as the API server does on its
    /// side, so that `has` means the same everywhere. Every whole number is an
    /// `int`, as a JSON number has no sign of its own; above `i64::MAX` it is a
    /// `double`.
    pub(super) fn of(json: &Value) -> Node {
        match json {
            Value::Null => Node::Null,
            Value::Bool(b) => Node::Bool(CelBool::from(*b)),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Node::Int(CelInt::from(int)),
                None => Node::Double(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
            },
            Value::String(text) => Node::text(text),
            Value::Array(items) => Node::items(items.iter().map(Node::of)),
            Value::Object(members) => {
                Node::fields(members.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.as_str(), Node::of(v))))
            }
        }
    }

    pub(super) fn text(text: &str) -> Node {
        Node::Text(CelString::from(text.to_owned()))
    }

    pub(super) fn items(items: impl Iterator<Item = Node>) -> Node {
        Node::Items(Items(items.collect()))
    }

    pub(super) fn fields<'k>(fields: impl Iterator<Item = (&'k str, Node)>) -> Node {
        let mut fields: Vec<_> = fields.map(|(key, node)| (CelString::from(key.to_owned()), node)).collect();
        fields.sort_by(|a, b| a.0.cmp(&b.0));
        Node::Fields(Fields(fields.into()))
    }

    /// The value as the interpreter handles it.
    pub(super) fn as_val(&self) -> &(dyn Val + 'static) {
        match self {
            Node::Null => &NULL,
            Node::Bool(b) => b,
            Node::Int(i) => i,
            Node::Double(d) => d,
            Node::Text(t) => t,
            Node::Items(items) => items,
            Node::Fields(fields) => fields,
        }
    }

    /// The members, if this is a map; else nothing.
    pub(super) fn members(&self) -> &[(CelString<'static>, Node)] {
        match self {
            Node::Fields(Fields(fields)) => fields,
            _ => &[],
        }
    }

    /// The elements, if this is a list; else nothing.
    pub(super) fn elements(&self) -> &[Node] {
        match self {
            Node::Items(Items(items)) => items,
            _ => &[],
        }
    }

    /// What an evaluation came to, ready to be bound again.
    pub(super) fn from_val(val: &dyn Val) -> Result<Node, String> {
        if let Some(items) = val.downcast_ref::<Items>() {
            return Ok(Node::Items(items.clone()));
        }
        if let Some(fields) = val.downcast_ref::<Fields>() {
            return Ok(Node::Fields(fields.clone()));
        }
        if let Some(list) = val.downcast_ref::<CelList>() {
            let items: Result<Vec<Node>, String> =
                list.inner().iter().map(|item| Node::from_val(item.as_ref())).collect();
            return Ok(Node::items(items?.into_iter()));
        }
        if let Some(map) = val.downcast_ref::<CelMap>() {
            let mut fields = Vec::with_capacity(map.len());
            for (key, value) in map.inner() {
                let node = Node::from_val(value.as_ref())?;
                if !matches!(node, Node::Null) {
                    fields.push((key_text(key), node));
                }
            }
            return Ok(Node::fields(fields.iter().map(|(key, node)| (key.as_str(), node.clone()))));
        }
        if let Some(optional) = val.downcast_ref::<CelOptional>() {
            return optional.option().map_or(Ok(Node::Null), Node::from_val);
        }
        if let Some(text) = val.downcast_ref::<CelString>() {
            return Ok(Node::text(text));
        }
        if let Some(b) = val.downcast_ref::<CelBool>() {
            return Ok(Node::Bool(CelBool::from(*b.inner())));
        }
        if let Some(int) = val.downcast_ref::<CelInt>() {
            return Ok(Node::Int(CelInt::from(*int.inner())));
        }
        if let Some(uint) = val.downcast_ref::<CelUInt>() {
            return Ok(Node::of(&Value::from(*uint.inner())));
        }
        if let Some(double) = val.downcast_ref::<CelDouble>() {
            return Ok(Node::Double(CelDouble::from(*double.inner())));
        }
        if let Some(version) = val.downcast_ref::<Version>() {
            return Ok(Node::text(&version.to_string()));
        }
        if let Some(name) = val.downcast_ref::<CelType>() {
            return Ok(Node::text(name.name()));
        }
        match val.get_type().kind() {
            Kind::NullType => Ok(Node::Null),
            Kind::Duration | Kind::Timestamp => super::function::spell(val).map(|text| Node::text(&text)),
            Kind::Bytes => Err("bytes have no JSON form; write `base64.encode(…)` or `string(…)`".to_owned()),
            _ => Err(format!("a value of type {} has no JSON form", val.get_type().name())),
        }
    }

    /// Back to JSON; a number that JSON cannot hold is an error.
    pub(super) fn to_json(&self) -> Result<Value, String> {
        Ok(match self {
            Node::Null => Value::Null,
            Node::Bool(b) => Value::Bool(*b.inner()),
            Node::Int(int) => Value::from(*int.inner()),
            Node::Double(double) => serde_json::Number::from_f64(*double.inner())
                .map(Value::Number)
                .ok_or_else(|| format!("the number {} has no JSON form", double.inner()))?,
            Node::Text(text) => Value::String(text.inner().to_owned()),
            Node::Items(_) => Value::Array(self.elements().iter().map(Node::to_json).collect::<Result<_, _>>()?),
            Node::Fields(_) => Value::Object(
                self.members()
                    .iter()
                    .map(|(key, node)| Ok((key.inner().to_owned(), node.to_json()?)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }
}

fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::Bool(b) => b.inner().to_string(),
        CelMapKey::Int(i) => i.inner().to_string(),
        CelMapKey::UInt(u) => u.inner().to_string(),
        CelMapKey::String(s) => s.inner().to_owned(),
    }
}

/// Deep equality, whoever made the two values.
///
/// The interpreter's own lists and maps are only ever equal to their like.
pub(super) fn same(a: &dyn Val, b: &dyn Val) -> bool {
    match (a.get_type().kind(), b.get_type().kind()) {
        (Kind::List, Kind::List) => {
            let (Some(a), Some(b)) = (a.as_iterable(), b.as_iterable()) else { return false };
            let (mut a, mut b) = (a.iter(), b.iter());
            loop {
                match (a.next(), b.next()) {
                    (None, None) => return true,
                    (Some(a), Some(b)) if same(a, b) => {}
                    _ => return false,
                }
            }
        }
        (Kind::Map, Kind::Map) => {
            let (Some(keys), Some(of_a), Some(of_b)) = (a.as_iterable(), a.as_indexer(), b.as_indexer()) else {
                return false;
            };
            if size(a) != size(b) {
                return false;
            }
            let mut keys = keys.iter();
            while let Some(key) = keys.next() {
                match (of_a.get(key), of_b.get(key)) {
                    (Ok(a), Ok(b)) if same(a.as_ref(), b.as_ref()) => {}
                    _ => return false,
                }
            }
            true
        }
        // Ours ask here, so they must not be asked back.
        (Kind::List | Kind::Map, _) | (_, Kind::List | Kind::Map) => false,
        _ => match (a.downcast_ref::<CelOptional>(), b.downcast_ref::<CelOptional>()) {
            (Some(a), Some(b)) => match (a.option(), b.option()) {
                (Some(a), Some(b)) => same(a, b),
                (a, b) => a.is_none() && b.is_none(),
            },
            _ => a.equals(b),
        },
    }
}

/// How many elements or entries a list or map has.
pub(super) fn size(val: &dyn Val) -> i64 {
    val.as_sizer().map_or(0, |sizer| *sizer.size().inner())
}

/// Lends out nodes as values.
struct Each<'b>(std::slice::Iter<'b, Node>);

impl<'b, 'v> traits::Iterator<'b, 'v> for Each<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|node| node.as_val() as &dyn Val)
    }
}

/// Lends out keys as values.
struct Keys<'b>(std::slice::Iter<'b, (CelString<'static>, Node)>);

impl<'b, 'v> traits::Iterator<'b, 'v> for Keys<'b> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        self.0.next().map(|(key, _)| key as &dyn Val)
    }
}

/// What the two kinds of container have in common: each accessor answers with
/// itself, and a copy is another pointer.
macro_rules! container {
    ($name:ident, $type:ident) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                <Self as Val>::cel_type()
            }

            fn cel_type() -> &'static Type {
                static TYPE: Type = $type;
                &TYPE
            }

            fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_container(&self) -> Option<&dyn Container> {
                Some(self)
            }

            fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_sizer(&self) -> Option<&dyn Sizer> {
                Some(self)
            }

            fn as_zeroer(&self) -> Option<&dyn Zeroer> {
                Some(self)
            }

            fn equals(&self, other: &dyn Val) -> bool {
                same(self, other)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
                Box::new(self.clone())
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}

        impl Sizer for $name {
            fn size(&self) -> CelInt {
                CelInt::from(i64::try_from(self.0.len()).unwrap_or(i64::MAX))
            }
        }

        impl Zeroer for $name {
            fn is_zero_value(&self) -> bool {
                self.0.is_empty()
            }
        }
    };
}

container!(Items, LIST_TYPE);
container!(Fields, MAP_TYPE);

impl Adder for Items {
    fn add<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let (Kind::List, Some(more)) = (rhs.get_type().kind(), rhs.as_iterable()) else {
            return Err(no_overload("_+_", self, rhs));
        };
        let mut list: Vec<Box<dyn Val + 'v>> = self.0.iter().map(|node| node.as_val().clone_as_boxed()).collect();
        let mut more = more.iter();
        while let Some(item) = more.next() {
            list.push(item.clone_as_boxed());
        }
        Ok(CowVal::owned(CelList::from(list)))
    }
}

impl Adder for Fields {
    fn add<'b, 'v>(&'b self, rhs: &(dyn Val + 'v)) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        Err(no_overload("_+_", self, rhs))
    }
}

fn no_overload(function: &str, a: &dyn Val, b: &dyn Val) -> ExecutionError {
    let names = [a, b].map(|val| val.get_type().name().to_owned());
    ExecutionError::no_such_overload(function, names.into())
}

impl Container for Items {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(self.0.iter().any(|node| same(node.as_val(), value)))
    }
}

impl Container for Fields {
    fn contains(&self, key: &dyn Val) -> Result<bool, ExecutionError> {
        match self.find(key) {
            Ok(found) => Ok(found.is_some()),
            Err(error) => Err(error),
        }
    }
}

impl Fields {
    fn find(&self, key: &dyn Val) -> Result<Option<&Node>, ExecutionError> {
        match key.downcast_ref::<CelString>() {
            Some(key) => Ok(self
                .0
                .binary_search_by(|(held, _)| held.inner().cmp(key.inner()))
                .ok()
                .map(|place| &self.0[place].1)),
            None => match key.get_type().kind() {
                // Keys of JSON are strings: another scalar is a key that is not there.
                Kind::Int | Kind::UInt | Kind::Double | Kind::Boolean => Ok(None),
                _ => Err(ExecutionError::UnexpectedType {
                    got: key.get_type().name().to_owned(),
                    want: "a key".to_owned(),
                }),
            },
        }
    }
}

impl Indexer for Fields {
    fn get<'b, 'v>(&'b self, key: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        match self.find(key)? {
            Some(node) => Ok(CowVal::Borrowed(node.as_val())),
            None => Err(ExecutionError::no_such_key(&spell_key(key))),
        }
    }

    fn steal<'v>(self: Box<Self>, key: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(key).map(CowVal::into_owned)
    }
}

fn spell_key(key: &dyn Val) -> String {
    match Node::from_val(key) {
        Ok(Node::Text(text)) => text.into_inner(),
        Ok(node) => node.to_json().map(|json| json.to_string()).unwrap_or_default(),
        Err(_) => String::new(),
    }
}

impl Indexer for Items {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let place = match index.get_type().kind() {
            Kind::Int => index.downcast_ref::<CelInt>().map(|i| *i.inner()),
            Kind::UInt => index.downcast_ref::<CelUInt>().and_then(|u| i64::try_from(*u.inner()).ok()),
            _ => None,
        };
        let Some(place) = place else {
            return Err(ExecutionError::UnexpectedType {
                got: index.get_type().name().to_owned(),
                want: "int".to_owned(),
            });
        };
        usize::try_from(place)
            .ok()
            .and_then(|place| self.0.get(place))
            .map(|node| CowVal::Borrowed(node.as_val()))
            .ok_or(ExecutionError::IndexOutOfBounds(place.into()))
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

impl Iterable for Items {
    fn iter<'b, 'v>(&'b self) -> Box<dyn traits::Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Each(self.0.iter()))
    }
}

impl Iterable for Fields {
    fn iter<'b, 'v>(&'b self) -> Box<dyn traits::Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Keys(self.0.iter()))
    }
}
