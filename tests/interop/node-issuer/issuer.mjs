// An issuer that is not Signet: oidc-provider on a free port of 127.0.0.1. It also plays the clients, and prints one line
// of JSON: its issuer, and the tokens that its endpoints answered over HTTP. It serves its keys until stdin closes.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const API = 'https://api.example.com';
const OTHER_API = 'https://other.example.com';
const REDIRECT_URI = 'https://app.example.com/callback';

// The same API asked for under another name brings its token in the form of another issuer, signed by this one.
const FORMS = {
  keycloak: (claims) => ({
    ...claims,
    typ: 'Bearer',
    azp: claims.client_id,
    client_id: undefined,
    realm_access: { roles: ['editor'] },
  }),
  entra: ({ jti, client_id, scope, ...claims }) => ({ ...claims, uti: jti, azp: client_id, scp: scope, ver: '2.0' }),
  auth0: ({ jti, client_id, ...claims }) => ({ ...claims, azp: client_id }),
};

async function signingKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), use: 'sig', alg, kid: `${alg}-1` };
}

const server = createServer();
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  jwks: { keys: [await signingKey('RS256'), await signingKey('ES256')] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  clients: [
    {
      client_id: 'service',
      client_secret: randomBytes(32).toString('hex'),
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
    },
    // A client whose id is the API's name: its ID tokens have the API's audience, which is as close as they come.
    {
      client_id: API,
      client_secret: randomBytes(32).toString('hex'),
      grant_types: ['authorization_code'],
      response_types: ['code'],
      redirect_uris: [REDIRECT_URI],
    },
  ],
  scopes: ['openid', 'read', 'write'],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => undefined,
      getResourceServerInfo: (_, resource) => ({
        scope: 'read write',
        audience: resource.split('/form')[0],
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: resource.endsWith('es256') ? 'ES256' : 'RS256' } },
      }),
    },
  },
  formats: {
    customizers: {
      jwt(_, token, jwt) {
        const form = FORMS[token.resourceServer?.identifier().split('/form/')[1]];
        if (form) {
          jwt.header = { typ: 'JWT' };
          jwt.payload = form(jwt.payload);
        }
      },
    },
  },
  // Said, or it complains of each default on standard output.
  ttl: { AccessToken: 300, ClientCredentials: 300, Grant: 300, IdToken: 300, Interaction: 300, Session: 300 },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid');
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  if (request.url.startsWith('/interaction/')) {
    // Whoever comes is signed in; there is nobody here to ask.
    await provider.interactionFinished(request, response, { login: { accountId: 'user-1' } });
    return;
  }
  answer(request, response);
});

async function client(id) {
  const { clientSecret } = await provider.Client.find(id);
  const [user, password] = [id, clientSecret].map(encodeURIComponent);
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

async function token(id, parameters) {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: await client(id) },
    body: new URLSearchParams(parameters),
  });
  const body = await response.json();
  if (!response.ok) throw new Error(`${response.status}: ${JSON.stringify(body)}`);
  return body;
}

async function accessToken(resource) {
  const answered = await token('service', { grant_type: 'client_credentials', scope: 'read write', resource });
  return answered.access_token;
}

// The authorization code flow, followed as a browser would.
async function idToken(nonce) {
  const verifier = randomBytes(32).toString('base64url');
  const query = new URLSearchParams({
    client_id: API,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: 'openid',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(nonce && { nonce }),
  });
  const jar = new Map();
  let url = `${issuer}/auth?${query}`;
  while (!url.startsWith(REDIRECT_URI)) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
    if (response.status >= 400) throw new Error(`${url}: ${response.status} ${await response.text()}`);
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      jar.set(name, value);
    }
    url = new URL(response.headers.get('location'), issuer).href;
  }
  const code = new URL(url).searchParams.get('code');
  const answered = await token(API, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: REDIRECT_URI,
    code_verifier: verifier,
  });
  return answered.id_token;
}

console.log(
  JSON.stringify({
    issuer,
    access_token: await accessToken(API),
    es256: await accessToken(`${API}/form/es256`),
    other_audience: await accessToken(OTHER_API),
    keycloak: await accessToken(`${API}/form/keycloak`),
    entra: await accessToken(`${API}/form/entra`),
    auth0: await accessToken(`${API}/form/auth0`),
    id_token: await idToken(),
    id_token_with_nonce: await idToken('n-0S6'),
  }),
);
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
