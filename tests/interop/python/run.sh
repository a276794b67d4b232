#!/usr/bin/env bash
# Outside clients in Python against the Signet whose issuer is SIGNET_TEST_URL.
# SIGNET_TEST_BINARY: the signet program, which the TLS tests start with settings of their own.
# PYTHON: an interpreter that has requirements.txt installed. OUT: a folder for what the tools leave behind.
set -euo pipefail
cd "$(dirname "$0")"
: "${SIGNET_TEST_URL:?set it to the issuer of a running Signet; scripts/interop-python starts one}"
: "${SIGNET_TEST_BINARY:?set it to the signet program, with an absolute path}"
python=${PYTHON:-python3}
out=${OUT:-$(mktemp -d)}
export PYTHONDONTWRITEBYTECODE=1

"$python" -m pytest -q -p no:cacheprovider .

# Every operation of the OpenAPI document, with good and bad input: no 5xx, no status, header or body that the
# document does not promise, no route that forgets to ask for the token. The seed makes a failure repeatable;
# SCHEMATHESIS_SEED tries others.
token=$("$python" sign_in.py)
cd "$out"
"$python" -m schemathesis.cli --no-color run "$SIGNET_TEST_URL/openapi.json" --url "$SIGNET_TEST_URL" \
    --header "Authorization: Bearer $token" --seed "${SCHEMATHESIS_SEED:-20261122}" \
    --max-examples "${SCHEMATHESIS_EXAMPLES:-50}" --continue-on-failure --request-timeout 10 \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method,ignored_auth
