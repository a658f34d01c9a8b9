// Draws the axis, the events and one row a camera. Only a canvas and numbers: no state, no events of the browser.
import type { CameraTimeline, SpanState, VehicleEvent } from '../api/types';
import { blocks, type Block } from './spans';
import { ticks, xOf, type Viewport } from './viewport';

export const AXIS = 24;
export const EVENTS = 20;
export const ROW = 34;
export const GAP = 6;

export interface Colours {
  text: string;
  muted: string;
  line: string;
  surface: string;
  accent: string;
  event: string;
  states: Record<SpanState, string>;
}

/** How high the canvas is for so many cameras. */
export function heightFor(rows: number): number {
  return AXIS + EVENTS + Math.max(rows, 1) * (ROW + GAP);
}

/** Which row is at a height; -1 above the first. */
export function rowAt(y: number): number {
  return Math.floor((y - AXIS - EVENTS) / (ROW + GAP));
}

export function rowTop(row: number): number {
  return AXIS + EVENTS + row * (ROW + GAP);
}

export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const read = (name: string) => style.getPropertyValue(name).trim();
  return {
    text: read('--text'),
    muted: read('--muted'),
    line: read('--line'),
    surface: read('--surface'),
    accent: read('--accent'),
    event: read('--event'),
    states: { live: read('--s-live'), backfilled: read('--s-backfilled'), on_vehicle: read('--s-on-vehicle'), lost: read('--s-lost'), not_recorded: read('--s-none') },
  };
}

export interface Picture {
  view: Viewport;
  rows: readonly CameraTimeline[];
  events: readonly VehicleEvent[];
  now: number;
  lead: string;
}

export function draw(canvas: HTMLCanvasElement, colours: Colours, picture: Picture): void {
  const { clientWidth: wide, clientHeight: high } = canvas;
  const ratio = devicePixelRatio;
  if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
    [canvas.width, canvas.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
  }
  const pen = canvas.getContext('2d');
  if (!pen || wide === 0) return;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, wide, high);
  axis(pen, colours, picture.view, wide, high);
  for (const [index, row] of picture.rows.entries()) {
    camera(pen, colours, row, picture, rowTop(index), wide);
  }
  marks(pen, colours, picture, wide);
}

function axis(pen: CanvasRenderingContext2D, colours: Colours, view: Viewport, wide: number, high: number): void {
  pen.font = '11px system-ui, sans-serif';
  pen.textBaseline = 'middle';
  for (const tick of ticks(view, wide)) {
    const x = Math.round(xOf(view, tick.at, wide)) + 0.5;
    pen.strokeStyle = colours.line;
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(x, tick.strong ? 2 : 8);
    pen.lineTo(x, high);
    pen.stroke();
    pen.fillStyle = tick.strong ? colours.text : colours.muted;
    pen.fillText(tick.label, x + 5, AXIS / 2);
  }
}

function camera(pen: CanvasRenderingContext2D, colours: Colours, row: CameraTimeline, picture: Picture, top: number, wide: number): void {
  const { view, now } = picture;
  const end = Math.min(wide, Math.max(0, xOf(view, now, wide)));
  pen.fillStyle = colours.states.not_recorded;
  rounded(pen, 0, top, end, ROW);
  for (const block of blocks(row.spans, view, wide)) fill(pen, colours, block, top);
  if (row.camera === picture.lead && picture.rows.length > 1) {
    pen.fillStyle = colours.accent;
    pen.fillRect(0, top, 3, ROW);
  }
}

function fill(pen: CanvasRenderingContext2D, colours: Colours, { x, width, state }: Block, top: number): void {
  const colour = colours.states[state];
  if (state === 'on_vehicle') {
    pen.globalAlpha = 0.28;
    pen.fillStyle = colour;
    pen.fillRect(x, top, width, ROW);
    pen.globalAlpha = 1;
    stripes(pen, colour, x, top, width, 7);
    return;
  }
  pen.fillStyle = colour;
  pen.fillRect(x, top, width, ROW);
  if (state === 'backfilled' && width > 3) {
    pen.fillStyle = colours.surface;
    pen.globalAlpha = 0.45;
    pen.fillRect(x, top + ROW - 7, width, 2);
    pen.globalAlpha = 1;
  }
  if (state === 'lost' && width > 8) {
    pen.globalAlpha = 0.5;
    stripes(pen, colours.surface, x, top, width, 9);
    stripes(pen, colours.surface, x, top, width, -9);
    pen.globalAlpha = 1;
  }
}

function stripes(pen: CanvasRenderingContext2D, colour: string, x: number, top: number, width: number, step: number): void {
  pen.save();
  pen.beginPath();
  pen.rect(x, top, width, ROW);
  pen.clip();
  pen.strokeStyle = colour;
  pen.lineWidth = 1.6;
  pen.beginPath();
  const distance = Math.abs(step);
  // Fixed to the canvas, so that stripes do not crawl while the span's end grows.
  for (let at = Math.floor((x - ROW) / distance) * distance; at < x + width + ROW; at += distance) {
    pen.moveTo(at, step > 0 ? top + ROW : top);
    pen.lineTo(at + ROW, step > 0 ? top : top + ROW);
  }
  pen.stroke();
  pen.restore();
}

function rounded(pen: CanvasRenderingContext2D, x: number, y: number, width: number, height: number): void {
  pen.beginPath();
  pen.roundRect(x, y, width, height, 4);
  pen.fill();
}

function marks(pen: CanvasRenderingContext2D, colours: Colours, { view, events }: Picture, wide: number): void {
  for (const event of events) {
    if (event.to < view.from || event.from > view.to) continue;
    const x = xOf(view, event.from, wide);
    const width = Math.max(xOf(view, event.to, wide) - x, 3);
    pen.fillStyle = colours.event;
    pen.globalAlpha = event.locked ? 1 : 0.5;
    rounded(pen, x, AXIS + 3, width, EVENTS - 8);
    pen.globalAlpha = 1;
    if (event.locked && width > 14) lock(pen, colours.surface, x + width / 2, AXIS + 3 + (EVENTS - 8) / 2);
  }
}

function lock(pen: CanvasRenderingContext2D, colour: string, x: number, y: number): void {
  pen.fillStyle = colour;
  pen.strokeStyle = colour;
  pen.lineWidth = 1.2;
  pen.fillRect(x - 3.5, y - 0.5, 7, 4.5);
  pen.beginPath();
  pen.arc(x, y - 0.5, 2.2, Math.PI, 0);
  pen.stroke();
}
