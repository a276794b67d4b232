"""TLS in process, as sslyze sees it: the real binary, a P-256 certificate, Mozilla's intermediate guidelines."""

import datetime
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def certificate(name: str, signer=None, **names):
    """A certificate and its key: self-signed, or signed by another pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing_key = (signer[0].subject, signer[1]) if signer else (subject, key)
    now = datetime.datetime.now(datetime.timezone.utc)
    is_ca = signer is None
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=80))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        .add_extension(x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False), critical=True)
    )
    if not is_ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    return builder.sign(signing_key, hashes.SHA256()), key


def pem(made) -> bytes:
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture()
def server(tmp_path: Path):
    """The binary at SIGNET_TEST_BINARY with TLS on: its port, and the certificate to trust."""
    binary = os.environ.get("SIGNET_TEST_BINARY")
    if not binary:
        pytest.exit("set SIGNET_TEST_BINARY to the signet program; scripts/interop-python does", 2)
    authority = certificate("Test authority")
    leaf, key = certificate("localhost", authority)
    (tmp_path / "authority.pem").write_bytes(pem(authority[0]))
    (tmp_path / "chain.pem").write_bytes(pem(leaf) + pem(authority[0]))
    private = tmp_path / "key.pem"
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    settings = {
        "SIGNET_LISTEN": f"127.0.0.1:{port}",
        "SIGNET_ISSUER": f"https://localhost:{port}",
        "SIGNET__TLS__CERTIFICATE": "chain.pem",
        "SIGNET__TLS__KEY": "key.pem",
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("SIGNET")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([binary], cwd=tmp_path, env=clean | settings, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)  # poll: it may still be starting
        yield port, tmp_path / "authority.pem"
    finally:
        process.terminate()
        process.wait(30)


def sslyze(port: int, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "ignore", "-m", "sslyze", "--mozilla_config=intermediate", *options]
    return subprocess.run([*command, f"localhost:{port}"], capture_output=True, text=True, timeout=120)


def test_sslyze_finds_mozillas_intermediate_configuration(server):
    port, authority = server
    # Our authority is in nobody's store, so it is handed over. Nothing else is eased.
    found = sslyze(port, f"--certinfo_ca_file={authority}", "--early_data")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"localhost:{port}: OK - Compliant." in found.stdout, found.stdout
    assert "early_data" not in found.stderr and "Not Supported" in found.stdout.split("Early Data", 1)[1], found.stdout


def test_the_check_can_fail(server):
    port, _ = server
    found = sslyze(port)
    assert found.returncode == 1 and "certificate_path_validation" in found.stdout, found.stdout
