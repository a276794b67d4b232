import threading
import time

import httpx
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet


class Verifier:
    """Takes access tokens of one issuer for one audience, and trusts a key for `max_age` seconds after fetching it."""

    def __init__(self, issuer: str, audience: str, max_age: float = 300, algorithm: str = "RS256"):
        self.url, self.max_age, self.algorithm = f"{issuer}/.well-known/jwks.json", max_age, algorithm
        self.lock, self.keys, self.fetched = threading.Lock(), KeySet([]), float("-inf")
        self.claims = jwt.JWTClaimsRegistry(
            leeway=30,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            **{name: {"essential": True} for name in ["sub", "exp", "iat", "jti", "client_id"]},
        )

    def verify(self, token: str) -> dict:
        """The claims; raises `JoseError` or `ValueError` when the token does not count, `httpx.HTTPError` without keys."""
        decoded = jwt.decode(token, self.key, algorithms=[self.algorithm])
        if decoded.header.get("typ") != "at+jwt":  # RFC 9068 section 4
            raise JoseError("not an access token")
        self.claims.validate(decoded.claims)
        return decoded.claims

    def key(self, token):
        kid = token.headers().get("kid")
        keys = self.key_set(self.max_age)
        try:
            return keys.get_by_kid(kid)
        except InvalidKeyIdError:  # perhaps a new one: ask, but at most ten times as often as for nothing
            return self.key_set(self.max_age / 10).get_by_kid(kid)

    def key_set(self, max_age: float) -> KeySet:
        with self.lock:
            if time.monotonic() - self.fetched > max_age:
                answer = httpx.get(self.url, timeout=10).raise_for_status()
                self.keys, self.fetched = KeySet.import_key_set(answer.json()), time.monotonic()
            return self.keys
