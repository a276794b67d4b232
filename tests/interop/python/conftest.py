"""What every test here needs: a running Signet at SIGNET_TEST_URL (its issuer), and a fresh account's token."""

import base64
import json
import os
from dataclasses import dataclass

import pytest
from sign_in import sign_in


@dataclass(frozen=True)
class SignedIn:
    user_id: str
    token: str


@pytest.fixture(scope="session")
def issuer() -> str:
    url = os.environ.get("SIGNET_TEST_URL")
    if not url:
        pytest.exit("set SIGNET_TEST_URL to the issuer of a running Signet; scripts/interop-python starts one", 2)
    return url


@pytest.fixture(scope="session")
def signed_in(issuer: str) -> SignedIn:
    token = sign_in(issuer)
    return SignedIn(user_id=payload_of(token)["sub"], token=token)


def payload_of(token: str) -> dict:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def with_payload(token: str, **changes: object) -> str:
    """The token with other claims under the old signature."""
    header, _, signature = token.split(".")
    claims = json.dumps(payload_of(token) | changes).encode()
    return ".".join([header, base64.urlsafe_b64encode(claims).rstrip(b"=").decode(), signature])
