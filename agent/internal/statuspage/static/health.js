// Health as a shape, a word and a colour: who cannot see one has the others.

import { s, h, attr, put } from './dom.js';

const shapes = {
  healthy: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M5 8.2l2.1 2.1L11 6',
  degraded: 'M8 1.8L15 14H1L8 1.8M8 6.2v3.6M8 11.8v.2',
  failed: 'M5.2 1.5h5.6l3.7 3.7v5.6l-3.7 3.7H5.2l-3.7-3.7V5.2l3.7-3.7M5.6 5.6l4.8 4.8M10.4 5.6l-4.8 4.8',
  unknown: 'M8 1.5a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13M5 8h6',
};

const known = (health) => (health in shapes ? health : 'unknown');

// icon is the shape; set changes it.
export function icon(health, size = 14) {
  const path = s('path', {});
  const el = s('svg', { viewBox: '0 0 16 16', width: size, height: size, 'aria-hidden': 'true' }, path);
  const set = (to) => {
    attr(el, 'class', `icon ${known(to)}`);
    attr(path, 'd', shapes[known(to)]);
  };
  set(health);
  return { el, set };
}

// badge is shape and word.
export function badge(health) {
  const shape = icon(health);
  const word = h('span', {});
  const el = h('span', {}, shape.el, word);
  const set = (to) => {
    attr(el, 'class', `badge ${known(to)}`);
    shape.set(to);
    put(word, to);
  };
  set(health);
  return { el, set };
}

const order = ['failed', 'degraded', 'unknown', 'healthy'];

export const worse = (a, b) => order.indexOf(known(a.health)) - order.indexOf(known(b.health));
