// One camera on the wall: its newest still, over it the live picture while it plays.
import { createEffect, createSignal, on, onCleanup, Show, type Component } from 'solid-js';
import * as api from '../api';
import { Presence } from '../devices/health';
import { Stage, type StageState } from '../player/stage';
import { Icon } from '../ui/icons';
import type { Shown } from './wall';

const STILL_EACH_MS = 15_000;

export const Tile: Component<{ shown: Shown; playing: boolean; width: number }> = (props) => {
  const [stamp, setStamp] = createSignal(Math.floor(Date.now() / STILL_EACH_MS));
  const [still, setStill] = createSignal<'loading' | 'there' | 'none'>('loading');
  const [now, setNow] = createSignal(Date.now());
  const timer = setInterval(() => {
    setNow(Date.now());
    if (!props.playing && props.shown.live && document.visibilityState === 'visible') setStamp(Math.floor(Date.now() / STILL_EACH_MS));
  }, 5000);
  onCleanup(() => clearInterval(timer));
  const href = () => `/d/${encodeURIComponent(props.shown.device.id)}${props.shown.camera === '' ? '' : `?camera=${encodeURIComponent(props.shown.camera)}`}`;
  const source = () => api.thumbnail(props.shown.device.id, props.shown.camera, { width: props.width > 400 ? 640 : 320, stamp: stamp() });
  return (
    <a class="tile" href={href()} aria-label={`${props.shown.device.id} ${props.shown.camera}, ${props.shown.live ? 'live' : 'not live'}`}>
      <div class="tile-picture" classList={{ bare: props.shown.camera === '' }}>
        <Show when={props.shown.stored}>
          <img src={source()} alt="" loading="lazy" decoding="async" hidden={still() === 'none'} onLoad={() => setStill('there')} onError={() => setStill('none')} />
        </Show>
        <Show when={still() !== 'there' && !props.playing}><span class="tile-none"><Icon name="camera" /></span></Show>
        <Show when={props.playing && props.shown.camera !== ''}><Moving device={props.shown.device.id} camera={props.shown.camera} /></Show>
        <Show when={props.shown.live}><span class="tile-live"><i class="dot" />Live</span></Show>
      </div>
      <div class="tile-caption">
        <span class="tile-name"><strong>{props.shown.device.id}</strong><span class="muted">{props.shown.camera || 'no footage yet'}</span></span>
        <Show when={!props.shown.live}><Presence device={props.shown.device} now={now()} /></Show>
      </div>
    </a>
  );
};

const Moving: Component<{ device: string; camera: string }> = (props) => {
  let video!: HTMLVideoElement;
  const [state, setState] = createSignal<StageState>('loading');
  const [shownOnce, setShownOnce] = createSignal(false);
  createEffect(on(() => [props.device, props.camera] as const, ([device, camera]) => {
    const stage = new Stage(video, device, camera, 'calm', { state: (now) => { setState(now); if (now === 'playing') setShownOnce(true); } });
    void stage.live();
    onCleanup(() => stage.destroy());
  }));
  return <video ref={video} muted playsinline disablepictureinpicture tabindex="-1" aria-hidden="true" data-state={state()} hidden={!shownOnce()} />;
};
