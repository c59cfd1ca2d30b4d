// The REST API. The token is kept for this tab only, and goes nowhere but into
// the Authorization header of requests to the server that the page came from.

const prefix = '/api/v1/siem';
const key = 'siemd.token';

let token = sessionStorage.getItem(key) ?? '';
let onRefused = () => {};

export const hasToken = () => token !== '';

export function setToken(text) {
  token = text;
  if (text) sessionStorage.setItem(key, text);
  else sessionStorage.removeItem(key);
}

// whenRefused is called when the server does not know the token any more.
export function whenRefused(listener) {
  onRefused = listener;
}

// A Problem is what the API answers when it cannot.
export class Problem extends Error {
  constructor(status, body) {
    super(body.title ?? `the agent answered ${status}`);
    this.status = status;
    this.detail = body.detail ?? '';
    this.errors = body.errors ?? [];
  }

  get text() {
    return this.detail ? `${this.message}: ${this.detail}` : this.message;
  }
}

export const explain = (err) => (err instanceof Problem ? err.text : 'the agent does not answer');

function address(path, query) {
  const q = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== '' && value !== null && value !== undefined) q.append(name, value);
  }
  const text = q.toString();
  return prefix + path + (text ? `?${text}` : '');
}

async function send(method, path, { query, signal } = {}) {
  const used = token;
  const resp = await fetch(address(path, query), {
    method, signal, cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
    headers: { Authorization: `Bearer ${used}` },
  });
  if (resp.ok) return resp;
  const body = await resp.json().catch(() => ({}));
  if (resp.status === 401 && used === token) onRefused();
  throw new Problem(resp.status, body);
}

export const get = async (path, query, signal) => (await send('GET', path, { query, signal })).json();
export const post = async (path, query, signal) => (await send('POST', path, { query, signal })).json();

// events reads server-sent events, and calls show with the name and the data of each, until the stream ends or signal aborts.
export async function events(path, query, signal, show) {
  const resp = await send('GET', path, { query, signal });
  const reader = resp.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      let name = 'message';
      let data = '';
      for (const line of block.split('\n')) {
        if (line.startsWith('event: ')) name = line.slice(7);
        else if (line.startsWith('data: ')) data += line.slice(6);
      }
      if (data) show(name, JSON.parse(data));
    }
  }
}
