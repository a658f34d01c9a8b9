import { describe, expect, test } from 'vitest';
import type { Span } from '../api/types';
import { blocks, footageFrom, gaps, grown, nextGap, nextOf, previousGap, previousOf, spanAt, totals } from './spans';
import { atX, bounded, DAY, following, NARROWEST, panned, stepFor, ticks, WIDEST, width, xOf, zoomed } from './viewport';

const NOON = new Date(2026, 10, 22, 12, 0, 0).getTime();
const FAR = NOON + 400 * DAY;

describe('a viewport', () => {
  const view = { from: NOON, to: NOON + 3_600_000 };

  test('turns pixels into instants and back', () => {
    for (const x of [0, 1, 333.25, 1000]) expect(xOf(view, atX(view, x, 1000), 1000)).toBeCloseTo(x, 9);
  });

  test('keeps what is under the pointer there when it zooms', () => {
    const anchor = NOON + 900_000;
    let now = view;
    for (let step = 0; step < 10; step += 1) {
      now = zoomed(now, 0.7, anchor, FAR);
      expect(xOf(now, anchor, 1000)).toBeCloseTo(250, 0);
    }
  });

  test('is never narrower or wider than what can be drawn', () => {
    expect(width(zoomed(view, 1e-9, NOON, FAR))).toBe(NARROWEST);
    expect(width(zoomed(view, 1e9, NOON, FAR))).toBe(WIDEST);
  });

  test('does not go into the future by more than a margin', () => {
    const moved = panned(view, 50 * DAY, NOON + 3_600_000);
    expect(moved.to).toBe(NOON + 3_600_000 + Math.round(width(view) * 0.08));
    expect(width(moved)).toBe(width(view));
    expect(bounded(view, FAR)).toEqual(view);
  });

  test('follows the playhead only when it leaves', () => {
    expect(following(view, NOON + 1_000_000, FAR)).toBe(view);
    const turned = following(view, NOON + 3_590_000, FAR);
    expect(xOf(turned, NOON + 3_590_000, 100)).toBeCloseTo(20, 3);
    expect(width(turned)).toBe(width(view));
  });
});

describe('ticks', () => {
  test('are at round local times, far enough apart, from seconds to weeks', () => {
    for (const wide of [NARROWEST, 60_000, 600_000, 3_600_000, DAY, 7 * DAY, WIDEST]) {
      const view = { from: NOON - wide / 3, to: NOON + (wide * 2) / 3 };
      const marks = ticks(view, 1000);
      expect(marks.length).toBeGreaterThan(2);
      for (const [index, mark] of marks.entries()) {
        expect(mark.at % 1000).toBe(0);
        const next = marks[index + 1];
        if (next) expect(xOf(view, next.at, 1000) - xOf(view, mark.at, 1000)).toBeGreaterThan(40);
      }
    }
  });

  test('name the day at midnight and the second when close', () => {
    const midnight = new Date(2026, 10, 22).getTime();
    expect(ticks({ from: midnight - 7_200_000, to: midnight + 7_200_000 }, 1000).find((mark) => mark.at === midnight)).toEqual({ at: midnight, label: '22 Nov', strong: true });
    expect(ticks({ from: NOON + 1000, to: NOON + 31_000 }, 1000)[0]?.label).toBe('12:00:05');
  });

  test('are bounded for absurd widths', () => {
    expect(ticks({ from: NOON, to: NOON + 1e12 }, 10).length).toBeLessThanOrEqual(500);
    expect(stepFor({ from: 0, to: 1e15 }, 100, 80)).toBe(7 * DAY);
  });
});

const spans: Span[] = [
  { from: 0, to: 10_000, state: 'live' },
  { from: 10_000, to: 12_000, state: 'backfilled' },
  { from: 12_000, to: 15_000, state: 'lost', cause: 'disk-full' },
  { from: 15_000, to: 20_000, state: 'live' },
  { from: 20_000, to: 50_000, state: 'on_vehicle' },
  { from: 60_000, to: 70_000, state: 'live' },
];

describe('spans', () => {
  test('are found by any instant in them', () => {
    expect(spanAt(spans, 0)?.state).toBe('live');
    expect(spanAt(spans, 9999)?.state).toBe('live');
    expect(spanAt(spans, 10_000)?.state).toBe('backfilled');
    expect(spanAt(spans, 55_000)).toBeUndefined();
    expect(spanAt(spans, 70_000)).toBeUndefined();
    expect(spanAt([], 5)).toBeUndefined();
  });

  test('lead to footage from inside a gap', () => {
    expect(footageFrom(spans, 5000)).toBe(5000);
    expect(footageFrom(spans, 13_000)).toBe(15_000);
    expect(footageFrom(spans, 30_000)).toBe(60_000);
    expect(footageFrom(spans, 70_000)).toBeUndefined();
  });

  test('have gaps between footage, whatever fills them', () => {
    expect(gaps(spans, 500)).toEqual([{ from: 12_000, to: 15_000 }, { from: 20_000, to: 60_000 }]);
    expect(gaps(spans, 5000)).toEqual([{ from: 20_000, to: 60_000 }]);
    expect(nextGap(spans, 0)).toBe(12_000);
    expect(nextGap(spans, 12_000)).toBe(20_000);
    expect(nextGap(spans, 20_000)).toBeUndefined();
    expect(previousGap(spans, 65_000)).toBe(20_000);
    expect(previousGap(spans, 19_000)).toBe(12_000);
    expect(previousGap(spans, 5000)).toBeUndefined();
  });

  test('add up to the range that is asked for', () => {
    expect(totals(spans, { from: 5000, to: 80_000 })).toEqual({ live: 20_000, backfilled: 2000, on_vehicle: 30_000, lost: 3000, not_recorded: 20_000 });
    expect(totals([], { from: 0, to: 10 }).not_recorded).toBe(10);
  });

  test('are drawn within the canvas, losses over all and never too narrow', () => {
    const drawn = blocks(spans, { from: 5000, to: 3_600_000 }, 800);
    expect(drawn.at(-1)).toMatchObject({ state: 'lost', width: 2 });
    for (const block of drawn) {
      expect(block.x).toBeGreaterThanOrEqual(0);
      expect(block.x + block.width).toBeLessThanOrEqual(802);
    }
  });

  test('of one state that touch are one block', () => {
    const seconds = Array.from({ length: 1000 }, (_, index): Span => ({ from: index * 1000, to: index * 1000 + 1000, state: 'live' }));
    expect(blocks(seconds, { from: 0, to: 1_000_000 }, 500)).toEqual([{ x: 0, width: 500, state: 'live' }]);
  });
});

test('events are stepped through in their order in time', () => {
  const events = [{ from: 9000, to: 9500 }, { from: 3000, to: 4000 }, { from: 6000, to: 6000 }];
  expect(nextOf(events, 0)?.from).toBe(3000);
  expect(nextOf(events, 3000)?.from).toBe(6000);
  expect(nextOf(events, 9000)).toBeUndefined();
  expect(previousOf(events, 9000)?.from).toBe(6000);
  expect(previousOf(events, 3500)).toBeUndefined();
});

test('newest seconds of a live camera are drawn before the vault tells of them', () => {
  const spans: Span[] = [{ from: 0, to: 50_000, state: 'live' }, { from: 50_000, to: 90_000, state: 'not_recorded' }];
  expect(grown(spans, 55_000)).toEqual([{ from: 0, to: 55_000, state: 'live' }]);
  expect(grown(spans, 57_000)).toBe(spans);
  expect(grown([], 80_000)).toEqual([]);
  const late: Span[] = [{ from: 0, to: 50_000, state: 'backfilled' }];
  expect(grown(late, 55_000)).toBe(late);
});
