// The form that asks for a token.

import { Problem, setToken, explain } from './api.js';
import { h, put } from './dom.js';

export function login(why, enter) {
  const field = h('input', { id: 'token', type: 'password', autocomplete: 'off', spellcheck: 'false', required: true, 'aria-describedby': 'login-why' });
  const button = h('button', { type: 'submit', class: 'primary' }, 'Log in');
  const reason = h('p', { class: 'error', id: 'login-why', role: 'alert' }, why);
  const el = h('form', { class: 'card login', on: { submit } },
    h('h1', {}, 'siemd'),
    h('label', { for: 'token' }, 'API token'), field, reason, button,
    h('p', { class: 'dim' }, 'The agent’s own token is in ', h('code', {}, 'api.token'), ' of its data_dir; further ones are in ', h('code', {}, 'api.tokens'),
      ' of the config. A token with scope ', h('b', {}, 'read'), ' sees everything here, one with ', h('b', {}, 'write'), ' can also retry and reload. It is kept for this tab only.'));

  async function submit(e) {
    e.preventDefault();
    const token = field.value.trim();
    if (!/^[\x21-\x7e]+$/.test(token)) {
      put(reason, 'a token is one word of plain letters, digits and signs');
      return;
    }
    button.disabled = true;
    put(reason, '');
    try {
      await enter(token);
      field.value = '';
    } catch (err) {
      setToken('');
      put(reason, err instanceof Problem && err.status === 401 ? 'this token is not known' : explain(err));
      field.select();
    } finally {
      button.disabled = false;
    }
  }

  return { el, focus: () => field.focus() };
}
