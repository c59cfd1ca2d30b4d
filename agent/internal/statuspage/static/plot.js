// A plot of the last hour: one line for each connection, axes with units, and a
// reading of the values under the pointer or, with the arrow keys, of any point.

import { s, h, attr, replace } from './dom.js';
import { clock, clockSeconds } from './format.js';

const hour = 3600;
const high = 190;
const pad = { left: 52, right: 12, top: 10, bottom: 24 };
const most = 8; // lines; those with the largest values

// plot makes one. unit formats a value; steps are the sizes between two lines of the grid to choose from.
export function plot({ title, note, unit, floor, steps }) {
  const grid = s('g', { class: 'grid' });
  const lines = s('g', { class: 'lines' });
  const cross = s('g', { class: 'cross', visibility: 'hidden' });
  const svg = s('svg', { class: 'plot', height: high, role: 'img', tabindex: 0 }, grid, lines, cross);
  const legend = h('ul', { class: 'legend' });
  const reading = h('div', { class: 'reading', hidden: true });
  const el = h('section', { class: 'card plotcard' }, h('div', { class: 'cardhead' }, h('h2', {}, title), h('span', { class: 'dim' }, note)), legend, h('div', { class: 'plotbox' }, svg, reading));

  let data = null; // {times, series: [{name, values, slot}], now}
  let at = -1; // the point that is read
  let wide = 600;

  new ResizeObserver(([entry]) => {
    const w = Math.round(entry.contentRect.width);
    if (w && w !== wide) {
      wide = w;
      draw();
    }
  }).observe(svg.parentNode);

  const x = (t) => pad.left + (1 - (data.now - t) / hour) * (wide - pad.left - pad.right);
  let y = () => 0;

  function update(times, all, slots, now) {
    const top = (list) => list.reduce((m, v) => Math.max(m, v ?? 0), 0);
    const ranked = Object.keys(all).map((name) => ({ name, values: all[name], top: top(all[name]) })).sort((a, b) => b.top - a.top || (a.name < b.name ? -1 : 1));
    const series = ranked.slice(0, most).map((one) => ({ ...one, slot: slots.get(one.name) }));
    series.sort((a, b) => a.slot - b.slot);
    if (slots.size > most) series.forEach((one, i) => (one.slot = i)); // no two that look the same
    data = { times, series, now, left: ranked.length - series.length, max: ranked[0]?.top ?? 0 };
    draw();
  }

  function draw() {
    if (!data) return;
    attr(svg, 'viewBox', `0 0 ${wide} ${high}`);
    const max = Math.max(data.max * 1.08, floor);
    const step = steps.find((size) => max / size <= 4) ?? niceStep(max / 4);
    const ceiling = Math.ceil(max / step) * step;
    const bottom = high - pad.bottom;
    y = (v) => bottom - (v / ceiling) * (bottom - pad.top);
    const rows = [];
    for (let v = 0; v <= ceiling * 1.0001; v += step) {
      rows.push(s('path', { d: `M${pad.left} ${y(v)}H${wide - pad.right}`, class: v === 0 ? 'zero' : null }), s('text', { x: pad.left - 8, y: y(v) + 3.5, 'text-anchor': 'end' }, unit(v)));
    }
    const every = wide < 420 ? 1200 : 600;
    const offset = new Date(data.now * 1000).getTimezoneOffset() * 60;
    for (let t = Math.ceil((data.now - hour - offset) / every) * every + offset; t <= data.now; t += every) {
      rows.push(s('path', { d: `M${x(t)} ${bottom}v4`, class: 'zero' }), s('text', { x: Math.min(x(t), wide - 16), y: high - 6, 'text-anchor': 'middle' }, clock(new Date(t * 1000))));
    }
    replace(grid, rows);
    replace(lines, data.series.map((one) => {
      const d = path(one.values);
      return [s('path', { class: `area c${one.slot % most}`, d: area(d, bottom) }), s('path', { class: `line c${one.slot % most}`, d })];
    }));
    const left = data.left ? [h('li', { class: 'dim' }, `and ${data.left} more below these`)] : [];
    const names = data.series.map((one) => `${one.slot} ${one.name}`).join('\n') + data.left;
    if (legend.dataset.names !== names) {
      legend.dataset.names = names;
      replace(legend, data.series.map((one) => h('li', { title: one.name }, swatch(one.slot), h('span', {}, one.name))), left);
    }
    attr(svg, 'aria-label', `${title}, the last hour. Now: ${data.series.map((one) => `${one.name} ${unit(one.values.at(-1) ?? 0)}`).join(', ') || 'nothing'}. Arrow keys read the values.`);
    read();
  }

  // path is a line with gaps where there are no values.
  function path(values) {
    let d = '';
    let pen = false;
    const from = data.now - hour;
    for (let i = 0; i < data.times.length; i++) {
      const v = values[i];
      if (v === null || v === undefined || data.times[i] < from) {
        pen = false;
        continue;
      }
      if (pen && data.times[i] - data.times[i - 1] > 60) pen = false;
      d += `${pen ? 'L' : 'M'}${x(data.times[i]).toFixed(1)} ${y(v).toFixed(1)}`;
      pen = true;
    }
    return d;
  }

  // area is what is below a line, piece by piece.
  function area(d, bottom) {
    return d.split('M').slice(1).map((piece) => {
      const points = piece.split('L');
      return `M${points[0].split(' ')[0]} ${bottom}L${points.join('L')}L${points.at(-1).split(' ')[0]} ${bottom}Z`;
    }).join('');
  }

  function read() {
    if (at < 0 || at >= data.times.length) {
      attr(cross, 'visibility', 'hidden');
      reading.hidden = true;
      return;
    }
    const here = x(data.times[at]);
    attr(cross, 'visibility', 'visible');
    replace(cross, s('path', { d: `M${here} ${pad.top}V${high - pad.bottom}` }),
      data.series.filter((one) => typeof one.values[at] === 'number').map((one) => s('circle', { class: `c${one.slot % most}`, cx: here, cy: y(one.values[at]), r: 3 })));
    replace(reading, h('b', {}, clockSeconds(new Date(data.times[at] * 1000))),
      data.series.map((one) => h('div', {}, swatch(one.slot), h('span', {}, one.name), h('span', { class: 'num' }, typeof one.values[at] === 'number' ? unit(one.values[at]) : '–'))));
    reading.hidden = false;
    const width = reading.offsetWidth;
    reading.style.left = `${here + 14 + width > wide ? here - 14 - width : here + 14}px`;
  }

  function point(e) {
    if (!data?.times.length) return;
    const t = data.now - hour * (1 - (e.clientX - svg.getBoundingClientRect().left - pad.left) / (wide - pad.left - pad.right));
    at = data.times.reduce((best, v, i) => (Math.abs(v - t) < Math.abs(data.times[best] - t) ? i : best), 0);
    read();
  }

  function leave() {
    at = -1;
    if (data) read();
  }

  svg.addEventListener('pointermove', point);
  svg.addEventListener('pointerdown', point);
  svg.addEventListener('pointerleave', leave);
  svg.addEventListener('blur', leave);
  svg.addEventListener('keydown', (e) => {
    const n = data?.times.length ?? 0;
    const to = { ArrowLeft: (at < 0 ? n : at) - 1, ArrowRight: at + 1, Home: 0, End: n - 1, Escape: -1 }[e.key];
    if (to === undefined || n === 0) return;
    e.preventDefault();
    at = e.key === 'Escape' ? -1 : Math.max(0, Math.min(n - 1, to));
    read();
  });
  return { el, update };
}

// swatch is the line of a series as it is drawn.
function swatch(slot) {
  return s('svg', { class: 'swatch', viewBox: '0 0 18 6', width: 18, height: 6, 'aria-hidden': 'true' }, s('path', { class: `line c${slot % most}`, d: 'M0 3H18' }));
}

function niceStep(rough) {
  const size = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * size).find((step) => step >= rough);
}
