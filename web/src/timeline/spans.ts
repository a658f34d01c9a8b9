// What a camera's spans say about an instant, and where the next gap, footage or event is. Pure.
import type { Span, SpanState } from '../api/types';
import { xOf, type Viewport } from './viewport';

export const STATE_NAMES: Record<SpanState, string> = {
  live: 'Arrived live',
  backfilled: 'Arrived later',
  on_vehicle: 'On the vehicle',
  lost: 'Lost',
  not_recorded: 'Not recorded',
};

const CAUSES: Record<string, string> = {
  overflow: 'the vehicle was too slow to keep up',
  'disk-full': 'the disk was full',
  'damaged-disk': 'the disk was damaged',
  network: 'packets were lost on the way, and the sender keeps no copy',
  gap: 'packets were lost on the way, and the sender keeps no copy',
  evicted: "the vehicle's disk was full and made room",
  retention: 'deleted by the rules for keeping',
  missing: "the vault's copy is gone",
  stall: 'the camera gave nothing',
  deleted: 'deleted by an administrator',
};

/** Why footage is lost, in words. */
export function causeText(cause: string | undefined): string {
  if (cause === undefined) return 'the cause is not known';
  return CAUSES[cause] ?? cause.replaceAll(/[-_]/g, ' ');
}

/** Footage that can be played from the vault now. */
export function playable(state: SpanState): boolean {
  return state === 'live' || state === 'backfilled';
}

/** The span that has this instant; spans are sorted and do not overlap. */
export function spanAt(spans: readonly Span[], at: number): Span | undefined {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const span = spans[middle];
    if (span === undefined) return undefined;
    if (span.to <= at) low = middle + 1;
    else if (span.from > at) high = middle;
    else return span;
  }
  return undefined;
}

/** The first instant at or after `at` that can be played. */
export function footageFrom(spans: readonly Span[], at: number): number | undefined {
  const span = spans.find((one) => playable(one.state) && one.to > at);
  return span === undefined ? undefined : Math.max(span.from, at);
}

/** Where the next stretch without footage begins. Shorter ones than `least` are passed over. */
export function nextGap(spans: readonly Span[], at: number, least = 500): number | undefined {
  return gaps(spans, least).find((gap) => gap.from > at + 500)?.from;
}

export function previousGap(spans: readonly Span[], at: number, least = 500): number | undefined {
  return gaps(spans, least).findLast((gap) => gap.to < at - 500)?.from;
}

/** Stretches between footage: what is not recorded, lost or on the vehicle, run together. */
export function gaps(spans: readonly Span[], least: number): Viewport[] {
  const found: Viewport[] = [];
  let end: number | undefined;
  for (const span of spans) {
    if (!playable(span.state)) continue;
    if (end !== undefined && span.from - end >= least) found.push({ from: end, to: span.from });
    end = span.to;
  }
  return found;
}

interface Ranged {
  from: number;
  to: number;
}

export function nextOf<T extends Ranged>(ranges: readonly T[], at: number): T | undefined {
  return ranges.filter((range) => range.from > at + 500).reduce<T | undefined>((best, one) => (best && best.from <= one.from ? best : one), undefined);
}

export function previousOf<T extends Ranged>(ranges: readonly T[], at: number): T | undefined {
  return ranges.filter((range) => range.from < at - 1500).reduce<T | undefined>((best, one) => (best && best.from >= one.from ? best : one), undefined);
}

/** How much of a range is in each state. */
export function totals(spans: readonly Span[], range: Ranged): Record<SpanState, number> {
  const sums: Record<SpanState, number> = { live: 0, backfilled: 0, on_vehicle: 0, lost: 0, not_recorded: 0 };
  let covered = 0;
  for (const span of spans) {
    const ms = Math.min(span.to, range.to) - Math.max(span.from, range.from);
    if (ms <= 0) continue;
    sums[span.state] += ms;
    covered += ms;
  }
  sums.not_recorded += Math.max(0, range.to - range.from - covered);
  return sums;
}

/** The vault tells of a live camera's newest seconds a little later: until then they are as what came before them. */
export function grown(spans: readonly Span[], now: number, within = 6_000): readonly Span[] {
  const last = spans.findLastIndex((span) => span.state !== 'not_recorded');
  const newest = spans[last];
  if (newest?.state !== 'live' || newest.to >= now || newest.to < now - within) return spans;
  return [...spans.slice(0, last), { ...newest, to: now }];
}

export interface Block {
  x: number;
  width: number;
  state: SpanState;
}

/** What is drawn: touching blocks of a state are one, and what is lost is never too narrow to be seen. */
export function blocks(spans: readonly Span[], view: Viewport, pixels: number): Block[] {
  const drawn: Block[] = [];
  const lost: Block[] = [];
  for (const span of spans) {
    if (span.to <= view.from || span.from >= view.to || span.state === 'not_recorded') continue;
    const x = Math.max(0, xOf(view, span.from, pixels));
    const end = Math.min(pixels, xOf(view, span.to, pixels));
    if (span.state === 'lost') {
      lost.push({ x: Math.min(x, pixels - 2), width: Math.max(end - x, 2), state: 'lost' });
      continue;
    }
    const last = drawn.at(-1);
    if (last && last.state === span.state && x - (last.x + last.width) < 0.5) last.width = Math.max(last.width, end - last.x);
    else drawn.push({ x, width: Math.max(end - x, 0.75), state: span.state });
  }
  return [...drawn, ...lost];
}
