// Short messages at the edge of the screen: what was done, or why it was not.
import { createSignal, For, type Component } from 'solid-js';
import { asProblem } from '../api/problem';

interface Toast {
  id: number;
  kind: 'done' | 'failed';
  title: string;
  detail: string;
}

const [toasts, setToasts] = createSignal<Toast[]>([]);
let last = 0;

function show(toast: Omit<Toast, 'id'>, forMs: number): void {
  const id = ++last;
  setToasts((all) => [...all.slice(-3), { ...toast, id }]);
  setTimeout(() => setToasts((all) => all.filter((one) => one.id !== id)), forMs);
}

export function toast(title: string, detail = ''): void {
  show({ kind: 'done', title, detail }, 4000);
}

export function toastProblem(thrown: unknown): void {
  const { title, detail } = asProblem(thrown);
  show({ kind: 'failed', title, detail }, 9000);
}

export const Toasts: Component = () => (
  <div class="toasts" role="status" aria-live="polite">
    <For each={toasts()}>
      {(one) => (
        <div class="toast" classList={{ failed: one.kind === 'failed' }}>
          <strong>{one.title}</strong>
          {one.detail !== '' && <span>{one.detail}</span>}
        </div>
      )}
    </For>
  </div>
);
