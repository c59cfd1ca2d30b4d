// What flows, as a drawing: inputs, the log, connections, rates on the edges.
// On a narrow screen the same from top to bottom.

import { s, h, attr, put, keyed, visible } from './dom.js';
import { bytes, rate, short, span } from './format.js';
import { icon, worse } from './health.js';
import { state, inputRate, outputRate, rateOf } from './store.js';

const most = 12; // components on a side; the ill ones come first
const box = 46;
const gap = 12;

export function graph() {
  const edges = s('g', {});
  const labels = s('g', {});
  const nodes = s('g', {});
  const svg = s('svg', { class: 'graph', role: 'img' }, edges, nodes, labels);
  const el = h('section', { class: 'card flow' }, h('div', { class: 'cardhead' }, h('h2', {}, 'Flow'), h('span', { class: 'dim' }, 'events per second, over the last ten seconds')), h('div', { class: 'graphbox' }, svg));
  let wide = 0;
  new ResizeObserver(([entry]) => {
    wide = Math.round(entry.contentRect.width);
    update();
  }).observe(svg.parentNode);

  function update() {
    if (!state.status || !wide) return;
    const ins = few(state.status.inputs.map(inputNode), 'inputs');
    const outs = few(state.status.outputs.map(outputNode), 'connections');
    const log = logNode();
    const plan = wide < 640 ? column(ins, log, outs, wide) : rows(ins, log, outs, wide);
    attr(svg, 'viewBox', `0 0 ${wide} ${plan.high}`);
    attr(svg, 'height', plan.high);
    attr(svg, 'aria-label', summary(ins, outs));
    keyed(nodes, plan.nodes, (n) => n.id, makeNode);
    keyed(edges, plan.edges, (e) => e.id, makeEdge);
    keyed(labels, plan.edges.filter((e) => e.label), (e) => e.id, makeLabel);
  }
  return { el, update };
}

function few(list, what) {
  if (list.length <= most) return list;
  const kept = [...list].sort(worse).slice(0, most - 1).sort((a, b) => (a.id < b.id ? -1 : 1));
  kept.push({ id: `more ${what}`, title: `${list.length - kept.length} more`, note: `${what}, in the list below`, health: '', rate: null });
  return kept;
}

function inputNode(i) {
  const ill = i.last_error && !i.ended;
  return {
    id: `in ${i.name}`, title: i.name, note: `${i.type}${i.ended ? ' · ended' : ''}${i.refused ? ` · ${short(i.refused)} refused` : ''}`,
    health: i.ended ? 'unknown' : ill ? 'degraded' : 'healthy', rate: inputRate(i.name),
  };
}

function outputNode(o) {
  const waits = o.pending ? `${short(o.pending)} waiting · ${span(o.lag_seconds)}` : 'nothing waits';
  return { id: `out ${o.name}`, title: o.name, note: `${o.health} · ${waits}`, health: o.health, rate: outputRate(o.name) };
}

function logNode() {
  const { log, ready } = state.status;
  return {
    id: 'log', title: 'log', note: `${bytes(log.bytes)} of ${bytes(log.max_bytes)}`, health: ready === 'ok' ? 'healthy' : 'failed',
    full: Math.min(1, log.bytes / log.max_bytes), rate: rateOf((st) => st.accepted),
  };
}

function rows(ins, log, outs, wide) {
  const left = Math.min(210, wide * 0.24);
  const right = Math.min(280, wide * 0.32);
  const middle = Math.min(190, wide * 0.2);
  const n = Math.max(ins.length, outs.length, 1);
  const high = n * (box + gap) - gap + 4;
  const place = (list, x, w) => list.map((node, i) => ({ ...node, x, w, y: 2 + (high - 4 - (list.length * (box + gap) - gap)) / 2 + i * (box + gap) }));
  const a = place(ins, 1, left);
  const [b] = place([log], left + (wide - left - right - middle) / 2, middle);
  const c = place(outs, wide - right - 1, right);
  const edge = (from, to, node, count, i, labelAt) => {
    const x1 = from.x + from.w;
    const x2 = to.x;
    const port = (one, many) => one.y + box / 2 + (many > 1 ? ((i - (many - 1) / 2) * Math.min(8, 30 / many)) : 0);
    const y1 = from === b ? port(b, count) : from.y + box / 2;
    const y2 = to === b ? port(b, count) : to.y + box / 2;
    const bend = (x2 - x1) * 0.6;
    // The label stands on the side of the line from which the curve does not come.
    const start = labelAt === 'start';
    const y = start ? y1 + (y2 < y1 - 2 ? 15 : -6) : y2 + (y1 < y2 - 2 ? 15 : -6);
    return {
      id: node.id, d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, rate: node.rate, health: node.health,
      label: node.rate === null ? '' : rate(node.rate), x: start ? x1 + 10 : x2 - 10, y, anchor: start ? 'start' : 'end',
    };
  };
  return { high, nodes: [...a, b, ...c], edges: [...a.map((node, i) => edge(node, b, node, a.length, i, 'start')), ...c.map((node, i) => edge(b, node, node, c.length, i, 'end'))] };
}

function column(ins, log, outs, wide) {
  const rail = 12;
  const x = 64;
  const nodes = [];
  const edges = [];
  let y = 2;
  const add = (node, wideAs) => {
    nodes.push({ ...node, x: wideAs ?? x, w: wide - (wideAs ?? x) - 1, y });
    y += box + gap;
  };
  const label = (node, at) => ({ rate: node.rate, health: node.health, label: node.rate === null ? '' : rate(node.rate), x: x - 6, y: at - 5, anchor: 'end' });
  for (const node of ins) add(node);
  const logAt = y;
  for (const node of nodes) {
    const at = node.y + box / 2;
    edges.push({ id: node.id, d: `M${x} ${at}H${rail + 8}Q${rail} ${at} ${rail} ${at + 8}V${logAt}`, ...label(node, at) });
  }
  add(log, 1);
  for (const node of outs) {
    add(node);
    const at = y - gap - box / 2;
    edges.push({ id: node.id, d: `M${rail} ${logAt + box}V${at - 8}Q${rail} ${at} ${rail + 8} ${at}H${x}`, ...label(node, at) });
  }
  return { high: y - gap + 2, nodes, edges };
}

function makeNode() {
  const frame = s('rect', { height: box, rx: 7, class: 'frame' });
  const fill = s('rect', { height: 3, rx: 1.5, class: 'fill' });
  const shape = icon('unknown');
  const title = s('text', { class: 'title' });
  const note = s('text', { class: 'note' });
  const hover = s('title', {});
  const el = s('g', {}, hover, frame, fill, shape.el, title, note);
  const update = (n) => {
    attr(el, 'class', `node ${n.id === 'log' ? 'log' : ''} ${n.health}`);
    attr(el, 'transform', `translate(${n.x} ${n.y})`);
    attr(frame, 'width', n.w);
    attr(shape.el, 'x', 11);
    attr(shape.el, 'y', 9);
    shape.el.style.display = n.health ? '' : 'none';
    shape.set(n.health);
    attr(title, 'x', n.health ? 31 : 12);
    attr(title, 'y', 20);
    attr(note, 'x', n.health ? 31 : 12);
    attr(note, 'y', 36);
    put(title, cut(n.title, (n.w - 40) / 7.4));
    put(note, cut(n.note, (n.w - 40) / 6));
    put(hover, `${n.title}: ${n.note}`);
    attr(fill, 'x', 1);
    attr(fill, 'y', box - 4);
    attr(fill, 'width', n.full === undefined ? 0 : Math.max(0, n.full * (n.w - 2)));
  };
  return { el, update };
}

function makeEdge() {
  const under = s('path', { class: 'under' });
  const flow = s('path', { class: 'moving' });
  const el = s('g', {}, under, flow);
  const update = (e) => {
    const strong = e.rate > 0 ? Math.min(5, 1.5 + Math.log10(1 + e.rate) * 0.8) : 1.25;
    attr(el, 'class', `edge ${e.health} ${e.rate > 0 ? 'on' : ''}`);
    attr(under, 'd', e.d);
    attr(flow, 'd', e.d);
    attr(under, 'stroke-width', strong.toFixed(1));
    attr(flow, 'stroke-width', strong.toFixed(1));
  };
  return { el, update };
}

function makeLabel() {
  const el = s('text', { class: 'rate' });
  const update = (e) => {
    attr(el, 'x', e.x);
    attr(el, 'y', e.y);
    attr(el, 'text-anchor', e.anchor);
    put(el, e.label);
  };
  return { el, update };
}

function cut(text, room) {
  const shown = visible(text);
  return shown.length <= room ? shown : `${shown.slice(0, Math.max(1, Math.floor(room) - 1))}…`;
}

function summary(ins, outs) {
  const say = (n) => `${visible(n.title)} ${n.rate === null ? '' : rate(n.rate)}, ${n.note}`;
  return `Inputs: ${ins.map(say).join('; ') || 'none'}. Connections: ${outs.map(say).join('; ') || 'none'}.`;
}
