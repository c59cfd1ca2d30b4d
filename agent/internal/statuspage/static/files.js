// The files that inputs read: how far, and how far behind.

import * as api from './api.js';
import { s, h, put, attr, keyed, visible } from './dom.js';
import { bytes, whole } from './format.js';
import { state } from './store.js';

const most = 500; // rows

export function files() {
  const table = h('table', { class: 'cards' }, h('thead', {}, h('tr', {}, h('th', {}, 'File'), h('th', {}, 'Input'), h('th', {}, 'State'), h('th', { class: 'num' }, 'Offset'), h('th', { class: 'num' }, 'Size'), h('th', {}, 'Read'), h('th', { class: 'num' }, 'Lag'))));
  const body = h('tbody', { class: 'rows' });
  table.append(body);
  const find = h('input', { type: 'search', placeholder: 'part of a name', 'aria-label': 'Part of a name', on: { input: () => draw() } });
  const note = h('p', { class: 'dim pad' });
  const el = h('div', { class: 'stack' }, h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h1', { class: 'h2' }, 'Files'), h('span', { class: 'dim' }, 'the ones furthest behind first'), h('div', { class: 'filters' }, find)), h('div', { class: 'scroll' }, table), note));
  let list = null;
  let busy = false;
  let closed = false;
  let seen = 0; // the status that the list is as old as

  async function update() {
    if (busy || closed || seen === state.at) return;
    busy = true;
    seen = state.at;
    try {
      const inputs = await api.get('/inputs', { files: true });
      list = inputs.flatMap((i) => (i.files ?? []).map((f) => ({ ...f, input: i.name })));
      list.sort((a, b) => b.lag - a.lag || (a.path < b.path ? -1 : 1));
      if (!closed) draw();
    } catch (err) {
      put(note, api.explain(err));
    }
    busy = false;
  }

  function draw() {
    if (!list) return;
    const want = find.value.toLowerCase();
    const fit = list.filter((f) => visible(f.path).toLowerCase().includes(want));
    keyed(body, fit.slice(0, most), (f) => `${f.input} ${f.path}`, row);
    const lag = fit.reduce((n, f) => n + f.lag, 0);
    put(note, list.length === 0 ? 'No input reads files now.' : `${whole(fit.length)} of ${whole(list.length)} files${fit.length > most ? `, the first ${most} shown` : ''}, ${bytes(lag)} to read`);
  }
  return { el, update, close: () => (closed = true) };
}

function row(f) {
  const cell = (label, cls) => h('td', { class: cls, 'data-label': label });
  const path = h('td', { class: 'wide mono name' });
  const error = h('span', { class: 'fault' });
  const name = h('span', {});
  path.append(name, error);
  const input = cell('Input');
  const status = cell('State');
  const offset = cell('Offset', 'num');
  const size = cell('Size', 'num');
  const lag = cell('Lag', 'num');
  const done = s('rect', { height: 6, rx: 3, class: 'done' });
  const share = h('span', { class: 'dim small' });
  const meter = h('td', { class: 'meter', 'data-label': 'Read' }, s('svg', { width: 80, height: 6, 'aria-hidden': 'true' }, s('rect', { width: 80, height: 6, rx: 3, class: 'whole' }), done), share);
  const el = h('tr', {}, path, input, status, offset, size, meter, lag);
  const update = (now) => {
    const part = now.lag === 0 ? 1 : now.size > 0 ? Math.max(0, Math.min(1, (now.size - now.lag) / now.size)) : 0;
    put(name, now.path);
    put(error, now.error ? ` ${now.error}` : '');
    put(input, now.input);
    put(status, now.state);
    put(offset, whole(now.offset));
    attr(offset, 'title', bytes(now.offset));
    put(size, bytes(now.size));
    put(lag, now.lag ? bytes(now.lag) : '–');
    attr(lag, 'class', now.lag ? 'num warn' : 'num');
    attr(done, 'width', Math.round(80 * part));
    put(share, ` ${Math.floor(part * 100)} %`);
  };
  return { el, update };
}
