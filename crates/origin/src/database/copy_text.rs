use std::fmt::Write;

use bytes::{BufMut, BytesMut};

use super::{Rfc3339, Value};

/// Appends one row in COPY's text format: columns parted by tabs, ended by a line feed.
pub(super) fn encode_row(row: &[Value], out: &mut BytesMut) {
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            out.put_u8(b'\t');
        }
        encode(value, out);
    }
    out.put_u8(b'\n');
}

fn encode(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Null => out.put_slice(br"\N"),
        Value::Bool(truth) => out.put_u8(if *truth { b't' } else { b'f' }),
        Value::Int(number) => write_into(out, format_args!("{number}")),
        Value::Float(number) => write_into(out, format_args!("{number:?}")),
        Value::Text(text) => escape(text, out),
        Value::Time(time) => write_into(out, format_args!("{}", Rfc3339(*time))),
        Value::TextList(list) => escape(&array(list), out),
        Value::Json(json) => escape(&json.to_string(), out),
        Value::Bytes(bytes) => {
            // COPY takes one level of escapes away; `\x…` is the form that bytea then reads.
            out.put_slice(br"\\x");
            for byte in bytes {
                write_into(out, format_args!("{byte:02x}"));
            }
        }
    }
}

fn write_into(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a growing buffer cannot fail");
}

fn escape(text: &str, out: &mut BytesMut) {
    for &byte in text.as_bytes() {
        match byte {
            b'\\' => out.put_slice(br"\\"),
            b'\t' => out.put_slice(br"\t"),
            b'\n' => out.put_slice(br"\n"),
            b'\r' => out.put_slice(br"\r"),
            byte => out.put_u8(byte),
        }
    }
}

/// An array literal with every element quoted.
fn array(list: &[String]) -> String {
    let mut out = String::from("{");
    for (at, text) in list.iter().enumerate() {
        out.push_str(if at > 0 { ",\"" } else { "\"" });
        for c in text.chars() {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn encoded(row: &[Value]) -> String {
        let mut out = BytesMut::new();
        encode_row(row, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn what_copy_treats_specially_is_escaped() {
        let row = [Value::Null, Value::from("a\tb\\c\nd"), Value::Bool(true), Value::Int(-5), Value::Float(1.0)];
        assert_eq!(encoded(&row), "\\N\ta\\tb\\\\c\\nd\tt\t-5\t1.0\n");
        assert_eq!(encoded(&[Value::TextList(vec!["a\"b".into(), "c\\".into()])]), "{\"a\\\\\"b\",\"c\\\\\\\\\"}\n");
        assert_eq!(
            encoded(&[Value::Json(json!({"a": "b\n"})), Value::Bytes(vec![0, 255])]),
            "{\"a\":\"b\\\\n\"}\t\\\\x00ff\n"
        );
    }
}
