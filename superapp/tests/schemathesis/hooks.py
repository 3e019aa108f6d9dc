"""What JSON Schema cannot say of our requests, said to Schemathesis."""

import json
from datetime import datetime, timedelta, timezone

import schemathesis
from hypothesis import strategies as st

# The moment of an event is from 1970 to a day ahead of our clock; a schema knows no clock.
MOMENTS = st.datetimes(
    min_value=datetime(1970, 1, 2), max_value=datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(hours=1)
)
schemathesis.openapi.format("date-time", MOMENTS.map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z"))


# NDJSON is text to a schema, and goes out as it is. Whatever is no text becomes some on the way, so it is no violation.
@schemathesis.serializer("application/x-ndjson")
def ndjson(context, value):
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.hook
def filter_failure(context, failure, case, response):
    is_bad_text = case.media_type == "application/x-ndjson" and not isinstance(case.body, str)
    return not (is_bad_text and response.status_code == 202)


# `before` and `after` exclude each other; a list of parameters cannot say so. Where both are good, one is left out.
@schemathesis.hook
def before_call(context, case, kwargs):
    query = case.query or {}
    is_good = [str(query.get(name, "")).isdecimal() and int(query[name]) < 2**64 for name in ("before", "after")]
    if all(is_good):
        del case.query["before"]
