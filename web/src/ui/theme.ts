// Light, dark, or as the system says; remembered in this browser.
import { createSignal } from 'solid-js';

export type Theme = 'auto' | 'light' | 'dark';
const KEY = 'dashvault.theme';
const ORDER: Theme[] = ['auto', 'light', 'dark'];

function remembered(): Theme {
  const value = kept(KEY);
  return value === 'light' || value === 'dark' ? value : 'auto';
}

/** What this browser keeps under a key; storage may be forbidden. */
export function kept(key: string): string | undefined {
  try {
    return localStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // Then it is not remembered.
  }
}

const [theme, setTheme] = createSignal<Theme>(typeof localStorage === 'undefined' ? 'auto' : remembered());
export { theme };

export function applyTheme(): void {
  if (theme() === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme();
  dispatchEvent(new Event('dashvault-theme'));
}

export function cycleTheme(): void {
  setTheme((now) => ORDER[(ORDER.indexOf(now) + 1) % ORDER.length] ?? 'auto');
  keep(KEY, theme());
  applyTheme();
}
