//! The same caller meets the same replica again: rendezvous hashing (highest random weight) with bounded load.
//!
//! Each replica has a number that follows from the key and its address; the highest wins. A replica that comes or goes moves
//! only the keys it wins or loses. One that is busy and has a quarter more than its share passes its keys on to the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::balance::{Reservation, scatter};
use crate::endpoint::Endpoint;

/// A replica with fewer requests in flight is not busy, however uneven chance has been: its keys stay.
const ALWAYS_ROOM_FOR: usize = 16;

/// What of a request is its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// The value of a header.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// The value of a query parameter, as sent.
    Query(String),
    /// The n-th segment of the path, from 1.
    Path(usize),
}

impl Key {
    /// Reads `header:NAME`, `cookie:NAME`, `query:NAME` or `path:N`.
    pub(crate) fn parse(text: &str) -> Option<Key> {
        let (kind, name) = text.split_once(':')?;
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        match kind {
            "header" if is_name => Some(Key::Header(name.to_ascii_lowercase())),
            "cookie" if is_name => Some(Key::Cookie(name.to_owned())),
            "query" if is_name => Some(Key::Query(name.to_owned())),
            "path" => name.parse().ok().filter(|position| *position > 0).map(Key::Path),
            _ => None,
        }
    }

    /// The hash of a request's key; `None` when it has none, and then it goes wherever there is room.
    pub(crate) fn hash_of<'a>(&self, target: &'a [u8], header: impl Fn(&str) -> Vec<&'a [u8]>) -> Option<u64> {
        let mut parts = target.splitn(2, |byte| *byte == b'?');
        let path = parts.next().unwrap_or_default();
        let query = parts.next().unwrap_or_default();
        let value = match self {
            Key::Header(name) => header(name).into_iter().next()?,
            // HTTP/2 sends them one by one where that is shorter.
            Key::Cookie(name) => header("cookie").into_iter().find_map(|line| pair(line, b';', name))?,
            Key::Query(name) => pair(query, b'&', name)?,
            Key::Path(position) => path.split(|byte| *byte == b'/').nth(*position).filter(|segment| !segment.is_empty())?,
        };
        Some(fnv(value))
    }
}

fn pair<'a>(list: &'a [u8], separator: u8, name: &str) -> Option<&'a [u8]> {
    let pairs = list.split(|byte| *byte == separator).map(<[u8]>::trim_ascii);
    pairs.filter_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).next()
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The replica a key belongs to, or the next one when that has more than its bounded share.
pub(crate) fn pick(all: &[Arc<Endpoint>], is_candidate: impl Fn(&Endpoint) -> bool, key: u64) -> Option<Reservation> {
    let candidates = || all.iter().filter(|endpoint| is_candidate(endpoint));
    let in_flight: usize = candidates().map(|endpoint| endpoint.in_flight.load(Ordering::Relaxed)).sum();
    let weights: usize = candidates().map(|endpoint| endpoint.weight()).sum();
    let has_room = |endpoint: &Endpoint| {
        let share = (in_flight + 1) * endpoint.weight();
        let here = endpoint.in_flight.load(Ordering::Relaxed);
        here < ALWAYS_ROOM_FOR || here * weights * 4 < share * 5
    };
    let best = |room_matters: bool| {
        candidates()
            .filter(|endpoint| !room_matters || has_room(endpoint))
            .max_by(|one, other| score(one, key).total_cmp(&score(other, key)))
    };
    best(true).or_else(|| best(false)).map(Reservation::request)
}

/// Weighted rendezvous: with the logarithm, shares follow weights exactly.
fn score(endpoint: &Endpoint, key: u64) -> f64 {
    let mixed = scatter(key ^ fnv(endpoint.name.as_bytes()));
    let unit = ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    endpoint.weight() as f64 / -unit.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: u16) -> Vec<Arc<Endpoint>> {
        (1..=count).map(|port| Arc::new(Endpoint::new(([127, 0, 0, 1], port).into(), 1))).collect()
    }

    fn port(all: &[Arc<Endpoint>], key: u64) -> u16 {
        pick(all, |_| true, key).unwrap().endpoint.address.port()
    }

    #[test]
    fn keys_are_read_from_where_they_are() {
        let header = |name: &str| match name {
            "x-user" => vec![&b"ada"[..], b"eve"],
            "cookie" => vec![&b"a=1; x=sid=eve"[..], b"b=2; sid=ada", b"sid=eve"],
            _ => vec![],
        };
        let target = b"/users/ada?x=1&who=ada";
        let expected = Some(fnv(b"ada"));
        for text in ["header:X-User", "cookie:sid", "query:who", "path:2"] {
            assert_eq!(Key::parse(text).unwrap().hash_of(target, header), expected, "{text}");
        }
        for text in ["header:none", "cookie:si", "query:wh", "path:3"] {
            assert_eq!(Key::parse(text).unwrap().hash_of(target, header), None, "{text}");
        }
        for text in ["header", "header:", "path:0", "path:x", "body:x", "cookie:a b"] {
            assert_eq!(Key::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_stays_and_a_replica_that_comes_takes_only_its_share() {
        let three = endpoints(3);
        let four = endpoints(4);
        let moved: Vec<u64> = (0..1000).map(scatter).filter(|key| port(&three, *key) != port(&four, *key)).collect();
        assert!(moved.iter().all(|key| port(&four, *key) == 4), "nobody moves between the old ones");
        assert!((200..=300).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn a_few_requests_at_once_do_not_move_a_key() {
        let all = endpoints(4);
        let held: Vec<_> = (0..ALWAYS_ROOM_FOR).filter_map(|_| pick(&all, |_| true, 7)).collect();
        assert!(held.iter().all(|reservation| Arc::ptr_eq(&reservation.endpoint, &held[0].endpoint)));
    }

    #[test]
    fn a_hot_key_spills_over() {
        let all = endpoints(4);
        let held: Vec<_> = (0..100).filter_map(|_| pick(&all, |_| true, 7)).collect();
        let most = all.iter().map(|endpoint| endpoint.in_flight.load(Ordering::Relaxed)).max().unwrap();
        assert_eq!(held.len(), 100);
        assert!(most <= 33, "{most}");
    }
}
