//! A request's query string, parsed strictly: what is unknown, twice or out of range is told, not ignored.

use std::convert::Infallible;

use serde::de::DeserializeOwned;
use warp::Filter;

/// Why a query string was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(pub String);

/// A raw query string, without its `?`.
#[derive(Debug, Clone, Default)]
pub struct Query(pub String);

/// Takes the query string, empty when there is none.
pub fn query() -> impl Filter<Extract = (Query,), Error = Infallible> + Clone {
    warp::query::raw().or(warp::any().map(String::new)).unify().map(Query)
}

/// What an endpoint without parameters knows.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Query {
    /// For endpoints that take no parameters.
    ///
    /// # Errors
    ///
    /// When there are some.
    pub fn expect_none(&self) -> Result<(), QueryError> {
        self.parse().map(|Nothing {}| ())
    }

    /// The query as a `T`, whose fields name what is known.
    ///
    /// # Errors
    ///
    /// When a name is unknown or there twice, a value does not fit, or the text is no UTF-8.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, QueryError> {
        let decoded = percent_encoding::percent_decode_str(&self.0).decode_utf8();
        let is_text = decoded.is_ok_and(|text| !text.contains('\0'));
        if !is_text {
            return Err(QueryError("the query is not valid UTF-8".to_owned()));
        }
        serde_urlencoded::from_str(&self.0).map_err(|error| QueryError(format!("the query cannot be read: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Page {
        limit: Option<u32>,
    }

    #[test]
    fn a_query_is_parsed_strictly() {
        let parse = |text: &str| Query(text.to_owned()).parse::<Page>();
        assert_eq!(parse(""), Ok(Page { limit: None }));
        assert_eq!(parse("limit=7"), Ok(Page { limit: Some(7) }));
        for bad in ["limit=x", "limit=", "limit=-1", "limit=1&limit=2", "page=1", "limit=%ff", "limit=1%00"] {
            assert!(parse(bad).is_err(), "{bad} must be refused");
        }
    }
}
