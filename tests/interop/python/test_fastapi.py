"""The tutorial's FastAPI app with the two changes of docs/fastapi.md, run by uvicorn, called with Signet's tokens."""

import contextlib
import difflib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from conftest import with_payload

HERE = Path(__file__).parent
BEFORE = (HERE / "fastapi_before.py").read_text()
AFTER = (HERE / "fastapi_app.py").read_text()
DOCUMENT = (HERE / "../../../docs/fastapi.md").resolve().read_text()
DEFAULT_ISSUER = "http://127.0.0.1:8080"


@pytest.fixture(scope="module")
def api(issuer, tmp_path_factory):
    """The app as documented; only the issuer's address is that of this run."""
    folder = tmp_path_factory.mktemp("api")
    assert DEFAULT_ISSUER in AFTER
    (folder / "main.py").write_text(AFTER.replace(DEFAULT_ISSUER, issuer))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command, cwd=folder)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=10)


def wait_for(url, server):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.poll() is None, "uvicorn ended before it listened"
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"{url}/openapi.json")
            return
        time.sleep(0.1)  # poll: uvicorn does not say when it listens
    pytest.fail("uvicorn did not listen within 30 seconds")


def call(api, token):
    return httpx.get(f"{api}/protected", headers={"Authorization": f"Bearer {token}"})


def test_fastapi_greets_the_subject_of_a_signet_token(api, signed_in):
    answer = call(api, signed_in.token)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"message": f"Hello, {signed_in.user_id}"}


def test_fastapi_refuses_a_tampered_token(api, signed_in):
    answer = call(api, with_payload(signed_in.token, sub="somebody-else"))
    assert answer.status_code == 401, answer.text


def test_fastapi_refuses_a_caller_without_a_token(api):
    assert httpx.get(f"{api}/protected").status_code in (401, 403)


def fences(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)


def test_the_document_shows_the_app_before():
    assert fences("python")[0] == BEFORE


def test_the_document_shows_exactly_the_difference_between_the_two_apps():
    difference = "".join(
        difflib.unified_diff(BEFORE.splitlines(True), AFTER.splitlines(True), "before/main.py", "after/main.py")
    )
    assert fences("diff") == [difference]
