// A live copy of what flows. What comes faster than it can be shown is skipped, and counted.

import * as api from './api.js';
import { h, put, options, replace } from './dom.js';
import { clockSeconds, moment, pretty, whole } from './format.js';
import { state } from './store.js';

const most = 300; // events that are kept

export function tap() {
  const pick = {
    connection: h('select', { 'aria-label': 'As this connection sends it' }),
    input: h('select', { 'aria-label': 'Input' }),
    type: h('input', { 'aria-label': 'Event type', placeholder: 'event type', size: 14 }),
    severity: h('select', { 'aria-label': 'Least severity' }, h('option', { value: '' }, 'any severity'), ['low', 'medium', 'high', 'critical'].map((v) => h('option', { value: v }, `${v} and above`))),
    match: h('input', { 'aria-label': 'Text in the event', placeholder: 'text in the event', type: 'search' }),
    rate: h('select', { 'aria-label': 'At most' }, ['5', '20', '100'].map((v) => h('option', { value: v, selected: v === '20' }, `at most ${v}/s`))),
  };
  const button = h('button', { type: 'submit', class: 'primary' }, 'Start');
  const note = h('p', { class: 'dim pad', role: 'status' }, 'Shows events as they come, from now on, and holds nothing back.');
  const list = h('ol', { class: 'tape', 'aria-label': 'Events, the latest first' });
  const form = h('form', { class: 'filters', on: { submit } }, Object.values(pick), button, h('button', { type: 'button', on: { click: () => { shown = skipped = 0; replace(list); count(); } } }, 'Clear'));
  const el = h('div', { class: 'stack' }, h('section', { class: 'card' }, h('div', { class: 'cardhead' }, h('h1', { class: 'h2' }, 'Live tap'), form), note, list));
  let running = null;
  let shown = 0;
  let skipped = 0;
  let waiting = []; // events that are not drawn yet

  function submit(e) {
    e.preventDefault();
    if (running) finish('stopped');
    else begin();
  }

  async function begin() {
    const me = new AbortController();
    running = me;
    put(button, 'Stop');
    for (const field of Object.values(pick)) field.disabled = true;
    put(note, 'live: waiting for the first event');
    const query = Object.fromEntries(Object.entries(pick).map(([name, field]) => [name, field.value.trim()]));
    let why = 'the agent ended it';
    try {
      await api.events('/tap', query, me.signal, (name, data) => {
        if (running !== me) return;
        if (name === 'skipped') skipped += data.events;
        if (name === 'event') enqueue(data);
        if (name === 'end') why = data.reason;
      });
    } catch (err) {
      why = api.explain(err);
    }
    if (running === me) finish(`ended: ${why}`);
  }

  function finish(why) {
    running?.abort();
    running = null;
    put(button, 'Start');
    for (const field of Object.values(pick)) field.disabled = false;
    put(note, `${why} · ${tally()}`);
  }

  const tally = () => `${whole(shown)} shown${skipped ? `, ${whole(skipped)} skipped` : ''}`;
  const count = () => running && put(note, `live · ${tally()}`);

  // What comes together is drawn together, once a frame.
  function enqueue(event) {
    waiting.push(event);
    if (waiting.length === 1) requestAnimationFrame(draw);
  }

  function draw() {
    shown += waiting.length;
    const rows = waiting.splice(0).slice(-most).reverse().map(row);
    list.prepend(...rows);
    while (list.childElementCount > most) list.lastElementChild.remove();
    count();
  }

  function update() {
    if (!state.status || running) return;
    options(pick.connection, [['', 'the event as it came'], ...state.status.outputs.map((o) => [o.name, `as ${o.name} sends it`])]);
    options(pick.input, [['', 'all inputs'], ...state.status.inputs.map((i) => [i.name, i.name])]);
  }
  return { el, update, close: () => running?.abort() };
}

function row(e) {
  const body = e.error || e.rendered || JSON.stringify(e.event);
  const full = h('pre', { hidden: true });
  const at = moment(e.received);
  const opener = h('button', {
    type: 'button', class: 'taprow', 'aria-expanded': 'false',
    on: {
      click: () => {
        full.hidden = !full.hidden;
        opener.setAttribute('aria-expanded', String(!full.hidden));
        if (!full.firstChild) full.append(...parts(e));
      },
    },
  }, h('span', { class: 'dim' }, at ? clockSeconds(at) : '–'), h('span', { class: `sev ${/^[a-z]+$/.test(e.severity) ? e.severity : 'unset'}` }, e.severity || 'unset'), h('span', { class: 'type' }, e.event_type),
  h('span', { class: 'dim source' }, e.source || e.input), h('span', { class: e.error ? 'body fault' : 'body' }, body.slice(0, 600)));
  return h('li', {}, opener, full);
}

const parts = (e) => [h('span', {}, e.error ? `cannot be sent: ${e.error}\n\n` : e.rendered ? `${e.rendered}\n\n` : ''), h('span', {}, pretty(e.event))];
