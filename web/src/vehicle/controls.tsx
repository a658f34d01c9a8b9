// The bar below the pictures: play, jump, speed, the second that is shown, live.
import { createSignal, For, Show, type Component } from 'solid-js';
import { clock, day, fromInput, inputMoment } from '../format';
import { IconButton } from '../ui/parts';
import type { Action } from './keys';
import { SPEEDS, type Transport } from './transport';

interface Props {
  transport: Transport;
  muted: boolean;
  act: (action: Action) => void;
  seek: (at: number) => void;
  cameras: string[];
  all: boolean;
  isLive: boolean;
}

export const Controls: Component<Props> = (props) => {
  const [asking, setAsking] = createSignal(false);
  const transport = props.transport;
  const go = (event: Event) => {
    event.preventDefault();
    const field = (event.currentTarget as HTMLFormElement).elements.namedItem('when');
    const at = field instanceof HTMLInputElement ? fromInput(field.value) : undefined;
    setAsking(false);
    if (at !== undefined) props.seek(at);
  };
  return (
    <div class="controls" role="toolbar" aria-label="Player">
      <div class="controls-part">
        <IconButton icon="previous" label="Previous gap (P)" onClick={() => props.act('previous-gap')} />
        <IconButton icon={transport.playing() ? 'pause' : 'play'} label={transport.playing() ? 'Pause (space)' : 'Play (space)'} class="big" onClick={() => props.act('toggle')} />
        <IconButton icon="next" label="Next gap (N)" onClick={() => props.act('next-gap')} />
      </div>
      <Show when={!asking()} fallback={
        <form class="row" onSubmit={go}>
          <input class="input when" type="datetime-local" step="1" name="when" aria-label="Go to" value={inputMoment(transport.wall())} autofocus />
          <button type="submit" class="button small primary">Go</button>
          <IconButton icon="cross" label="Cancel" onClick={() => setAsking(false)} />
        </form>
      }>
        <button type="button" class="time num" onClick={() => setAsking(true)} title="Go to another second">
          <strong data-testid="wall" data-wall={Math.round(transport.wall())}>{clock(transport.wall())}</strong><span>{day(transport.wall())}</span>
        </button>
      </Show>
      <div class="controls-part end">
        <Show when={props.cameras.length > 1 && !props.all}>
          <select class="input slim" aria-label="Camera" value={transport.lead()} onChange={(event) => transport.setLead(event.currentTarget.value)}>
            <For each={props.cameras}>{(name) => <option value={name}>{name}</option>}</For>
          </select>
        </Show>
        <select class="input slim" aria-label="Speed" value={String(transport.speed())} disabled={transport.mode() === 'live'}
          onChange={(event) => transport.changeSpeed(Number(event.currentTarget.value))}>
          <For each={SPEEDS}>{(speed) => <option value={String(speed)}>{speed}×</option>}</For>
        </select>
        <IconButton icon={props.muted ? 'mute' : 'sound'} label={props.muted ? 'Sound on (S)' : 'Sound off (S)'} onClick={() => props.act('mute')} />
        <IconButton icon="full" label="Full screen (F)" onClick={() => props.act('full')} />
        <button type="button" class="live-button" classList={{ on: transport.mode() === 'live' }} aria-pressed={transport.mode() === 'live'} onClick={() => props.act('live')}
          title={props.isLive ? 'Go live (End)' : 'This camera is not live now; its picture comes when it is'}>
          <i class="dot" />Live<Show when={transport.mode() === 'live' && transport.states()[transport.lead()] === 'playing' && (transport.latency() ?? 0) > 0.05 && (transport.latency() ?? 99) < 60}><small class="num">−{(transport.latency() ?? 0).toFixed(1)} s</small></Show>
        </button>
      </div>
    </div>
  );
};
