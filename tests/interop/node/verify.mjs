import { createRemoteJWKSet, jwtVerify } from "jose";

/** `maxAge`: for how many seconds a fetched key is trusted without asking the issuer again. */
export function verifier(issuer, audience, maxAge = 300, algorithm = "RS256") {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`), {
    cacheMaxAge: maxAge * 1000,
    cooldownDuration: maxAge * 100, // an unknown `kid` asks the issuer at most ten times as often
  });
  const rules = {
    algorithms: [algorithm],
    typ: "at+jwt", // RFC 9068 §4
    issuer,
    audience,
    requiredClaims: ["sub", "exp", "iat", "jti", "client_id"],
    clockTolerance: 30,
  };
  /** The claims; throws when the token does not count, or no key can be had. */
  return async (token) => (await jwtVerify(token, keys, rules)).payload;
}
