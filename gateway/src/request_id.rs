//! The id every answer carries, so that a caller's complaint finds its log line. `proxy` asks for one per request.

/// The header that carries it, in both directions.
pub(crate) const HEADER: &str = "x-request-id";

const LEN_MAX: usize = 128;

/// The caller's id where it is well formed, else the one `make` gives.
pub(crate) fn choose(from_caller: Option<&[u8]>, make: impl FnOnce() -> String) -> String {
    from_caller.and_then(well_formed).unwrap_or_else(make)
}

/// A new id; UUIDv7, so ids sort by time. Within a millisecond chance decides: an order there would need a lock for all threads.
pub(crate) fn new() -> String {
    let id = uuid::Uuid::new_v7(uuid::Timestamp::now(uuid::NoContext));
    // `to_string` would grow its text twice.
    id.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()).to_owned()
}

/// Only characters that are harmless in a header, a log line and a URL.
fn well_formed(id: &[u8]) -> Option<String> {
    let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let is_well_formed = (1..=LEN_MAX).contains(&id.len()) && id.iter().all(is_allowed);
    is_well_formed.then(|| String::from_utf8_lossy(id).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_well_formed_id_is_kept_and_any_other_is_replaced() {
        let longest = "x".repeat(128);
        let too_long = "x".repeat(129);
        let table = [
            (Some("abc-1.2_X"), "abc-1.2_X"),
            (Some(longest.as_str()), longest.as_str()),
            (Some(too_long.as_str()), "new"),
            (Some(""), "new"),
            (Some("a b"), "new"),
            (Some("é"), "new"),
            (Some("a\"b"), "new"),
            (None, "new"),
        ];
        for (from_caller, expected) in table {
            let id = choose(from_caller.map(str::as_bytes), || "new".to_owned());
            assert_eq!(id, expected);
        }
    }

    #[test]
    fn a_new_id_is_a_uuid_of_version_7() {
        let id = uuid::Uuid::parse_str(&new()).unwrap();
        assert_eq!(id.get_version_num(), 7);
    }
}
