//! JSON objects as tokens and key sets must be: no member twice, and few levels.
//!
//! Parsers differ in which of two members with one name they use. What one service checks could then differ from what
//! another uses, so such objects are refused.

use super::shown;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Maximum number of levels.
const MAX_DEPTH: usize = 16;

/// The weight of an object with one member, beside that of the member. It takes as much memory as one with eleven.
const OBJECT: usize = 16;

/// Returns about how much memory values take, in units of some 40 bytes, beside their text.
pub(super) fn weight(members: &Map<String, Value>) -> usize {
    OBJECT + members.values().map(weight_of).sum::<usize>()
}

fn weight_of(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(weight_of).sum::<usize>(),
        Value::Object(members) => weight(members),
        _ => 1,
    }
}

/// Parses an object.
///
/// # Errors
/// Returns what is wrong.
pub(super) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { levels: MAX_DEPTH }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| error.to_string())?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err("it is not an object".to_owned()),
    }
}

/// A value with at most this number of levels.
#[derive(Clone, Copy)]
struct Strict {
    levels: usize,
}

impl Strict {
    fn below<E: Error>(self) -> Result<Self, E> {
        let levels = self.levels.checked_sub(1);
        let levels = levels.ok_or_else(|| E::custom(format!("it has more than {MAX_DEPTH} levels")))?;
        Ok(Self { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (below, mut array) = (self.below()?, Vec::new());
        while let Some(item) = items.next_element_seed(below)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let (below, mut object) = (self.below()?, Map::new());
        while let Some(name) = members.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("it has the member {} twice", shown(&name))));
            }
            object.insert(name, members.next_value_seed(below)?);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn objects_are_read_as_serde_json_reads_them() {
        let text = r#"{"a":[1,-2,2.5,true,null,"é"],"b":{"c":{}},"d":18446744073709551615}"#;
        let parsed = Value::Object(parse_object(text.as_bytes()).unwrap());
        assert_eq!(parsed, serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(parse_object(b" {} \n").unwrap(), *json!({}).as_object().unwrap());
    }

    #[test]
    fn rejects_what_parsers_could_read_differently() {
        for (text, problem) in [
            (r#"{"a":1,"a":1}"#, "\"a\" twice"),
            (r#"{"a":1,"\u0061":2}"#, "\"a\" twice"),
            (r#"{"b":{"c":[{"d":1,"d":2}]}}"#, "\"d\" twice"),
            ("[]", "not an object"),
            ("\"a\"", "not an object"),
            ("{} {}", "trailing"),
            ("{}\0", "trailing"),
            ("\u{feff}{}", "expected"),
            (r#"{"a":NaN}"#, "expected"),
            (r#"{"a":1e999}"#, "number"),
            (r#"{"a":01}"#, "invalid number"),
            (r#"{"a":1,}"#, "trailing comma"),
            ("{'a':1}", "key must be a string"),
            ("{\"a\":\"\n\"}", "control character"),
            ("", "EOF"),
        ] {
            let told = parse_object(text.as_bytes()).unwrap_err();
            assert!(told.contains(problem), "{text}: {told}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
    }

    #[test]
    fn levels_are_bounded() {
        let nested =
            |levels: usize| format!("{}{}", "{\"a\":".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
        assert!(parse_object(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(parse_object(nested(MAX_DEPTH + 1).as_bytes()).unwrap_err().contains("16 levels"));
        let arrays = format!("{{\"a\":{}{}}}", "[".repeat(16), "]".repeat(16));
        assert!(parse_object(arrays.as_bytes()).unwrap_err().contains("16 levels"));
    }
}
