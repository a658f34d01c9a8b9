// The keys of the vehicle page, as a list.
import { For, type Component } from 'solid-js';
import { Dialog } from '../ui/parts';
import { KEYS } from './keys';

export const KeysDialog: Component<{ close: () => void }> = (props) => (
  <Dialog title="Keys" close={props.close} class="broad">
    <dl class="keys">
      <For each={KEYS}>{([key, does]) => <div><dt><kbd>{key}</kbd></dt><dd>{does}</dd></div>}</For>
    </dl>
    <p class="muted">On the timeline: turn the wheel to zoom, drag to move, click to go there. On a phone: drag, pinch, tap.</p>
  </Dialog>
);
