"""The API against its own description: 1,500 requests made from the OpenAPI document, valid ones and broken ones.

No answer is a 5xx, every status is documented with the shape of its answer, every valid request is accepted but for
what `NOT_IN_SCHEMA` lists with a reason, and every broken one is refused.
"""

import re
from collections import Counter
from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.fakes import FakeDecoder
from tests.unit.search.api import client_of, make_service, put

VALID, BROKEN = 32, 24  # for each operation, at most
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
ACCEPTED = {200, 201, 202, 204, 206, 304, 404}  # 404: an id or tag is well-formed, and nobody used it
NOT_IN_SCHEMA = {  # what a valid request may be refused for
    r"^tag ": "JSON schema cannot say which characters Unicode has, nor how long a name is to the eye",
    r"^crop ": "nor that a part lies inside its picture",
    r"^propensities|one for each picture shown": "nor that two lists have the same length",
    r"^metadata|body\.metadata": "nor how many bytes a text takes as JSON",
    r"^(title|author) .*expected a word": "nor which characters make a word",
    r"^key: ": "nor which keys there are",
    r"^q |^search: expected something to look for": "nor what a line of words says, nor that one of two is given",
    r"expected nothing but wait beside a JSON body": "nor that the query says nothing where the body does",
}


TEXT = re.compile(r"`type` at \S+ \(was (array|string|null), became")


class Trusting(FakeDecoder):
    """Takes any bytes for a picture: what decoders refuse is tested elsewhere."""

    def decode_many(self, contents, crops=None):
        return super().decode_many([b"pic" + content[:100] for content in contents], crops)

    def regions(self, content, most):
        return super().regions(b"pic" + content[:100], most)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The schema, over a server that is running."""
    service = make_service(tmp_path_factory.mktemp("api"), decoder=Trusting(), max_limit=50)
    for number, image_id in enumerate(("a", "0", "cats/1.jpg")):
        put(service, image_id, b"pic" + bytes([number]))
    with client_of(service) as client:
        yield schemathesis.openapi.from_url(f"{client.base_url}/openapi.json")


def run(described, mode, examples, check):
    """So many requests to each operation; how many there were, by status."""
    counted = Counter()
    for found in described.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=examples, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
        )
        def ask(case):
            response = case.call()
            counted[response.status_code] += 1
            check(case, response)

        with suppress(Unsatisfiable):  # an operation that takes nothing cannot be asked wrongly
            ask()
    return counted


def test_bounds_are_said_in_json_schemas_words(described):
    assert re.findall(r"'(?:ge|gt|le|lt)':", str(described.raw_schema)) == []


def is_text_on_the_wire(failure):
    """Whether only types of query parameters are broken that are text: `without=false` is a tag of that name."""
    broken = re.findall(r"violates (.*)", failure)
    return bool(broken) and "in query" in failure and all(map(TEXT.match, broken))


def test_a_failure_counts_unless_what_is_broken_is_text_on_the_wire():
    text = "parameters `without` in query\n  - violates `type` at /properties/without (was array, became"
    assert is_text_on_the_wire(text + " boolean)")
    assert not is_text_on_the_wire(text.replace("query", "body") + " boolean)")
    assert not is_text_on_the_wire(text.replace("was array", "was integer") + " boolean)")
    assert not is_text_on_the_wire(text.replace("`type`", "`maxLength`") + " boolean)")
    assert not is_text_on_the_wire("Invalid component: parameters in query")


def test_every_valid_request_is_answered_as_described(described):
    def check(case, response):
        case.validate_response(response, checks=[*CHECKS, unsupported_method])
        if response.status_code not in ACCEPTED:
            said = response.json()["detail"]
            assert any(re.search(one, said) for one in NOT_IN_SCHEMA), (
                f"{case.method} {case.path}: {response.status_code} {said}"
            )

    counted = run(described, schemathesis.GenerationMode.POSITIVE, VALID, check)
    assert counted.total() >= 900
    assert counted[200] + counted[202] > counted.total() / 4, counted


def test_every_broken_request_is_refused_as_described(described):
    def check(case, response):
        case.validate_response(response, checks=CHECKS)
        try:
            case.validate_response(response, checks=[negative_data_rejection])
        except FailureGroup as found:
            assert all(is_text_on_the_wire(str(one)) for one in found.exceptions), found

    counted = run(described, schemathesis.GenerationMode.NEGATIVE, BROKEN, check)
    assert counted.total() >= 600
