import jwt


class Verifier:
    """Takes access tokens of one issuer for one audience, and trusts a key for `max_age` seconds after fetching it."""

    def __init__(self, issuer: str, audience: str, max_age: int = 300, algorithm: str = "RS256"):
        self.issuer, self.audience, self.algorithm = issuer, audience, algorithm
        # An unknown kid asks the issuer at most ten times as often.
        url = f"{issuer}/.well-known/jwks.json"
        self.keys = jwt.PyJWKClient(url, lifespan=max_age, cooldown_duration=max_age / 10)

    def verify(self, token: str) -> dict:
        """The claims; raises `jwt.PyJWTError` when the token does not count, or no key can be had."""
        if jwt.get_unverified_header(token).get("typ") != "at+jwt":  # RFC 9068 section 4
            raise jwt.InvalidTokenError("not an access token")
        return jwt.decode(
            token,
            self.keys.get_signing_key_from_jwt(token).key,
            algorithms=[self.algorithm],
            issuer=self.issuer,
            audience=self.audience,
            leeway=30,
            options={"require": ["sub", "exp", "iat", "jti", "client_id", "iss", "aud"]},
        )
