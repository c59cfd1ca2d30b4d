// Elements are made here and nowhere else, and text becomes text nodes only:
// whatever an event, a file name or a SIEM's answer holds, it is never markup.

const svgNS = 'http://www.w3.org/2000/svg';

// Controls, and marks that turn the direction of text around, show as what they are.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;

export function visible(text) {
  return String(text ?? '').replace(unseen, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

// h makes an HTML element. attrs: class, on (listeners by event), and attributes; true is an empty one, false and null none.
export function h(tag, attrs, ...children) {
  return fill(document.createElement(tag), attrs, children);
}

// s makes an SVG element.
export function s(tag, attrs, ...children) {
  return fill(document.createElementNS(svgNS, tag), attrs, children);
}

function fill(el, attrs, children) {
  for (const [name, value] of Object.entries(attrs ?? {})) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) el.addEventListener(event, listener);
    } else {
      attr(el, name, value);
    }
  }
  append(el, children);
  return el;
}

function append(el, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    el.append(child instanceof Node ? child : document.createTextNode(visible(child)));
  }
}

// attr sets, changes or removes an attribute, if it is not as wanted already.
export function attr(el, name, value) {
  if (value === null || value === undefined || value === false) {
    el.removeAttribute(name);
    return;
  }
  const text = value === true ? '' : String(value);
  if (el.getAttribute(name) !== text) el.setAttribute(name, text);
}

// put makes text the only content of el.
export function put(el, text) {
  const want = visible(text);
  if (el.textContent !== want) el.textContent = want;
}

// replace makes children the only content of el.
export function replace(el, ...children) {
  el.replaceChildren();
  append(el, children);
}

// keyed keeps one child of parent for each item, by key, in the items' order.
// What is there already stays, with its focus and state, and is updated.
export function keyed(parent, items, key, create) {
  const parts = (parent.parts ??= new Map());
  const seen = new Set();
  let at = parent.firstChild;
  for (const item of items) {
    const k = key(item);
    seen.add(k);
    let part = parts.get(k);
    if (!part) {
      part = create(item);
      parts.set(k, part);
    }
    part.update(item);
    if (part.el === at) at = at.nextSibling;
    else parent.insertBefore(part.el, at);
  }
  for (const [k, part] of parts) {
    if (seen.has(k)) continue;
    part.el.remove();
    parts.delete(k);
  }
}

// bodies lets keyed manage the bodies of a table behind its head.
export function bodies(table) {
  return (table.managed ??= {
    get firstChild() {
      return table.tBodies[0] ?? null;
    },
    insertBefore: (node, at) => table.insertBefore(node, at),
  });
}

// options fills a select with values, keeping what is chosen.
export function options(select, values) {
  const chosen = select.value;
  const have = [...select.options].map((o) => o.value).join('\n');
  if (have === values.map(([v]) => v).join('\n')) return;
  select.replaceChildren(...values.map(([value, label]) => h('option', { value }, label)));
  select.value = values.some(([v]) => v === chosen) ? chosen : values[0]?.[0] ?? '';
}
