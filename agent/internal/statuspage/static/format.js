// Figures for people: short, with units, the same everywhere.

const group = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });

export const whole = (n) => (n === null || n === undefined ? '–' : group.format(n).replaceAll(',', '\u202f'));

// short is a number in at most four characters and a letter: 1.2k, 34M.
export function short(n) {
  if (n === null || n === undefined || Number.isNaN(n)) return '–';
  for (const [size, letter] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(n) >= size * 0.9995) return digits(n / size) + letter;
  }
  return n !== 0 && Math.abs(n) < 10 && n % 1 !== 0 ? digits(n) : String(Math.round(n));
}

function digits(n) {
  return n >= 99.95 ? n.toFixed(0) : n.toFixed(1).replace(/\.0$/, '');
}

export const rate = (n) => (n === null || n === undefined ? '–' : `${n > 0 && n < 0.1 ? '<0.1' : short(n)}/s`);

export function bytes(n) {
  if (n === null || n === undefined) return '–';
  for (const [size, unit] of [[2 ** 40, 'TiB'], [2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (n >= size) return `${digits(n / size)} ${unit}`;
  }
  return `${n} B`;
}

// span is a duration in its two largest units at most.
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return '–';
  if (seconds <= 0) return '0 s';
  if (seconds < 1) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 10) return `${digits(seconds)} s`;
  const t = Math.round(seconds);
  for (const [size, unit, less, lesser] of [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']]) {
    if (t < size) continue;
    const rest = Math.floor((t % size) / less);
    return rest ? `${Math.floor(t / size)} ${unit} ${rest} ${lesser}` : `${Math.floor(t / size)} ${unit}`;
  }
  return `${t} s`;
}

const zero = '0001-01-01';

// moment is a time as a Date; null for none.
export function moment(text) {
  if (!text || text.startsWith(zero)) return null;
  const d = new Date(text);
  return Number.isNaN(d.getTime()) ? null : d;
}

export function ago(text, now = Date.now()) {
  const d = moment(text);
  if (!d) return 'never';
  const seconds = (now - d.getTime()) / 1000;
  return seconds < 1.5 ? 'just now' : `${span(Math.round(seconds))} ago`;
}

// until is the time to a moment ahead; empty if it is past.
export function until(text, now = Date.now()) {
  const d = moment(text);
  return !d || d.getTime() <= now ? '' : span(Math.ceil((d.getTime() - now) / 1000));
}

const two = (n) => String(n).padStart(2, '0');

export const clock = (d) => `${two(d.getHours())}:${two(d.getMinutes())}`;
export const clockSeconds = (d) => `${clock(d)}:${two(d.getSeconds())}`;

// stamp is a time of today as a clock, else with its date.
export function stamp(text, now = new Date()) {
  const d = moment(text);
  if (!d) return '–';
  const today = d.toDateString() === now.toDateString();
  return today ? clockSeconds(d) : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(d)}`;
}

// pretty is JSON over several lines; what is no object stays as it is.
export function pretty(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
