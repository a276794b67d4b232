"""PyJWT, told nothing but the JWKS URL, the issuer and the audience."""

import subprocess
import sys
from pathlib import Path

import jwt
import pytest
from conftest import with_payload
from verify_with_pyjwt import verify

SCRIPT = Path(__file__).with_name("verify_with_pyjwt.py")


@pytest.fixture()
def jwks_url(issuer):
    return f"{issuer}/.well-known/jwks.json"


def test_pyjwt_verifies_a_fresh_token(issuer, jwks_url, signed_in):
    claims = verify(signed_in.token, jwks_url, issuer, audience=issuer)
    assert claims["iss"] == issuer
    assert claims["sub"] == signed_in.user_id
    assert claims["exp"] > claims["iat"]
    assert {"client_id", "scope"} <= claims.keys()
    assert jwt.get_unverified_header(signed_in.token)["typ"] == "at+jwt"


def test_pyjwt_refuses_changed_claims(issuer, jwks_url, signed_in):
    with pytest.raises(jwt.InvalidSignatureError):
        verify(with_payload(signed_in.token, sub="somebody-else"), jwks_url, issuer, audience=issuer)


def test_pyjwt_refuses_a_changed_signature(issuer, jwks_url, signed_in):
    rest, signature = signed_in.token.rsplit(".", 1)
    changed = ("B" if signature[0] == "A" else "A") + signature[1:]
    with pytest.raises(jwt.InvalidSignatureError):
        verify(f"{rest}.{changed}", jwks_url, issuer, audience=issuer)


def test_pyjwt_refuses_another_audience(issuer, jwks_url, signed_in):
    with pytest.raises(jwt.InvalidAudienceError):
        verify(signed_in.token, jwks_url, issuer, audience="https://other-api.example")


def test_pyjwt_refuses_another_issuer(issuer, jwks_url, signed_in):
    with pytest.raises(jwt.InvalidIssuerError):
        verify(signed_in.token, jwks_url, "https://other-issuer.example", audience=issuer)


def test_the_public_key_is_no_shared_secret(issuer, jwks_url, signed_in):
    """The oldest trick: an HS256 token made with what the JWK Set publishes."""
    published = jwt.PyJWKClient(jwks_url).get_signing_keys()[0]
    modulus = published._jwk_data["n"]
    forged = jwt.encode(
        {"iss": issuer, "aud": issuer, "sub": "somebody-else", "exp": 4_000_000_000},
        modulus,
        algorithm="HS256",
        headers={"kid": published.key_id},
    )
    with pytest.raises(jwt.PyJWTError):
        verify(forged, jwks_url, issuer, audience=issuer)


def test_the_script_prints_the_claims_or_the_refusal(issuer, jwks_url, signed_in):
    def run(token):
        command = [sys.executable, str(SCRIPT), jwks_url, issuer, issuer]
        return subprocess.run(command, input=token, capture_output=True, text=True)

    accepted = run(signed_in.token)
    assert accepted.returncode == 0 and signed_in.user_id in accepted.stdout
    refused = run(with_payload(signed_in.token, sub="somebody-else"))
    assert refused.returncode == 1 and "refused" in refused.stderr
