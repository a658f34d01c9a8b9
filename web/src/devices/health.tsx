// How a vehicle is doing, in a few badges: there or not, its backlog, its link, its disk.
import { Show, type Component } from 'solid-js';
import type { Device } from '../api/types';
import { ago, bytes, duration } from '../format';

const LITTLE_ROOM = 2e9;

export const Presence: Component<{ device: Device; now: number }> = (props) => (
  <Show when={!props.device.revoked} fallback={<span class="badge bad">revoked</span>}>
    <Show when={props.device.online} fallback={<span class="badge">{props.device.last_seen === undefined ? 'never seen' : `seen ${ago(props.device.last_seen, props.now)}`}</span>}>
      <span class="badge good"><i class="dot" />online</span>
    </Show>
  </Show>
);

/** A link in one word, by its loss and round trip. */
export function linkQuality(link: { rtt_ms?: number; loss_permille?: number }): { word: string; kind: 'good' | 'warn' | 'bad' } {
  const [rtt, loss] = [link.rtt_ms ?? 0, link.loss_permille ?? 0];
  if (loss > 100 || rtt > 800) return { word: 'bad link', kind: 'bad' };
  if (loss > 20 || rtt > 250) return { word: 'weak link', kind: 'warn' };
  return { word: 'good link', kind: 'good' };
}

export const Health: Component<{ device: Device; now: number }> = (props) => {
  const status = () => props.device.status;
  return (
    <span class="row health">
      <Presence device={props.device} now={props.now} />
      <Show when={(status()?.backlog_ms ?? 0) > 5000}>
        <span class="badge warn" title={`${bytes(status()?.backlog_bytes ?? 0)} are still on the vehicle`}>{duration(status()?.backlog_ms ?? 0)} to send</span>
      </Show>
      <Show when={props.device.online && status()?.link}>
        {(link) => <span class={`badge ${linkQuality(link()).kind}`} title={`${link().rtt_ms ?? '?'} ms round trip, ${((link().loss_permille ?? 0) / 10).toFixed(1)} % sent again`}>{linkQuality(link()).word}</span>}
      </Show>
      <Show when={(status()?.spool_free_bytes ?? Infinity) < LITTLE_ROOM}>
        <span class="badge bad">{bytes(status()?.spool_free_bytes ?? 0)} free on its disk</span>
      </Show>
    </span>
  );
};
