// Asks the shop's API as the admin who signed in. The tokens live in this page's memory alone: a reload
// asks again, and nothing is left behind on a machine that others use.

const API = "/api/v1";

let pair;
let renewing;

/** Fails with what the API said, in words for a person. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.message ?? `The shop answered ${status}.`);
    this.status = status;
    this.slug = body?.error ?? "";
  }
}

export async function signIn(email, password) {
  const tokens = await send("POST", "/auth/login", { body: { email, password } });
  pair = tokens;
  const me = await ask("GET", "/users/me");
  if (me.role === "admin") return;
  await signOut();
  throw new Error("This account is no admin.");
}

export async function signOut() {
  if (pair === undefined) return;
  const { access_token: token, refresh_token } = pair;
  pair = undefined;
  await send("POST", "/auth/logout", { body: { refresh_token }, token }).catch(() => undefined);
}

export const isSignedIn = () => pair !== undefined;

/** Answers the `data` of the envelope; renews the access token when it has run out. */
export async function ask(method, path, body) {
  try {
    return await send(method, path, { body, token: pair?.access_token });
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 401 || pair === undefined) throw error;
    await renew();
    return await send(method, path, { body, token: pair?.access_token });
  }
}

/** One renewal for everybody who finds the token run out: a refresh token is good once. */
async function renew() {
  renewing ??= send("POST", "/auth/refresh", { body: { refresh_token: pair?.refresh_token } })
    .then((tokens) => {
      pair = tokens;
    })
    .catch((error) => {
      if (error instanceof Refused && error.status === 401) pair = undefined;
      throw error;
    })
    .finally(() => {
      renewing = undefined;
    });
  await renewing;
}

async function send(method, path, { body, token }) {
  const headers = {};
  if (token !== undefined) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await fetch(API + path, {
    method,
    headers,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => undefined);
  if (!response.ok) throw new Refused(response.status, answer);
  return answer.data;
}
