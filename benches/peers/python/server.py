"""A sign-in as one would write it with FastAPI, argon2-cffi and PyJWT.

Run by uvicorn. PEER_DATABASE, PEER_KEY and PEER_ISSUER say with what; PEER_THREADS how many passwords are hashed at once.
"""

import asyncio
import hashlib
import os
import secrets
import sqlite3
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jwt
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from jwt.algorithms import RSAAlgorithm
from pydantic import BaseModel, Field

ISSUER = os.environ["PEER_ISSUER"]
ACCESS_TOKEN_LIFE = 600
SESSION_LIFE = 30 * 24 * 3600
# Costs an unknown address what a wrong password costs.
NOBODY = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"

KEY = load_pem_private_key(Path(os.environ["PEER_KEY"]).read_bytes(), None)


def thumbprint() -> str:
    """RFC 7638."""
    jwk = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    text = f'{{"e":"{jwk["e"]}","kty":"RSA","n":"{jwk["n"]}"}}'
    return jwt.utils.base64url_encode(hashlib.sha256(text.encode()).digest()).decode()


HEADERS = {"typ": "at+jwt", "kid": thumbprint()}

hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# argon2-cffi and sqlite3 let go of the interpreter's lock while they work.
pool = ThreadPoolExecutor(max_workers=int(os.environ["PEER_THREADS"]))
local = threading.local()
app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


def database() -> sqlite3.Connection:
    """This thread's own connection."""
    if not hasattr(local, "database"):
        local.database = sqlite3.connect(os.environ["PEER_DATABASE"], timeout=5, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            local.database.execute(f"PRAGMA {pragma}")
    return local.database


class Credentials(BaseModel):
    email: str = Field(max_length=1024)
    password: str = Field(max_length=1024)


def record(session: str, user: str, refresh_token: bytes, now: int) -> int:
    connection = database()
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        connection.execute("UPDATE users SET last_sign_in = ? WHERE id = ?", (now, user))
        return connection.execute(
            "INSERT INTO sessions (id, user_id, refresh_token_sha256, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
            (session, user, refresh_token, now, now + SESSION_LIFE),
        ).lastrowid


def sign_in(credentials: Credentials) -> dict | None:
    """The answer; None when it is refused."""
    found = database().execute("SELECT id, phc FROM users WHERE email = ?", (credentials.email,)).fetchone()
    user, phc = found or (None, NOBODY)
    try:
        hasher.verify(phc, credentials.password)
    except (VerificationError, InvalidHashError):
        return None
    if user is None:
        return None
    now = int(time.time())
    session, refresh_token = str(uuid.uuid4()), secrets.token_urlsafe(32)
    serial = record(session, user, hashlib.sha256(refresh_token.encode()).digest(), now)
    claims = {
        "iss": ISSUER,
        "sub": user,
        "aud": ISSUER,
        "exp": now + ACCESS_TOKEN_LIFE,
        "iat": now,
        "jti": secrets.token_urlsafe(16),
        "client_id": "first-party",
        "scope": "signet:account",
        "auth_time": now,
        "sid": session,
        "status": {"status_list": {"idx": serial, "uri": f"{ISSUER}/status/0"}},
    }
    return {
        "access_token": jwt.encode(claims, KEY, algorithm="RS256", headers=HEADERS),
        "token_type": "Bearer",
        "expires_in": ACCESS_TOKEN_LIFE,
        "scope": "signet:account",
        "refresh_token": refresh_token,
    }


@app.post("/login")
async def login(credentials: Credentials) -> JSONResponse:
    answer = await asyncio.get_running_loop().run_in_executor(pool, sign_in, credentials)
    if answer is None:
        raise HTTPException(401, "the e-mail address or the password is wrong")
    return JSONResponse(answer)
