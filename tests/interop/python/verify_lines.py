"""A token per line in; `ok SUBJECT` or `refused REASON` per line out, by the library that the argument names.

ISSUER, AUDIENCE, JWKS_MAX_AGE (seconds) and ALGORITHM are set.
"""

import importlib
import os
import sys


def main() -> None:
    library = importlib.import_module(f"verify_{sys.argv[1]}")
    issuer, audience, max_age, algorithm = (
        os.environ[name] for name in ["ISSUER", "AUDIENCE", "JWKS_MAX_AGE", "ALGORITHM"]
    )
    verifier = library.Verifier(issuer, audience, int(max_age), algorithm)
    for line in sys.stdin:
        try:
            answer = f"ok {verifier.verify(line.strip())['sub']}"
        except Exception as refusal:  # whatever it raises must not be taken for a yes, nor end the program
            answer = f"refused {type(refusal).__name__}: {' '.join(str(refusal).split())}"
        print(answer, flush=True)


if __name__ == "__main__":
    main()
