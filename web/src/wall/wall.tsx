// All cameras at a glance: a still first, moving where it is in view. However many there are, few tiles are in the page
// and fewer play.
import { createEffect, createMemo, createSignal, For, on, onCleanup, onMount, Show, type Component } from 'solid-js';
import * as api from '../api';
import type { Device } from '../api/types';
import { createPoll } from '../poll';
import { may } from '../session';
import { Icon } from '../ui/icons';
import { Empty, PageHead, ProblemNote, Spinner } from '../ui/parts';
import { keep, kept } from '../ui/theme';
import { count } from '../format';
import { grid, GUTTER, players, visible } from './grid';
import { Tile } from './tile';

export interface Shown {
  key: string;
  device: Device;
  camera: string;
  live: boolean;
  /** Whether there is footage of it, and so a still. */
  stored: boolean;
}

const SIZES: [string, number][] = [['Small', 220], ['Medium', 320], ['Large', 480]];
const MOST_PLAYERS = 9;

export const Wall: Component = () => {
  const list = createPoll((signal) => api.devices(signal), 5000);
  const [search, setSearch] = createSignal('');
  const [onlyLive, setOnlyLive] = createSignal(false);
  const [size, setSize] = createSignal(Number(kept('dashvault.tile')) || 320);
  const all = createMemo(() => tilesOf(list.data() ?? []));
  const found = createMemo(() => {
    const words = search().toLowerCase().split(/\s+/).filter(Boolean);
    return all().filter((tile) => (!onlyLive() || tile.live) && words.every((word) => `${tile.device.id} ${tile.camera}`.toLowerCase().includes(word)));
  });
  const liveCount = () => all().filter((tile) => tile.live).length;

  return (
    <main class="page" tabindex="-1">
      <PageHead title="Live" lead={list.data() && `${count(new Set(all().map((tile) => tile.device.id)).size, 'vehicle')}, ${count(liveCount(), 'camera')} live`}>
        <Show when={all().length > 0}>
          <label class="search"><Icon name="search" /><span class="visually-hidden">Find a vehicle</span>
            <input type="search" placeholder="Find a vehicle" value={search()} onInput={(event) => setSearch(event.currentTarget.value)} /></label>
          <button type="button" class="button" classList={{ primary: onlyLive() }} aria-pressed={onlyLive()} onClick={() => setOnlyLive((on) => !on)}>Live only</button>
          <select class="input slim" aria-label="Size of the pictures" value={String(size())} onChange={(event) => { setSize(Number(event.currentTarget.value)); keep('dashvault.tile', event.currentTarget.value); }}>
            <For each={SIZES}>{([name, wide]) => <option value={String(wide)}>{name}</option>}</For>
          </select>
        </Show>
      </PageHead>
      <Show when={list.data()} fallback={<Show when={list.problem()} fallback={<div class="splash"><Spinner /></div>}>{(problem) => <ProblemNote problem={problem()} />}</Show>}>
        <Show when={all().length > 0} fallback={<NoVehicles />}>
          <Show when={found().length > 0} fallback={<Empty icon="search" title="No camera is like that"><p>Look for something else, or show all.</p><button type="button" class="button" onClick={() => { setSearch(''); setOnlyLive(false); }}>Show all</button></Empty>}>
            <Tiles tiles={found()} size={size()} />
          </Show>
        </Show>
      </Show>
    </main>
  );
};

function tilesOf(devices: Device[]): Shown[] {
  const tiles = devices.filter((device) => !device.revoked || device.cameras.length > 0).flatMap((device) =>
    (device.cameras.length === 0 ? [{ name: '', live: false, newest: undefined }] : device.cameras).map((camera): Shown => ({ key: `${device.id}/${camera.name}`, device, camera: camera.name, live: camera.live, stored: camera.newest !== undefined })));
  const rank = (tile: Shown) => (tile.live ? 0 : tile.device.online ? 1 : tile.device.revoked ? 3 : 2);
  return tiles.sort((a, b) => rank(a) - rank(b) || (a.key < b.key ? -1 : 1));
}

const NoVehicles: Component = () => (
  <Empty icon="truck" title="No vehicles yet">
    <Show when={may('admin')} fallback={<p>An administrator of this vault can add one.</p>}>
      <p>Add the first one: you get one command that starts its recorder, and its cameras appear here as soon as it runs.</p>
      <a class="button primary" href="/devices?add"><Icon name="plus" />Add a vehicle</a>
    </Show>
  </Empty>
);

const Tiles: Component<{ tiles: Shown[]; size: number }> = (props) => {
  let box!: HTMLDivElement;
  const [width, setWidth] = createSignal(0);
  const [scroll, setScroll] = createSignal({ top: 0, height: 900 });
  const look = () => setScroll({ top: Math.max(0, -box.getBoundingClientRect().top), height: innerHeight });
  onMount(() => {
    const resized = new ResizeObserver(() => { setWidth(box.clientWidth); look(); });
    resized.observe(box);
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    onCleanup(() => {
      resized.disconnect();
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    });
  });
  const layout = createMemo(() => grid(props.tiles.length, width(), Math.min(props.size, Math.max(width(), 1))));
  const range = createMemo(() => visible(layout(), props.tiles.length, scroll().top, scroll().height), undefined, { equals: (a, b) => a.first === b.first && a.end === b.end });
  // Keyed by name, so that a new list of devices does not make the tiles anew.
  const byKey = createMemo(() => new Map(props.tiles.map((tile, index) => [tile.key, { tile, index }])));
  const keys = createMemo(() => (width() === 0 ? [] : props.tiles.slice(range().first, range().end).map((tile) => tile.key)));
  const [playing, setPlaying] = createSignal(new Set<string>());
  createEffect(on([keys, byKey], () => {
    // After a moment: who scrolls by starts no players.
    const timer = setTimeout(() => setPlaying(players(keys().map((key) => ({ key, live: byKey().get(key)?.tile.live === true })), MOST_PLAYERS)), 350);
    onCleanup(() => clearTimeout(timer));
  }));
  return (
    <div class="wall" ref={box} style={{ height: `${layout().height}px` }}>
      <For each={keys()}>
        {(key) => {
          const at = () => byKey().get(key);
          const column = () => (at()?.index ?? 0) % layout().columns;
          const row = () => Math.floor((at()?.index ?? 0) / layout().columns);
          return (
            <Show when={at()}>
              <div class="wall-slot" style={{ width: `${layout().tileWidth}px`, height: `${layout().rowHeight - GUTTER}px`, transform: `translate(${column() * (layout().tileWidth + GUTTER)}px, ${row() * layout().rowHeight}px)` }}>
                <Tile shown={at()?.tile as Shown} playing={playing().has(key)} width={layout().tileWidth} />
              </div>
            </Show>
          );
        }}
      </For>
    </div>
  );
};
