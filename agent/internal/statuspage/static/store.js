// What the page knows about the agent: the latest status, the rates that follow
// from the ones before it, and the last hour.

import * as api from './api.js';

const every = 2000; // milliseconds between two looks
const window = 10; // seconds that a rate is taken over
const hour = 3600;

export const state = {
  caller: { name: '', scope: 'read' },
  status: null,
  at: 0, // when status came, milliseconds
  trouble: '', // why there is none that is newer
  history: { times: [], outputs: {}, inputs: {} },
};

export const mayWrite = () => state.caller.scope === 'write';

let samples = []; // {at, status}, oldest first
let timer = 0;
let running = null; // the AbortController of this login
const listeners = new Set();

export function onChange(listener) {
  listeners.add(listener);
}

function changed() {
  for (const listener of listeners) listener();
}

// start begins to look. It throws if the token is not good.
export async function start() {
  stop();
  const me = new AbortController();
  running = me;
  const caller = await api.get('/caller', {}, me.signal);
  const past = await api.get('/history', {}, me.signal);
  if (running !== me) return;
  state.caller = caller;
  state.history = fromReport(past);
  await look(me);
}

export function stop() {
  running?.abort();
  running = null;
  clearTimeout(timer);
  samples = [];
  Object.assign(state, { caller: { name: '', scope: 'read' }, status: null, at: 0, trouble: '' });
}

// soon looks again without waiting for the next turn.
export function soon() {
  if (running) look(running);
}

async function look(me) {
  clearTimeout(timer);
  try {
    const status = await api.get('/status', {}, AbortSignal.any([me.signal, AbortSignal.timeout(10000)]));
    if (running !== me) return;
    take(status);
  } catch (err) {
    if (running !== me) return;
    state.trouble = api.explain(err);
  }
  changed();
  clearTimeout(timer);
  timer = setTimeout(look, document.hidden ? 5 * every : every, me);
}

function take(status) {
  const last = samples.at(-1);
  if (last && last.status.started !== status.started) {
    samples = []; // another process: its counters begin anew
    reload();
  }
  Object.assign(state, { status, at: Date.now(), trouble: '' });
  samples.push({ at: state.at, status });
  while (samples.length > 2 && state.at - samples[1].at >= window * 1000) samples.shift();
  remember(status, state.at / 1000);
}

async function reload() {
  const past = await api.get('/history', {}, running?.signal).catch(() => null);
  if (past) state.history = fromReport(past);
}

// rateOf is the growth per second of what pick finds in a status; null if nothing is known yet.
export function rateOf(pick) {
  if (samples.length < 2) return null;
  const first = samples[0];
  const last = samples.at(-1);
  const a = pick(first.status);
  const b = pick(last.status);
  if (a === undefined || b === undefined || b < a) return null;
  return ((b - a) * 1000) / (last.at - first.at);
}

export const inputRate = (name) => rateOf((st) => st.inputs.find((i) => i.name === name)?.events);
export const outputRate = (name) => rateOf((st) => st.outputs.find((o) => o.name === name)?.sent);

function fromReport(report) {
  const outputs = {};
  for (const [name, o] of Object.entries(report.outputs)) outputs[name] = { pending: o.pending, lag: o.lag_seconds };
  return { times: report.times, outputs };
}

// remember puts the latest status at the end of the hour; points nearer than the server's own step replace each other.
function remember(status, now) {
  const h = state.history;
  const n = h.times.length;
  const fresh = n < 2 || now - h.times[n - 2] >= 10;
  const at = fresh ? n : n - 1;
  h.times[at] = now;
  for (const o of status.outputs) {
    const series = (h.outputs[o.name] ??= { pending: [], lag: [] });
    series.pending[at] = o.pending;
    series.lag[at] = o.lag_seconds;
  }
  const old = h.times.findIndex((t) => t >= now - hour - 15);
  const known = new Set(status.outputs.map((o) => o.name));
  for (const name of Object.keys(h.outputs)) {
    if (!known.has(name)) delete h.outputs[name];
    else if (old > 0) for (const list of Object.values(h.outputs[name])) list.splice(0, old);
  }
  if (old > 0) h.times.splice(0, old);
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) soon();
});
