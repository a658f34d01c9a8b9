// One camera on the vehicle page: its picture, and what it waits for.
import { onCleanup, onMount, Show, type Component } from 'solid-js';
import { Spinner } from '../ui/parts';
import type { Pace } from '../player/hls';
import type { Transport } from './transport';

const WORDS: Record<string, string> = {
  waiting: 'Waiting for the picture. It goes on by itself.',
  empty: 'No footage here.',
  unplayable: 'This browser cannot play the video. Use a current Chrome, Edge, Firefox or Safari; clips can be downloaded here all the same.',
};

export const StageView: Component<{ camera: string; transport: Transport; muted: boolean; lead: boolean; only: boolean; live: boolean; pace: Pace; choose: () => void }> = (props) => {
  let video!: HTMLVideoElement;
  const camera = props.camera;
  onMount(() => props.transport.add(camera, video, props.pace));
  onCleanup(() => props.transport.remove(camera));
  const state = () => props.transport.states()[camera] ?? 'loading';
  const away = () => !props.live && props.transport.mode() === 'live' && state() !== 'playing';
  return (
    <div class="stage" classList={{ lead: props.lead && !props.only }} data-state={state()} data-camera={camera}>
      <video ref={video} muted={props.muted} playsinline disablepictureinpicture aria-label={`Camera ${camera}`}
        onClick={() => (props.lead ? (props.transport.playing() ? props.transport.pause() : props.transport.play()) : props.choose())} />
      <Show when={!props.only}>
        <button type="button" class="stage-name" aria-pressed={props.lead} onClick={() => props.choose()}>{camera}</button>
      </Show>
      <Show when={away()}>
        <div class="stage-over away-over">
          <span>This camera is not live. Its picture comes by itself when it is.</span>
          <Show when={props.lead}><button type="button" class="button" onClick={() => void props.transport.showLast()}>Show its last footage</button></Show>
        </div>
      </Show>
      <Show when={!away() && (state() === 'loading' || state() === 'waiting')}><div class="stage-over"><Spinner /><Show when={state() === 'waiting'}><span>{WORDS['waiting']}</span></Show></div></Show>
      <Show when={state() === 'empty' || state() === 'unplayable'}><div class="stage-over"><span>{WORDS[state()]}</span></div></Show>
    </div>
  );
};
