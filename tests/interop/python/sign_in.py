"""Registers a fresh account and signs it in. As a script: at SIGNET_TEST_URL, printing the access token."""

import os
import secrets

import httpx


def sign_in(issuer: str) -> str:
    account = {"email": f"{secrets.token_hex(8)}@example.com", "password": secrets.token_urlsafe(24)}
    registered = httpx.post(f"{issuer}/api/v1/register", json=account)
    assert registered.status_code == 201, registered.text
    answer = httpx.post(f"{issuer}/api/v1/login", json=account)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


if __name__ == "__main__":
    print(sign_in(os.environ["SIGNET_TEST_URL"]))
