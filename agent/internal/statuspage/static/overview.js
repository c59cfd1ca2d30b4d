// The first view: what flows, how far behind it is, and whether it adds up.

import { h, put, attr, keyed, bodies } from './dom.js';
import { ago, bytes, rate, short, span, whole } from './format.js';
import { badge } from './health.js';
import { state, rateOf, inputRate } from './store.js';
import { graph } from './graph.js';
import { plot } from './plot.js';
import { connections } from './connections.js';

export function overview() {
  const figures = tiles();
  const flow = graph();
  const backlog = plot({ title: 'Backlog', note: 'events that wait, by connection', unit: short, floor: 4, steps: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] });
  const lag = plot({ title: 'Lag', note: 'age of the oldest event that waits', unit: span, floor: 4, steps: [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400] });
  const table = connections();
  const feeds = inputs();
  const el = h('div', { class: 'stack' }, h('h1', { class: 'unseen' }, 'Overview'), figures.el, flow.el, h('div', { class: 'pair' }, backlog.el, lag.el), table.el, feeds.el);

  function update() {
    if (!state.status) return;
    figures.update();
    flow.update();
    const { times, outputs } = state.history;
    const slots = new Map(state.status.outputs.map((o, i) => [o.name, i]));
    const known = Object.entries(outputs).filter(([name]) => slots.has(name));
    const now = state.at / 1000;
    backlog.update(times, Object.fromEntries(known.map(([name, o]) => [name, o.pending])), slots, now);
    lag.update(times, Object.fromEntries(known.map(([name, o]) => [name, o.lag])), slots, now);
    table.update();
    feeds.update();
  }
  return { el, update };
}

function tiles() {
  const list = [
    ['In', (st) => [rate(rateOf((x) => x.accepted)), `${whole(st.accepted)} taken`]],
    ['Out', () => [rate(rateOf((x) => sum(x, 'sent'))), `${whole(sum(state.status, 'sent'))} delivered`]],
    ['Backlog', (st) => [short(sum(st, 'pending')), 'deliveries that wait']],
    ['Oldest', (st) => [span(Math.max(0, ...st.outputs.map((o) => o.lag_seconds))), 'event that waits']],
    ['Failed', (st) => [short(sum(st, 'failed')), `${whole(st.refused.lines)} lines refused`, sum(st, 'failed') ? 'warn' : '']],
    ['Log', (st) => [bytes(st.log.bytes), `of ${bytes(st.log.max_bytes)}${st.log.corrupt_blocks ? ` · ${st.log.corrupt_blocks} blocks damaged` : ''}`, st.log.full || st.log.corrupt_blocks ? 'bad' : '']],
    ['Intake', (st) => [st.ready === 'ok' ? 'open' : 'closed', st.ready === 'ok' ? `up ${ago(st.started).replace(' ago', '')} · ${st.version}` : st.ready, st.ready === 'ok' ? '' : 'bad']],
    ['Ledger', (st) => {
      const off = st.outputs.reduce((n, o) => n + Math.abs(o.unaccounted), 0);
      return off ? [`off by ${whole(off)}`, 'unaccounted for', 'bad'] : ['balanced', '0 unaccounted for', 'good'];
    }],
  ].map(([label, pick]) => {
    const value = h('b', {});
    const note = h('span', { class: 'dim' });
    return { el: h('div', { class: 'tile' }, h('span', { class: 'label' }, label), value, note), value, note, pick };
  });
  const el = h('section', { class: 'card tiles', 'aria-label': 'Figures' }, list.map((t) => t.el));
  const update = () => {
    for (const t of list) {
      const [value, note, mood] = t.pick(state.status);
      put(t.value, value);
      put(t.note, note);
      attr(t.note, 'title', note);
      attr(t.value, 'class', mood || null);
    }
  };
  return { el, update };
}

const sum = (st, field) => st.outputs.reduce((n, o) => n + o[field], 0);

function inputs() {
  const table = h('table', { class: 'cards' },
    h('thead', {}, h('tr', {}, h('th', {}, 'Input'), h('th', {}, 'State'), ['Rate', 'Events', 'Size', 'Refused'].map((t) => h('th', { class: 'num' }, t)))));
  const el = h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h2', {}, 'Inputs'), h('span', { class: 'dim' }, 'since the agent started')), h('div', { class: 'scroll' }, table));
  const create = (i) => {
    const health = badge('unknown');
    const cells = ['Rate', 'Events', 'Size', 'Refused'].map((label) => h('td', { class: 'num', 'data-label': label }));
    const trouble = h('td', { class: 'why', colspan: 6 });
    const second = h('tr', { class: 'detail', hidden: true }, trouble);
    const first = h('tr', {}, h('td', { class: 'name' }, h('b', {}, i.name), ' ', h('span', { class: 'dim' }, i.type)), h('td', { 'data-label': 'State' }, health.el), cells);
    const row = h('tbody', {}, first, second);
    const update = (now) => {
      health.set(now.ended ? 'unknown' : now.last_error ? 'degraded' : 'healthy');
      put(health.el.lastChild, now.ended ? 'ended' : now.last_error ? 'in trouble' : 'reading');
      [rate(inputRate(now.name)), whole(now.events), bytes(now.bytes), whole(now.refused)].forEach((text, k) => put(cells[k], text));
      second.hidden = !now.last_error;
      put(trouble, now.last_error ?? '');
    };
    return { el: row, update };
  };
  const none = h('tbody', {}, h('tr', {}, h('td', { colspan: 6, class: 'dim' }, 'No inputs: events come by the API only.')));
  const update = () => {
    const list = state.status.inputs;
    keyed(bodies(table), list, (i) => `${i.name} ${i.type}`, create);
    if (list.length === 0) table.append(none);
    else none.remove();
  };
  return { el, update };
}
