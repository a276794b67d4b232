// A token per line in; `ok SUBJECT` or `refused REASON` per line out. ISSUER, AUDIENCE,
// JWKS_MAX_AGE (seconds) and ALGORITHM are set.
import { createInterface } from "node:readline";
import { verifier } from "./verify.mjs";

const { ISSUER, AUDIENCE, JWKS_MAX_AGE, ALGORITHM } = process.env;
const verify = verifier(ISSUER, AUDIENCE, Number(JWKS_MAX_AGE), ALGORITHM);

for await (const token of createInterface({ input: process.stdin })) {
  try {
    console.log(`ok ${(await verify(token)).sub}`);
  } catch (refusal) {
    console.log(`refused ${`${refusal.code}: ${refusal.message}`.replace(/\s+/g, " ")}`);
  }
}
