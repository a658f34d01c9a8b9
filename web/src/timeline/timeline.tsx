// The timeline on the screen: draws itself when something changes, turns pointers and wheels into views and seconds.
import { createEffect, createMemo, createSignal, For, onCleanup, onMount, Show, type Component } from 'solid-js';
import type { CameraTimeline, Span, VehicleEvent } from '../api/types';
import { clock, duration, moment } from '../format';
import { AXIS, coloursOf, draw, EVENTS, heightFor, ROW, rowAt, rowTop, type Colours } from './draw';
import { causeText, spanAt, STATE_NAMES, totals } from './spans';
import { atX, panned, width, xOf, zoomed, type Viewport } from './viewport';

export interface Selection {
  from: number;
  to: number;
}

interface Props {
  rows: readonly CameraTimeline[];
  events: readonly VehicleEvent[];
  view: Viewport;
  setView: (view: Viewport) => void;
  wall: number;
  lead: string;
  now: number;
  selection: Selection | undefined;
  setSelection: (selection: Selection) => void;
  seek: (wall: number, camera: string | undefined) => void;
  /** Offers what can be done with a span, such as fetching it. */
  pick: (camera: string, span: Span, x: number) => void;
  open: (event: VehicleEvent) => void;
}

interface Hover {
  x: number;
  y: number;
  at: number;
  camera?: string;
  span?: Span | undefined;
  event?: VehicleEvent | undefined;
}

export const Timeline: Component<Props> = (props) => {
  let canvas!: HTMLCanvasElement;
  let box!: HTMLDivElement;
  let colours: Colours | undefined;
  const [pixels, setPixels] = createSignal(800);
  const [hover, setHover] = createSignal<Hover>();
  const [repaint, setRepaint] = createSignal(0);
  const pointers = new Map<number, number>();
  let travelled = 0;

  const eventAt = (x: number) => {
    const at = atX(props.view, x, pixels());
    const slack = (width(props.view) / pixels()) * 4;
    return props.events.find((event) => event.from - slack <= at && event.to + slack >= at);
  };

  const hovered = (event: PointerEvent): Hover => {
    const bounds = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top];
    const at = atX(props.view, x, pixels());
    if (y >= AXIS && y < AXIS + EVENTS) return { x, y, at, event: eventAt(x) };
    const row = props.rows[rowAt(y)];
    return row ? { x, y, at, camera: row.camera, span: spanAt(row.spans, at) } : { x, y, at };
  };

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event.clientX);
    if (pointers.size === 1) travelled = 0;
  };

  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    setHover(event.pointerType === 'touch' && before === undefined ? undefined : hovered(event));
    if (before === undefined) return;
    const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, x]) => x);
    pointers.set(event.pointerId, event.clientX);
    travelled += Math.abs(event.clientX - before);
    const other = others[0];
    if (other !== undefined) {
      const [was, is] = [Math.max(Math.abs(before - other), 10), Math.max(Math.abs(event.clientX - other), 10)];
      const middle = (event.clientX + other) / 2 - canvas.getBoundingClientRect().left;
      props.setView(zoomed(props.view, was / is, atX(props.view, middle, pixels()), props.now));
    } else if (travelled > 4) {
      props.setView(panned(props.view, ((before - event.clientX) / pixels()) * width(props.view), props.now));
    }
  };

  const up = (event: PointerEvent) => {
    const began = pointers.delete(event.pointerId);
    if (event.pointerType === 'touch') setHover(undefined);
    if (!began || travelled > 4 || event.type === 'pointercancel') return;
    const { at, event: mark, camera, span, x } = hovered(event);
    if (mark) props.open(mark);
    else {
      props.seek(at, camera);
      if (camera !== undefined && span) props.pick(camera, span, x);
    }
  };

  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const sideways = event.shiftKey ? event.deltaY || event.deltaX : Math.abs(event.deltaX) > Math.abs(event.deltaY) ? event.deltaX : 0;
    if (sideways !== 0) {
      props.setView(panned(props.view, (sideways / pixels()) * width(props.view), props.now));
      return;
    }
    const anchor = atX(props.view, event.clientX - canvas.getBoundingClientRect().left, pixels());
    props.setView(zoomed(props.view, 1.0016 ** (event.deltaY * (event.deltaMode === 1 ? 30 : 1)), anchor, props.now));
  };

  onMount(() => {
    const resized = new ResizeObserver(() => setPixels(canvas.clientWidth || 800));
    resized.observe(box);
    canvas.addEventListener('wheel', wheel, { passive: false });
    const themed = () => {
      colours = undefined;
      setRepaint((count) => count + 1);
    };
    const system = matchMedia('(prefers-color-scheme: dark)');
    system.addEventListener('change', themed);
    addEventListener('dashvault-theme', themed);
    onCleanup(() => {
      resized.disconnect();
      system.removeEventListener('change', themed);
      removeEventListener('dashvault-theme', themed);
    });
  });

  createEffect(() => {
    repaint();
    pixels();
    const picture = { view: props.view, rows: props.rows, events: props.events, now: props.now, lead: props.lead };
    requestAnimationFrame(() => {
      colours ??= coloursOf(box);
      draw(canvas, colours, picture);
    });
  });

  const headX = createMemo(() => xOf(props.view, props.wall, pixels()));
  const visible = (x: number) => x >= -1 && x <= pixels() + 1;

  return (
    <div class="timeline" ref={box} data-from={props.view.from} data-to={props.view.to}>
      <div class="timeline-box" style={{ height: `${heightFor(props.rows.length)}px` }}>
        <canvas ref={canvas} class="timeline-canvas" aria-hidden="true"
          onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up} onPointerLeave={() => setHover(undefined)} />
        <For each={props.rows}>
          {(row, index) => <span class="timeline-name" style={{ top: `${rowTop(index()) + (ROW - 20) / 2}px` }}>{row.camera}</span>}
        </For>
        <Show when={visible(headX())}>
          <div class="playhead" style={{ transform: `translateX(${headX()}px)` }} aria-hidden="true"><span class="num">{clock(props.wall)}</span></div>
        </Show>
        <Show when={props.selection}>
          {(selection) => <SelectionHandles selection={selection()} set={props.setSelection} view={props.view} pixels={pixels()} now={props.now} />}
        </Show>
        <Show when={hover()}>{(at) => <Tip hover={at()} pixels={pixels()} />}</Show>
      </div>
      <InWords rows={props.rows} view={props.view} now={props.now} />
    </div>
  );
};

const Tip: Component<{ hover: Hover; pixels: number }> = (props) => (
  <div class="tip" style={{ left: `${Math.min(Math.max(props.hover.x, 110), props.pixels - 110)}px`, top: `${props.hover.y + 22}px` }}>
    <strong class="num">{moment(props.hover.at)}</strong>
    <Show when={props.hover.span}>
      {(span) => (
        <>
          <span><i class={`key ${span().state}`} />{props.hover.camera}: {span().deleted ? 'Deleted' : span().partly ? 'Damaged, plays with errors' : STATE_NAMES[span().state]}</span>
          <Show when={span().state === 'lost'}><span>because {causeText(span().cause)}</span></Show>
          <small>{clock(span().from)} – {clock(span().to)}, {duration(span().to - span().from)}</small>
        </>
      )}
    </Show>
    <Show when={props.hover.event}>
      {(event) => <><span>{event().locked ? 'Locked event' : 'Event'}: {event().kind}</span><Show when={event().note}><span>{event().note}</span></Show></>}
    </Show>
  </div>
);

const LEAST_SELECTION_MS = 1000;

const SelectionHandles: Component<{ selection: Selection; set: (selection: Selection) => void; view: Viewport; pixels: number; now: number }> = (props) => {
  let box!: HTMLDivElement;
  const left = () => xOf(props.view, props.selection.from, props.pixels);
  const right = () => xOf(props.view, props.selection.to, props.pixels);
  const moved = (edge: 'from' | 'to', at: number) => {
    const { from, to } = props.selection;
    if (edge === 'from') props.set({ from: Math.round(Math.min(at, to - LEAST_SELECTION_MS)), to });
    else props.set({ from, to: Math.round(Math.min(Math.max(at, from + LEAST_SELECTION_MS), props.now)) });
  };
  const handle = (edge: 'from' | 'to', label: string) => (
    <button type="button" class={`handle ${edge}`} role="slider" aria-label={label} aria-valuenow={props.selection[edge]} aria-valuetext={moment(props.selection[edge])}
      onPointerDown={(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove={(event) => {
        if (!event.currentTarget.hasPointerCapture(event.pointerId)) return;
        const bounds = box.parentElement?.getBoundingClientRect();
        if (bounds) moved(edge, atX(props.view, event.clientX - bounds.left, props.pixels));
      }}
      onKeyDown={(event) => {
        const step = { ArrowLeft: -1000, ArrowRight: 1000 }[event.key];
        if (step === undefined) return;
        event.preventDefault();
        event.stopPropagation();
        moved(edge, props.selection[edge] + step * (event.shiftKey ? 10 : 1));
      }} />
  );
  return (
    <div class="selection" ref={box} style={{ left: `${left()}px`, width: `${Math.max(right() - left(), 2)}px` }}>
      {handle('from', 'Start of the clip')}
      {handle('to', 'End of the clip')}
    </div>
  );
};

/** What the canvas shows, for those who cannot see it. */
const InWords: Component<{ rows: readonly CameraTimeline[]; view: Viewport; now: number }> = (props) => (
  <ul class="visually-hidden">
    <For each={props.rows}>
      {(row) => {
        const sums = () => totals(row.spans, { from: props.view.from, to: Math.min(props.view.to, props.now) });
        const words = () => (Object.keys(STATE_NAMES) as (keyof typeof STATE_NAMES)[]).filter((state) => sums()[state] >= 1000).map((state) => `${STATE_NAMES[state].toLowerCase()} ${duration(sums()[state])}`);
        return <li>{row.camera}, {moment(props.view.from)} to {moment(props.view.to)}: {words().join(', ')}</li>;
      }}
    </For>
  </ul>
);

export const Legend: Component = () => (
  <ul class="legend" aria-label="Colours of the timeline">
    <For each={Object.entries(STATE_NAMES)}>{([state, name]) => <li><i class={`key ${state}`} />{name}</li>}</For>
    <li><i class="key event" />Event (darker: locked)</li>
  </ul>
);
