// The frame: log in, choose a view, keep it up to date.

import * as api from './api.js';
import { h, put, attr, replace } from './dom.js';
import { clockSeconds, short, span } from './format.js';
import { state, start, stop, onChange } from './store.js';
import { overview } from './overview.js';
import { failed } from './failed.js';
import { files } from './files.js';
import { tap } from './tap.js';
import { config } from './config.js';
import { login } from './login.js';

const views = [
  { id: 'overview', label: 'Overview', make: overview },
  { id: 'failed', label: 'Failed', make: failed, count: () => state.status?.outputs.reduce((n, o) => n + o.failed, 0) ?? 0 },
  { id: 'files', label: 'Files', make: files },
  { id: 'tap', label: 'Tap', make: tap },
  { id: 'config', label: 'Config', make: config },
];

const el = Object.fromEntries(['bar', 'nav', 'host', 'pulse', 'caller', 'logout', 'banner', 'main'].map((id) => [id, document.getElementById(id)]));
const unknownToken = 'this token is not known any more';
let view = null; // what is shown: {el, update?, close?}

const links = views.map((v) => {
  const count = h('span', { class: 'count', hidden: true });
  const link = h('a', { href: `#${v.id}` }, v.label, count);
  el.nav.append(link);
  return { v, link, count };
});

put(el.host, location.host);
el.logout.addEventListener('click', () => leave(''));
api.whenRefused(() => !el.bar.hidden && leave(unknownToken));
window.addEventListener('hashchange', show);
onChange(update);

// The number keys change the view, unless somebody is writing.
document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || el.bar.hidden || e.target.closest('input, select, textarea')) return;
  const v = views[Number(e.key) - 1];
  if (v) location.hash = v.id;
});

function show() {
  if (el.bar.hidden) return;
  const [id, arg] = location.hash.slice(1).split('/');
  const chosen = views.find((v) => v.id === id) ?? views[0];
  view?.close?.();
  view = chosen.make(decode(arg));
  replace(el.main, view.el);
  attr(el.main, 'class', `view-${chosen.id}`);
  for (const { v, link } of links) attr(link, 'aria-current', v === chosen ? 'page' : null);
  scrollTo(0, 0);
  update();
}

function decode(text) {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    return '';
  }
}

function update() {
  if (el.bar.hidden) return;
  for (const { v, count } of links) {
    if (!v.count) continue;
    const n = v.count();
    count.hidden = n === 0;
    put(count, short(n));
  }
  const ill = state.status?.outputs.filter((o) => o.health === 'failed' || o.health === 'degraded').length ?? 0;
  document.title = `${ill ? `(${ill}) ` : ''}siemd · ${location.host}`;
  const at = new Date(state.at);
  attr(el.pulse, 'class', state.trouble ? 'pulse bad' : 'pulse');
  attr(el.pulse, 'title', state.at ? `as of ${clockSeconds(at)}` : null);
  el.banner.hidden = !state.trouble;
  if (state.trouble) put(el.banner, state.at ? `${state.trouble}: what you see is ${span(Math.round((Date.now() - state.at) / 1000))} old` : state.trouble);
  attr(document.body, 'class', state.trouble ? 'stale' : null);
  view?.update?.();
}

async function enter() {
  await start();
  replace(el.caller, state.caller.name, h('span', { class: `scope ${state.caller.scope}` }, state.caller.scope));
  el.bar.hidden = false;
  show();
}

function leave(why) {
  stop();
  api.setToken('');
  view?.close?.();
  view = null;
  el.bar.hidden = true;
  el.banner.hidden = true;
  document.body.removeAttribute('class');
  document.title = 'siemd';
  ask(why);
}

function ask(why) {
  attr(el.main, 'class', 'view-login');
  const form = login(why, async (token) => {
    api.setToken(token);
    await enter();
  });
  replace(el.main, form.el);
  form.focus();
}

if (api.hasToken()) {
  enter().catch((err) => {
    const refused = err instanceof api.Problem && err.status === 401;
    if (refused) api.setToken('');
    ask(refused ? unknownToken : api.explain(err));
  });
} else {
  ask('');
}
