// The connections: health, the ledger of each, the last error and what to do about it.

import * as api from './api.js';
import { h, put, attr, keyed, bodies, replace } from './dom.js';
import { ago, rate, span, until, whole } from './format.js';
import { badge, icon } from './health.js';
import { state, mayWrite, outputRate, soon } from './store.js';

const ledger = [['Accepted', 'accepted'], ['Sent', 'sent'], ['Failed', 'failed'], ['Filtered', 'filtered'], ['Expired', 'expired'], ['Pending', 'pending']];
const signs = ['', '=', '+', '+', '+', '+'];
const columns = 12;

export function connections() {
  const table = h('table', { class: 'cards ledger' }, h('thead', {}, h('tr', {}, h('th', {}, 'Connection'), h('th', {}, 'Health'), h('th', { class: 'num' }, 'Rate'),
    ledger.map(([label], i) => h('th', { class: 'num' }, signs[i] && h('span', { class: 'sign' }, signs[i]), label)),
    h('th', { class: 'num' }, 'Lag'), h('th', { class: 'num' }, 'Last success'), h('th', {}, h('span', { class: 'unseen' }, 'Actions')))));
  const none = h('tbody', {}, h('tr', {}, h('td', { colspan: columns, class: 'dim' }, 'No connections yet: put one below outputs in the config, or make one through the API.')));
  const orphans = h('div', {});
  const el = h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h2', {}, 'Connections'), h('span', { class: 'dim' }, 'every accepted event is in exactly one of the columns behind it')),
    h('div', { class: 'scroll' }, table), orphans);
  const update = () => {
    keyed(bodies(table), state.status.outputs, (o) => o.name, row);
    if (state.status.outputs.length === 0) table.append(none);
    else none.remove();
    keyed(orphans, state.status.orphans ?? [], (c) => c.name, orphan);
  };
  return { el, update };
}

function row(o) {
  const health = badge(o.health);
  const since = h('span', { class: 'dim small' });
  const speed = h('td', { class: 'num', 'data-label': 'Rate' });
  const cells = ledger.map(([label, field]) => h('td', { class: `num ${field}`, 'data-label': label }));
  const refused = h('a', { href: `#failed/${encodeURIComponent(o.name)}` });
  cells[2].append(refused);
  const lag = h('td', { class: 'num', 'data-label': 'Lag' });
  const success = h('td', { class: 'num', 'data-label': 'Last success' });
  const endpoint = h('span', { class: 'dim small endpoint' });
  const tests = h('div', { class: 'steps', role: 'status' });
  const test = h('button', { type: 'button', class: 'quiet', on: { click: () => run(tests, test, o.name) } }, 'Test', h('span', { class: 'unseen' }, ` ${o.name}`));
  const actions = h('td', { class: 'actions' }, test);
  const error = h('p', { class: 'fault' });
  const hint = h('p', { class: 'hint' });
  const why = h('tr', { class: 'detail' }, h('td', { class: 'why', colspan: columns }, error, hint, tests));
  const el = h('tbody', { 'data-name': o.name },
    h('tr', {}, h('td', { class: 'name' }, h('b', {}, o.name), ' ', h('span', { class: 'dim' }, o.type), endpoint), h('td', { 'data-label': 'Health' }, health.el, since), speed, cells, lag, success, actions), why);

  const update = (now) => {
    health.set(now.health);
    put(since, now.health === 'unknown' ? '' : `for ${span(Math.max(1, Math.round((Date.now() - Date.parse(now.since)) / 1000)))}`);
    put(endpoint, now.endpoint ?? '');
    put(speed, rate(outputRate(now.name)));
    ledger.forEach(([, field], i) => {
      if (field === 'failed') attr(refused, 'tabindex', now.failed ? null : -1);
      put(field === 'failed' ? refused : cells[i], whole(now[field]));
      attr(cells[i], 'class', `num ${field}${now[field] ? '' : ' nil'}`);
    });
    if (now.unaccounted) put(cells[0], `${whole(now.accepted)} (off by ${whole(now.unaccounted)})`);
    put(lag, now.pending ? span(now.lag_seconds) : '–');
    put(success, ago(now.last_success));
    const over = now.health === 'healthy';
    attr(el, 'class', `row ${now.health}`);
    const next = until(now.next_try);
    put(error, now.last_error ? `${over ? 'Last error' : 'Error'} ${ago(now.last_error_at)}${next ? `, next try in ${next}` : ''}: ${now.last_error}` : '');
    attr(error, 'class', over ? 'fault over' : 'fault');
    error.hidden = !now.last_error;
    hint.hidden = !now.hint;
    put(hint, now.hint ?? '');
    attr(hint, 'class', over ? 'hint over' : 'hint');
    test.hidden = !mayWrite();
    why.hidden = !now.last_error && !tests.firstChild;
  };
  return { el, update };
}

// run tests a connection and shows each step.
async function run(to, button, name) {
  button.disabled = true;
  replace(to, h('p', { class: 'dim' }, 'testing …'));
  to.closest('tr').hidden = false;
  try {
    const result = await api.post(`/connections/${encodeURIComponent(name)}/test`, { wait: '15s' });
    const steps = (result.steps ?? []).map((st) => h('li', {}, icon(st.ok ? 'healthy' : 'failed').el, h('b', {}, st.name), ' ', st.ok ? st.detail : st.error, st.fix && h('span', { class: 'hint' }, st.fix)));
    replace(to, h('div', { class: 'cardhead' }, h('h3', {}, 'Test'), h('button', { type: 'button', class: 'quiet', on: { click: () => replace(to) } }, 'Close')), h('ol', {}, steps));
  } catch (err) {
    replace(to, h('p', { class: 'fault' }, api.explain(err)));
  }
  button.disabled = false;
  soon();
}

function orphan(c) {
  const text = h('p', { class: 'dim orphan' });
  return { el: text, update: (now) => put(text, `${now.name}: ${whole(now.pending)} events wait for a connection that is gone; siemd purge ${now.name} ends it`) };
}
