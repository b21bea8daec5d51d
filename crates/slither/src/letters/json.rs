//! Values as JSON and back, exactly: what JSON has no word for is an object with one key, a tag that begins with `$`.
//!
//! | tag | stands for | holds |
//! |---|---|---|
//! | `$bytes` | bytes | base64 |
//! | `$int` | an integer beyond ±(2⁵³ − 1), which many readers of JSON round | its decimal digits |
//! | `$float` | not a number, and the infinities | `nan`, `inf`, `-inf`, or `nan:` and 16 hexadecimal digits |
//! | `$time` | a timestamp | RFC 3339 in UTC, or `[seconds, nanoseconds]` outside the years 0000 to 9999 |
//! | `$tensor` | an array | `dtype`, `shape`, and the elements as base64 |
//! | `$pairs` | a map whose keys are not all text, or not all different | `[key, value]` pairs |
//! | `$map` | an ordinary map whose one key begins with `$` | that map |
//! | `$ext` | any other extension of msgpack | `[code, base64]` |
//! | `$msgpack` | what nests too deep for readers of JSON | base64 of its msgpack |

use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};

use super::tree::Tree;
use super::{base64, moment};
use crate::codec;
use crate::value::{Tensor, Timestamp};

/// Deeper than this is written as `$msgpack`: readers of JSON stop at 128, and the line and tags need some.
const DEEPEST: usize = 100;
/// The largest integer up to which a double holds all.
const SAFE: u64 = (1 << 53) - 1;
const QUIET_NAN: u64 = 0x7ff8_0000_0000_0000;
const TIMESTAMP: i8 = -1;
const TENSOR: i8 = 1;

/// Writes a value as JSON with tags.
pub(super) struct Tagged<'a> {
    tree: &'a Tree,
    depth: usize,
}

impl<'a> Tagged<'a> {
    pub(super) fn new(tree: &'a Tree) -> Self {
        Self { tree, depth: 0 }
    }

    fn inner(&self, tree: &'a Tree) -> Self {
        Self { tree, depth: self.depth + 1 }
    }

    /// A map all of whose keys are text.
    fn map<S: Serializer>(&self, entries: &'a [(Tree, Tree)], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(entries.iter().map(|(key, value)| (text(key), self.inner(value))))
    }
}

fn text(key: &Tree) -> &str {
    match key {
        Tree::Str(key) => key,
        _ => "",
    }
}

fn tag<S: Serializer>(
    serializer: S,
    name: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(name, value)?;
    map.end()
}

/// What a map is written as.
enum Shape {
    Plain,
    Escaped,
    Pairs,
}

fn shape(entries: &[(Tree, Tree)]) -> Shape {
    if !entries.iter().all(|(key, _)| matches!(key, Tree::Str(_))) {
        return Shape::Pairs;
    }
    let mut keys: Vec<&str> = entries.iter().map(|(key, _)| text(key)).collect();
    match keys[..] {
        [only] if only.starts_with('$') => return Shape::Escaped,
        [_] => return Shape::Plain,
        _ => {}
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) { Shape::Pairs } else { Shape::Plain }
}

impl Serialize for Tagged<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.tree {
            Tree::List(_) | Tree::Map(_) if self.depth >= DEEPEST => {
                let bytes = self.tree.to_msgpack().map_err(S::Error::custom)?;
                tag(serializer, "$msgpack", &base64::encode(&bytes))
            }
            Tree::Nil => serializer.serialize_unit(),
            Tree::Bool(value) => serializer.serialize_bool(*value),
            Tree::Int(value) if value.unsigned_abs() > SAFE => tag(serializer, "$int", &value.to_string()),
            Tree::Int(value) => serializer.serialize_i64(*value),
            Tree::Uint(value) => tag(serializer, "$int", &value.to_string()),
            Tree::Float(value) if value.is_finite() => serializer.serialize_f64(*value),
            Tree::Float(value) => tag(serializer, "$float", &unusual(*value)),
            Tree::Str(value) => serializer.serialize_str(value),
            Tree::Bin(value) => tag(serializer, "$bytes", &base64::encode(value)),
            Tree::List(values) => serializer.collect_seq(values.iter().map(|value| self.inner(value))),
            Tree::Map(entries) => match shape(entries) {
                Shape::Plain => self.map(entries, serializer),
                Shape::Escaped => {
                    struct Map<'a>(&'a Tagged<'a>, &'a [(Tree, Tree)]);
                    impl Serialize for Map<'_> {
                        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                            self.0.map(self.1, serializer)
                        }
                    }
                    let deeper = Tagged { tree: self.tree, depth: self.depth + 1 };
                    tag(serializer, "$map", &Map(&deeper, entries))
                }
                Shape::Pairs => {
                    let deeper = Tagged { tree: self.tree, depth: self.depth + 2 };
                    let pair = |(key, value)| [deeper.inner(key), deeper.inner(value)];
                    tag(
                        serializer,
                        "$pairs",
                        &entries.iter().map(|(key, value)| pair((key, value))).collect::<Vec<_>>(),
                    )
                }
            },
            Tree::Ext(code, body) => match extension(self.tree, *code) {
                Some(Known::Time(text)) => tag(serializer, "$time", &text),
                Some(Known::FarTime(pair)) => tag(serializer, "$time", &pair),
                Some(Known::Tensor(tensor)) => {
                    let dtype = tensor.dtype().name();
                    tag(
                        serializer,
                        "$tensor",
                        &Elements { dtype, shape: tensor.shape(), data: base64::encode(tensor.data()) },
                    )
                }
                None => tag(serializer, "$ext", &(code, base64::encode(body))),
            },
        }
    }
}

#[derive(Serialize)]
struct Elements<'a> {
    dtype: &'a str,
    shape: &'a [usize],
    data: String,
}

fn unusual(value: f64) -> String {
    match value.to_bits() {
        _ if value == f64::INFINITY => "inf".to_owned(),
        _ if value == f64::NEG_INFINITY => "-inf".to_owned(),
        QUIET_NAN => "nan".to_owned(),
        bits => format!("nan:{bits:016x}"),
    }
}

/// An extension that has a form of its own.
enum Known {
    Time(String),
    FarTime((i64, u32)),
    Tensor(Tensor),
}

/// None for an extension that would not come back byte for byte.
fn extension(tree: &Tree, code: i8) -> Option<Known> {
    let bytes = tree.to_msgpack().ok()?;
    let same = |value: &dyn Fn(&mut Vec<u8>) -> Result<(), String>| {
        let mut again = Vec::new();
        value(&mut again).is_ok() && again == bytes
    };
    match code {
        TIMESTAMP => {
            let time: Timestamp = codec::decode(&bytes).ok()?;
            let known = moment::write(time)
                .map_or(Known::FarTime((time.seconds(), time.subsec_nanos())), Known::Time);
            same(&|out| codec::encode(&time, out)).then_some(known)
        }
        TENSOR => {
            let tensor: Tensor = codec::decode(&bytes).ok()?;
            same(&|out| codec::encode(&tensor, out)).then_some(Known::Tensor(tensor))
        }
        _ => None,
    }
}

/// Reads the tags of JSON that was parsed: the value as it was. What was parsed nests at most as deep as the
/// parser lets it.
pub(super) fn untag(json: Tree) -> Result<Tree, String> {
    match json {
        Tree::List(values) => values.into_iter().map(untag).collect::<Result<_, _>>().map(Tree::List),
        Tree::Map(mut entries) => {
            if let [(Tree::Str(name), _)] = &entries[..]
                && name.starts_with('$')
            {
                let name = name.clone();
                let value = entries.pop().map_or(Tree::Nil, |(_, value)| value);
                return tagged(&name, value).map_err(|reason| format!("`{name}`: {reason}"));
            }
            map(entries)
        }
        plain => Ok(plain),
    }
}

fn map(entries: Vec<(Tree, Tree)>) -> Result<Tree, String> {
    if matches!(shape(&entries), Shape::Pairs) {
        return Err("a key is there twice".to_owned());
    }
    let entry = |(key, value)| Ok((key, untag(value)?));
    entries.into_iter().map(entry).collect::<Result<_, String>>().map(Tree::Map)
}

fn tagged(name: &str, value: Tree) -> Result<Tree, String> {
    match (name, value) {
        ("$bytes", value) => bytes(&value).map(Tree::Bin),
        ("$int", Tree::Str(digits)) => match (digits.parse::<i64>(), digits.parse::<u64>()) {
            (Ok(value), _) => Ok(Tree::Int(value)),
            (_, Ok(value)) => Ok(Tree::Uint(value)),
            _ => Err(format!("{digits:?} is no integer of 64 bits")),
        },
        ("$float", Tree::Str(word)) => float(&word).map(Tree::Float),
        ("$time", value) => time(&value),
        ("$tensor", value) => tensor(&value),
        ("$map", Tree::Map(entries)) => map(entries),
        ("$pairs", Tree::List(pairs)) => pairs
            .into_iter()
            .map(|pair| match pair {
                Tree::List(pair) => match <[Tree; 2]>::try_from(pair) {
                    Ok([key, value]) => Ok((untag(key)?, untag(value)?)),
                    Err(_) => Err("expected pairs of a key and a value".to_owned()),
                },
                _ => Err("expected pairs of a key and a value".to_owned()),
            })
            .collect::<Result<_, _>>()
            .map(Tree::Map),
        ("$ext", Tree::List(pair)) => match &pair[..] {
            [Tree::Int(code), body] => {
                let code = i8::try_from(*code).map_err(|_| format!("{code} is no code of an extension"))?;
                Ok(Tree::Ext(code, bytes(body)?))
            }
            _ => Err("expected a code and base64".to_owned()),
        },
        ("$msgpack", value) => codec::decode(&bytes(&value)?),
        ("$int" | "$float", _) => Err("expected text".to_owned()),
        ("$map", _) => Err("expected an object".to_owned()),
        ("$pairs" | "$ext", _) => Err("expected a list".to_owned()),
        _ => Err("no such tag; an object of your own with one key that begins with `$` is written as \
                  {\"$map\": {…}}"
            .to_owned()),
    }
}

fn bytes(value: &Tree) -> Result<Vec<u8>, String> {
    match value {
        Tree::Str(text) => base64::decode(text).ok_or_else(|| "expected base64, with its padding".to_owned()),
        _ => Err("expected base64 as text".to_owned()),
    }
}

fn float(word: &str) -> Result<f64, String> {
    let unknown = || format!("{word:?} is none of nan, inf, -inf");
    match word {
        "nan" => Ok(f64::from_bits(QUIET_NAN)),
        "inf" => Ok(f64::INFINITY),
        "-inf" => Ok(f64::NEG_INFINITY),
        _ => {
            let bits = word.strip_prefix("nan:").filter(|digits| digits.len() == 16).ok_or_else(unknown)?;
            let value = f64::from_bits(u64::from_str_radix(bits, 16).map_err(|_| unknown())?);
            if value.is_nan() { Ok(value) } else { Err(unknown()) }
        }
    }
}

fn time(value: &Tree) -> Result<Tree, String> {
    let time = match value {
        Tree::Str(text) => moment::read(text),
        Tree::List(pair) => match pair[..] {
            [Tree::Int(seconds), Tree::Int(nanos)] => {
                u32::try_from(nanos).ok().and_then(|nanos| Timestamp::new(seconds, nanos))
            }
            _ => None,
        },
        _ => None,
    };
    let time = time.ok_or("expected a time as in 2026-01-31T12:00:00.000001Z")?;
    let mut bytes = Vec::new();
    codec::encode(&time, &mut bytes)?;
    codec::decode(&bytes)
}

fn tensor(value: &Tree) -> Result<Tree, String> {
    let field = |name: &str| value.get(name).ok_or_else(|| format!("`{name}` is missing"));
    let data = Tree::Bin(bytes(field("data")?)?);
    let body = Tree::List(vec![field("dtype")?.clone(), field("shape")?.clone(), data]).to_msgpack()?;
    let tensor = Tree::Ext(TENSOR, body);
    tensor.to::<Tensor>()?;
    Ok(tensor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree_of(json: &str) -> Result<Tree, String> {
        untag(serde_json::from_str(json).map_err(|error| error.to_string())?)
    }

    #[test]
    fn ordinary_values_are_ordinary_json() {
        let tree = tree_of(r#"{"text":"é","list":[1,-2,0.5,1.0,null,true],"$a":1,"$b":{}}"#).unwrap();
        let json = serde_json::to_string(&Tagged::new(&tree)).unwrap();
        assert_eq!(json, r#"{"text":"é","list":[1,-2,0.5,1.0,null,true],"$a":1,"$b":{}}"#);
    }

    #[test]
    fn what_json_lacks_has_a_tag() {
        let time = Tree::Ext(TIMESTAMP, vec![0, 0, 0, 1]);
        for (tree, json) in [
            (Tree::Bin(vec![255]), r#"{"$bytes":"/w=="}"#),
            (Tree::Int(i64::MIN), r#"{"$int":"-9223372036854775808"}"#),
            (Tree::Uint(u64::MAX), r#"{"$int":"18446744073709551615"}"#),
            (Tree::Int(9_007_199_254_740_991), "9007199254740991"),
            (Tree::Float(f64::NEG_INFINITY), r#"{"$float":"-inf"}"#),
            (time, r#"{"$time":"1970-01-01T00:00:01Z"}"#),
            (Tree::Ext(7, vec![1]), r#"{"$ext":[7,"AQ=="]}"#),
            (Tree::Map(vec![(Tree::Int(1), Tree::Nil)]), r#"{"$pairs":[[1,null]]}"#),
            (Tree::Map(vec![(Tree::Str("$int".into()), Tree::Nil)]), r#"{"$map":{"$int":null}}"#),
        ] {
            assert_eq!(serde_json::to_string(&Tagged::new(&tree)).unwrap(), json);
            assert_eq!(tree_of(json).unwrap(), tree);
        }
    }

    #[test]
    fn a_tag_that_is_wrong_is_named() {
        for (json, message) in [
            (r#"{"$byte":"AQ=="}"#, "`$byte`: no such tag"),
            (r#"[{"$bytes":"AQ"}]"#, "`$bytes`: expected base64"),
            (r#"{"$int":5}"#, "`$int`: expected text"),
            (r#"{"$float":"1.5"}"#, "`$float`: \"1.5\" is none of nan, inf, -inf"),
            (r#"{"$float":"nan:3ff0000000000000"}"#, "is none of"),
            (r#"{"$time":"yesterday"}"#, "`$time`: expected a time"),
            (r#"{"$tensor":{"dtype":"f4","shape":[2],"data":"AQ=="}}"#, "has 8 bytes, not 1"),
            (r#"{"$tensor":{"shape":[]}}"#, "`data` is missing"),
            (r#"{"a":1,"a":2}"#, "a key is there twice"),
            (r#"{"$msgpack":"kZE="}"#, "`$msgpack`: "),
        ] {
            let error = tree_of(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn what_nests_as_deep_as_msgpack_may_comes_back() {
        for wrap in [
            (|tree| Tree::List(vec![tree])) as fn(Tree) -> Tree,
            |tree| Tree::Map(vec![(Tree::Str("$map".into()), tree)]),
            |tree| Tree::Map(vec![(Tree::Int(0), tree)]),
        ] {
            let deep = (0..codec::MAX_DEPTH - 2).fold(Tree::Float(0.5), |tree, _| wrap(tree));
            let json = serde_json::to_string(&Tagged::new(&deep)).unwrap();
            assert_eq!(tree_of(&json).unwrap(), deep);
        }
    }
}
