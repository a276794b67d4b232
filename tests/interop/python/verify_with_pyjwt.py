"""Verifies one access token with PyJWT, from the JWKS URL, the issuer and the audience alone.

    python verify_with_pyjwt.py JWKS_URL ISSUER AUDIENCE < token

Prints the claims and ends with 0, or prints why not and ends with 1.
"""

import json
import sys

import jwt


def verify(token: str, jwks_url: str, issuer: str, audience: str) -> dict:
    key = jwt.PyJWKClient(jwks_url).get_signing_key_from_jwt(token)
    return jwt.decode(
        token,
        key.key,
        algorithms=["RS256"],
        issuer=issuer,
        audience=audience,
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
    )


def main() -> int:
    jwks_url, issuer, audience = sys.argv[1:]
    try:
        print(json.dumps(verify(sys.stdin.read().strip(), jwks_url, issuer, audience), indent=2))
    except jwt.PyJWTError as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
