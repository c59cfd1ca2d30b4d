// What a SIEM refused, and lines that could not become events.

import * as api from './api.js';
import { h, put, attr, replace, options } from './dom.js';
import { ago, pretty, short, stamp, whole } from './format.js';
import { state, mayWrite, soon } from './store.js';

const pageSize = 50;
const allHours = 24 * 36500; // as much as the API takes: at any age

export function failed(connection) {
  const list = listing({ path: '/failed', columns: 7, head: ['Refused', 'Connection', 'Type', 'Event', 'Answer', 'Tries', ''], item: entry, none: 'No failed events: nothing was refused.' });
  const lines = listing({ path: '/refused', columns: 6, head: ['Time', 'Input', 'File', 'Offset', 'Reason', ''], item: line, none: 'No refused lines: every line became an event.' });
  let shown = list;
  let last = '';

  const pick = {
    connection: h('select', { 'aria-label': 'Connection' }),
    event_type: h('input', { 'aria-label': 'Event type', placeholder: 'event type', size: 14 }),
    severity: h('select', { 'aria-label': 'Least severity' }, [['', 'any severity'], 'low', 'medium', 'high', 'critical'].map((v) => (Array.isArray(v) ? h('option', { value: v[0] }, v[1]) : h('option', { value: v }, `${v} and above`)))),
    max_age_hours: h('select', { 'aria-label': 'Age' }, [['', 'any age'], ['1', 'last hour'], ['24', 'last day'], ['168', 'last week']].map(([v, t]) => h('option', { value: v }, t))),
    match: h('input', { 'aria-label': 'Text in event or answer', placeholder: 'text in event or answer', type: 'search' }),
  };
  const form = h('form', { class: 'filters', on: { submit: (e) => { e.preventDefault(); load(); }, change: () => load() } }, Object.values(pick));
  const retry = h('button', { type: 'button', class: 'write', on: { click: retryAll } }, 'Retry all that match');
  const outcome = h('p', { class: 'outcome', role: 'status' });
  const tabs = [['Failed events', list], ['Refused lines', lines]].map(([label, one]) => h('button', { type: 'button', 'aria-pressed': String(one === list), on: { click: () => choose(one) } }, label));
  const el = h('div', { class: 'stack' }, h('section', { class: 'card' },
    h('div', { class: 'cardhead' }, h('h1', { class: 'unseen' }, 'Failed events'), h('div', { class: 'tabs' }, tabs), form, h('div', { class: 'filters' }, retry, h('button', { type: 'button', on: { click: () => load() } }, 'Refresh'))),
    outcome, list.el, lines.el));
  lines.el.hidden = true;
  if (state.status) fillConnections();
  if (connection) pick.connection.value = connection;

  function choose(one) {
    shown = one;
    list.el.hidden = one !== list;
    lines.el.hidden = one !== lines;
    form.hidden = one !== list;
    tabs.forEach((tab, i) => attr(tab, 'aria-pressed', String((i === 0) === (one === list))));
    update();
    load();
  }

  const query = () => Object.fromEntries(Object.entries(pick).map(([name, field]) => [name, field.value.trim()]));
  const load = () => shown.load(shown === list ? query() : {});

  async function retryAll() {
    const q = query();
    await again(retry, { ...q, max_age_hours: q.max_age_hours || allHours });
  }

  // again sends failed events once more and tells what came of it.
  async function again(button, q) {
    button.disabled = true;
    put(outcome, 'sending …');
    try {
      const a = await api.post('/retry-failed', { ...q, wait: '20s' });
      put(outcome, [a.message, ...Object.entries(a.details ?? {}).map(([name, why]) => `${name}: ${why}`)].join(' · '));
    } catch (err) {
      put(outcome, api.explain(err));
    }
    button.disabled = false;
    soon();
    load();
  }

  function fillConnections() {
    options(pick.connection, [['', 'all connections'], ...state.status.outputs.map((o) => [o.name, o.name])]);
  }

  function update() {
    if (!state.status) return;
    fillConnections();
    retry.hidden = !mayWrite() || shown !== list;
    const now = `${state.status.outputs.map((o) => o.failed).join()} ${state.status.refused.lines}`;
    if (last && now !== last && !shown.busy()) load();
    last = now;
  }

  function entry(e) {
    const send = h('button', { type: 'button', class: 'quiet write', hidden: !mayWrite(), on: { click: () => again(send, { connection: e.connection_id, id: e.id, max_age_hours: allHours }) } }, 'Retry', h('span', { class: 'unseen' }, ` event ${e.event_id}`));
    const status = e.status ? `${e.status} ` : '';
    return {
      key: `${e.connection_id}/${e.id}`,
      cells: [
        h('td', { 'data-label': 'Refused', title: ago(e.time) }, stamp(e.time)), h('td', { 'data-label': 'Connection' }, e.connection_id), h('td', { 'data-label': 'Type' }, e.event_type),
        h('td', { class: 'wide mono cut', 'data-label': 'Event' }, e.event_id), h('td', { class: 'wide cut', 'data-label': 'Answer' }, h('b', { class: 'warn' }, status), e.answer), h('td', { class: 'num', 'data-label': 'Tries' }, e.attempts), h('td', { class: 'actions' }, send),
      ],
      detail: () => [field('Answer', `${status}${e.answer}`), field('From', e.endpoint), field('Number in the log', whole(e.seq)), field('Event', pretty(e.event), 'pre')],
    };
  }

  load();
  return { el, update };
}

function line(l) {
  return {
    key: l.id,
    cells: [
      h('td', { 'data-label': 'Time', title: ago(l.time) }, stamp(l.time)), h('td', { 'data-label': 'Input' }, l.input), h('td', { class: 'wide mono cut', 'data-label': 'File' }, l.file), h('td', { class: 'num', 'data-label': 'Offset' }, l.file ? whole(l.offset) : '–'),
      h('td', { class: 'wide', 'data-label': 'Reason' }, l.reason), h('td', {}),
    ],
    detail: () => [field('Line', l.line, 'pre')],
  };
}

const field = (label, text, tag = 'p') => h('div', { class: 'field' }, h('h3', {}, label), h(tag, {}, text));

// listing is a list that comes page by page, whose items open.
function listing({ path, columns, head, item, none }) {
  const table = h('table', { class: 'cards openable' }, h('thead', {}, h('tr', {}, head.map((t) => h('th', { class: t === 'Tries' || t === 'Offset' ? 'num' : null }, t)))));
  const note = h('p', { class: 'dim pad' });
  const more = h('button', { type: 'button', hidden: true, on: { click: () => fetchPage(next) } }, 'Show more');
  const el = h('div', {}, h('div', { class: 'scroll' }, table), h('div', { class: 'foot' }, note, more));
  let query = {};
  let next = null;
  let turn = 0;
  let open = new Set();

  async function load(q) {
    query = q;
    await fetchPage(null);
  }

  async function fetchPage(cursor) {
    const mine = ++turn;
    try {
      const page = await api.get(path, { ...query, limit: pageSize, cursor });
      if (mine !== turn) return;
      if (!cursor) for (const body of [...table.tBodies]) body.remove();
      for (const one of page.items) table.append(row(item(one)));
      next = page.next;
      more.hidden = !next;
      const n = table.tBodies.length;
      put(note, n ? `${short(n)} shown, the oldest first${next ? '' : '; that is all'}` : none);
    } catch (err) {
      if (mine === turn) put(note, api.explain(err));
    }
  }

  function row({ key, cells, detail }) {
    const second = h('tr', { class: 'detail', hidden: true }, h('td', { class: 'why', colspan: columns }));
    const opener = h('button', { type: 'button', class: 'opener', 'aria-expanded': 'false', 'aria-label': 'Details' });
    cells[0].prepend(opener);
    const set = (on) => {
      second.hidden = !on;
      attr(opener, 'aria-expanded', String(on));
      if (on) replace(second.firstChild, detail());
      if (on) open.add(key);
      else open.delete(key);
    };
    const first = h('tr', { on: { click: (e) => (e.target === opener || !e.target.closest('button')) && !getSelection().toString() && set(second.hidden) } }, cells);
    const body = h('tbody', {}, first, second);
    if (open.has(key)) set(true);
    return body;
  }

  return { el, load, busy: () => open.size > 0 || table.tBodies.length > pageSize };
}
