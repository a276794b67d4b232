// A sign-in as one would write it with fastify, @node-rs/argon2 and jose.
//   node server.mjs PORT WORKERS DATABASE KEY ISSUER
// With two workers or more: processes of node:cluster. UV_THREADPOOL_SIZE says how many passwords are hashed at once.
import cluster from "node:cluster";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { verify } from "@node-rs/argon2";
import Database from "better-sqlite3";
import fastify from "fastify";
import { calculateJwkThumbprint, exportJWK, importPKCS8, SignJWT } from "jose";

const [port, workers, databaseFile, keyFile, issuer] = process.argv.slice(2);
const ACCESS_TOKEN_LIFE = 600;
const SESSION_LIFE = 30 * 24 * 3600;
// Costs an unknown address what a wrong password costs.
const NOBODY = `$argon2id$v=19$m=19456,t=2,p=1$${"A".repeat(22)}$${"A".repeat(43)}`;

const text = { type: "string", maxLength: 1024 };
const schema = {
  body: { type: "object", required: ["email", "password"], properties: { email: text, password: text } },
  response: {
    200: {
      type: "object",
      properties: {
        access_token: text,
        token_type: text,
        expires_in: { type: "integer" },
        scope: text,
        refresh_token: text,
      },
    },
  },
};

function open(file) {
  const database = new Database(file, { timeout: 5000 });
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.pragma("foreign_keys = ON");
  const signedIn = database.prepare("UPDATE users SET last_sign_in = ? WHERE id = ?");
  const insert = database.prepare(
    "INSERT INTO sessions (id, user_id, refresh_token_sha256, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
  );
  const record = database.transaction((session, user, refreshToken, now) => {
    signedIn.run(now, user);
    return insert.run(session, user, refreshToken, now, now + SESSION_LIFE).lastInsertRowid;
  });
  return { find: database.prepare("SELECT id, phc FROM users WHERE email = ?"), record: record.immediate };
}

async function signer() {
  const pem = readFileSync(keyFile, "utf8");
  const { kty, n, e } = await exportJWK(await importPKCS8(pem, "RS256", { extractable: true }));
  const header = { alg: "RS256", typ: "at+jwt", kid: await calculateJwkThumbprint({ kty, n, e }) };
  const key = await importPKCS8(pem, "RS256");
  return (claims) => new SignJWT(claims).setProtectedHeader(header).sign(key);
}

async function serve() {
  const { find, record } = open(databaseFile);
  const sign = await signer();
  const app = fastify();
  app.post("/login", { schema }, async (request, reply) => {
    const { email, password } = request.body;
    const user = find.get(email);
    const matches = await verify(user?.phc ?? NOBODY, password);
    if (!user || !matches) return reply.code(401).send({ title: "the e-mail address or the password is wrong" });
    const now = Math.floor(Date.now() / 1000);
    const session = randomUUID();
    const refreshToken = randomBytes(32).toString("base64url");
    const serial = record(session, user.id, createHash("sha256").update(refreshToken).digest(), now);
    const accessToken = await sign({
      iss: issuer,
      sub: user.id,
      aud: issuer,
      exp: now + ACCESS_TOKEN_LIFE,
      iat: now,
      jti: randomBytes(16).toString("base64url"),
      client_id: "first-party",
      scope: "signet:account",
      auth_time: now,
      sid: session,
      status: { status_list: { idx: serial, uri: `${issuer}/status/0` } },
    });
    return {
      access_token: accessToken,
      token_type: "Bearer",
      expires_in: ACCESS_TOKEN_LIFE,
      scope: "signet:account",
      refresh_token: refreshToken,
    };
  });
  await app.listen({ host: "127.0.0.1", port: Number(port) });
}

if (Number(workers) > 1 && cluster.isPrimary) {
  for (let worker = 0; worker < Number(workers); worker += 1) cluster.fork();
} else {
  await serve();
}
