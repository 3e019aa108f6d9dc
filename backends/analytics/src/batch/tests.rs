//! Whatever bytes come in: an answer, and every element accounted for.

use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_millis(1_767_268_800_000);
const LIMITS: Limits = Limits { body_bytes_max: 10_000, batch_events_max: 5 };

fn body(content_type: &str, bytes: impl Into<Bytes>) -> Body {
    Body { bytes: Ok(bytes.into()), content_type: content_type.to_owned(), content_encoding: String::new() }
}

fn read_json(text: &str) -> Result<Batch, Error> {
    read(&body("application/json", text.to_owned()), LIMITS, NOON)
}

fn read_lines(bytes: &[u8]) -> Result<Batch, Error> {
    read(&body("application/x-ndjson", bytes.to_vec()), LIMITS, NOON)
}

fn code(result: Result<Batch, Error>) -> &'static str {
    result.map(|batch| panic!("expected an error, got {batch:?}")).unwrap_or_else(|error| error.code())
}

fn codes(batch: &Batch) -> Vec<(usize, &'static str)> {
    batch.rejected.iter().map(|rejected| (rejected.index, rejected.code)).collect()
}

#[test]
fn one_object_is_one_event() {
    let batch = read_json(r#" {"name":"tap","id":"1"} "#).expect("a batch");
    assert_eq!((batch.events.len(), batch.rejected.len(), batch.bytes), (1, 0, 25));
}

#[test]
fn the_faults_of_one_object_are_the_whole_answer() {
    let Err(error @ Error::InvalidEvent(_)) = read_json(r#"{"id":"","user_id":7}"#) else { panic!("expected faults") };
    let pointers: Vec<_> = error.fields().iter().map(|fault| fault.pointer.as_str()).collect();
    assert_eq!(pointers, ["/name", "/id", "/user_id"]);
    for (text, expected) in [
        ("", "malformed_json"),
        ("{", "malformed_json"),
        (r#"{"name":"tap"} {"name":"tap"}"#, "malformed_json"),
        ("7", "invalid_body"),
        ("\"tap\"", "invalid_body"),
        (r#"{"name":"tap","color":"red"}"#, "invalid_body"),
        (r#"{"name":"tap","name":"tap"}"#, "invalid_body"),
        ("[", "malformed_json"),
        (r#"[{"name":"tap"}"#, "malformed_json"),
        (r#"[{"name":"tap"}] 1"#, "malformed_json"),
        ("[1,2,3,4,5,6]", "too_many_events"),
        ("[1,2,3,4,5,6", "malformed_json"),
    ] {
        assert_eq!(code(read_json(text)), expected, "{text}");
    }
    assert_eq!(code(read(&body("application/json", b"[\"\xff\"]".to_vec()), LIMITS, NOON)), "invalid_utf8");
}

#[test]
fn the_faults_of_one_of_many_are_told_at_its_index() {
    let batch = read_json(r#"[{"name":"a"}, 7, {"name":"b","x":1}, {"at":"now"}, ["1","a",null,null,null]]"#).expect("a batch");
    assert_eq!(batch.events.len(), 1);
    assert_eq!(codes(&batch), [(1, "invalid_type"), (2, "unknown_field"), (3, "required"), (4, "invalid_type")]);
    assert_eq!(batch.rejected[2].detail, "name: is required; at: must be a date and time as in RFC 3339, such as 2026-01-01T10:00:00Z");
    let batch = read_json(" [ ] ").expect("a batch");
    assert!(batch.events.is_empty() && batch.rejected.is_empty());
}

#[test]
fn a_line_that_cannot_be_read_leaves_the_others() {
    let batch = read_lines(b"{\"name\":\"a\"}\r\n\n{\"name\":\n \t\n{\"name\":\"\xff\"}\nnull\n{\"name\":\"b\"}").expect("a batch");
    assert_eq!(batch.events.iter().map(|event| event.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(codes(&batch), [(1, "malformed_json"), (2, "invalid_utf8"), (3, "invalid_type")]);
    assert_eq!(code(read_lines(&b"7\n".repeat(6))), "too_many_events");
    assert!(read_lines(b"").expect("a batch").events.is_empty());
}

#[test]
fn a_long_fault_is_told_in_short() {
    let batch = read_json(&format!(r#"[{{"{}":1}}]"#, "x".repeat(9000))).expect("a batch");
    assert_eq!((batch.rejected[0].code, batch.rejected[0].detail.chars().count()), ("unknown_field", DETAIL_CHARS_MAX));
}

#[test]
fn text_inside_text_does_not_descend() {
    // serde_json reads an object with this one key as the JSON inside its value, nested again and again.
    let mut value = "[".repeat(120) + &"]".repeat(120);
    while value.len() < 4000 {
        let quoted = serde_json::to_string(&value).expect("a string");
        value = format!("{}{{\"$serde_json::private::RawValue\":{quoted}}}{}", "[".repeat(120), "]".repeat(120));
    }
    let batch = read_json(&format!(r#"[{{"name":{value}}},{{"name":"a","properties":{{"a":{value}}}}}]"#)).expect("a batch");
    assert_eq!(batch.rejected.first().map(|rejected| rejected.code), Some("invalid_type"));
}

#[test]
fn other_types_and_encodings_are_refused() {
    for (content_type, encoding) in [("", ""), ("text/plain", ""), ("application/json", "br"), ("application/json", "gzip, gzip")] {
        let body = Body { content_encoding: encoding.to_owned(), ..body(content_type, "{}") };
        assert_eq!(code(read(&body, LIMITS, NOON)), "unsupported_media_type", "{content_type} {encoding}");
    }
}

#[test]
fn a_compressed_body_is_read_within_the_limit() {
    let compressed = |content_type: &str, bytes: Bytes| Body { content_encoding: "gzip".to_owned(), ..body(content_type, bytes) };
    let lines = compressed("application/ndjson", gzip::compress(b"{\"name\":\"a\"}\n{\"name\":\"b\"}\n"));
    assert_eq!(read(&lines, LIMITS, NOON).expect("a batch").events.len(), 2);
    let bomb = compressed("application/json", gzip::compress(&[b' '; 10_001]));
    assert_eq!(code(read(&bomb, LIMITS, NOON)), "body_too_large");
    assert_eq!(code(read(&compressed("application/json", Bytes::from("{}")), LIMITS, NOON)), "invalid_encoding");
}

/// Bytes that look like events more often than chance would have it.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\n",
        "\r",
        " ",
        "\"",
        "\\u0000",
        "\\ud800",
        "null",
        "1e999",
        "\"name\"",
        "\"id\"",
        "\"at\"",
        "\"user_id\"",
        "\"properties\"",
        "\"tap\"",
        "{\"name\":\"tap\"}",
        "{\"name\":\"tap\",\"id\":\"1\"}",
        "{\"name\":1}",
    ];
    let piece = prop_oneof![
        4 => proptest::sample::select(words.to_vec()).prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn prop_assert_accounted(batch: &Batch, elements: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(batch.events.len() + batch.rejected.len(), elements);
    prop_assert!(batch.rejected.is_sorted_by(|a, b| a.index < b.index));
    prop_assert!(batch.rejected.iter().all(|rejected| rejected.index < elements));
    Ok(())
}

proptest! {
    #[test]
    fn every_line_is_accounted_for(bytes in pieces()) {
        let elements = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
        match read_lines(&bytes) {
            Ok(batch) => prop_assert_accounted(&batch, elements)?,
            Err(error) => prop_assert!(matches!(error, Error::TooManyEvents { max: 5 }) && elements > 5, "{error}"),
        }
    }

    #[test]
    fn every_element_is_accounted_for(bytes in pieces()) {
        let bytes = [b"[", &bytes[..], b"]"].concat();
        let elements = std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str::<Vec<IgnoredAny>>(text).ok());
        match (read(&body("application/json", bytes), LIMITS, NOON), elements) {
            (Ok(batch), Some(elements)) => prop_assert_accounted(&batch, elements.len())?,
            (Err(Error::TooManyEvents { max: 5 }), Some(elements)) => prop_assert!(elements.len() > 5),
            (Err(Error::InvalidBody(_)), None) => {}
            (outcome, elements) => prop_assert!(false, "{outcome:?} for {elements:?}"),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in pieces(), is_compressed in any::<bool>()) {
        let content_encoding = if is_compressed { "gzip" } else { "" }.to_owned();
        let _ = read(&Body { content_encoding, ..body("application/json", bytes) }, LIMITS, NOON);
    }
}
