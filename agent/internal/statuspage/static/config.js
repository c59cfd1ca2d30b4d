// The config that runs, and what became of the attempts to change it.

import * as api from './api.js';
import { h, put, replace } from './dom.js';
import { ago, stamp } from './format.js';
import { state, mayWrite, soon } from './store.js';

export function config() {
  const text = h('ol', { class: 'yaml', tabindex: 0, 'aria-label': 'The config as YAML' });
  const origin = h('span', { class: 'dim' });
  const all = h('input', { type: 'checkbox', id: 'defaults', on: { change: draw } });
  const list = h('ol', { class: 'attempts' });
  const outcome = h('p', { class: 'outcome', role: 'status' });
  const button = h('button', { type: 'button', class: 'write', on: { click: reload } }, 'Reload now');
  const el = h('div', { class: 'halves' },
    h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h1', { class: 'h2' }, 'Config that runs'), origin, h('label', { class: 'check', for: 'defaults' }, all, 'with defaults')), text),
    h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h2', {}, 'Reload history'), h('span', { class: 'dim' }, 'since the agent started'), button), outcome, list));
  let lines = [];
  let seen = ''; // the generation and moment that is shown
  let closed = false;
  let times = [];

  async function load() {
    try {
      const [running, attempts] = await Promise.all([api.get('/config'), api.get('/reloads')]);
      if (closed) return;
      lines = running.lines;
      put(origin, `generation ${running.generation} · ${running.hash}`);
      draw();
      times = [];
      replace(list, attempts.map(attempt));
    } catch (err) {
      seen = '';
      put(outcome, api.explain(err));
    }
  }

  function draw() {
    replace(text, lines.filter((l) => all.checked || !l.default).map(line));
  }

  function attempt(a) {
    const when = h('span', { class: 'dim' }, ago(a.time));
    times.push(() => put(when, ago(a.time)));
    return h('li', { class: a.result }, h('div', { class: 'cardhead' }, h('b', {}, [a.action, a.target].filter(Boolean).join(' ')), h('span', { class: `result ${a.result}` }, a.result),
      h('span', { class: 'dim' }, `by ${a.actor}${a.address ? ` (${a.address})` : ''} · generation ${a.generation} · ${stamp(a.time)} · `, when)),
    a.detail && h('p', { class: a.result === 'refused' ? 'fault' : '' }, a.detail),
    a.changes.length > 0 && h('ul', { class: 'changes' }, a.changes.map((c) => h('li', {}, c))),
    a.problems.map((p) => h('div', { class: 'problem' }, h('code', {}, place(p)), ' ', p.message, p.hint && h('span', { class: 'hint' }, p.hint))));
  }

  async function reload() {
    button.disabled = true;
    put(outcome, 'loading …');
    try {
      const r = await api.post('/reload');
      put(outcome, r.changed ? 'applied' : 'nothing has changed');
    } catch (err) {
      put(outcome, api.explain(err));
    }
    button.disabled = false;
    await load();
    soon();
  }

  function update() {
    if (!state.status) return;
    button.hidden = !mayWrite();
    for (const time of times) time();
    const now = `${state.status.generation} ${Math.floor(state.at / 10000)}`; // refused attempts do not change the generation
    if (now !== seen) {
      seen = now;
      load();
    }
  }
  return { el, update, close: () => (closed = true) };
}

const place = (p) => [p.file, p.line || '', p.column || ''].filter(Boolean).join(':');

// line is one of YAML: its key, its value and its comment apart, for the eye.
function line(l) {
  const [, indent, dash, key, rest] = /^( *)(- )?([^\s:"'[{]+:)?(.*)$/.exec(l.text) ?? [null, '', '', '', l.text];
  const comment = rest.startsWith(' # ');
  return h('li', { class: l.default ? 'default' : null }, indent, dash, key && h('span', { class: 'key' }, key), comment ? h('span', { class: 'dim' }, rest) : rest);
}
