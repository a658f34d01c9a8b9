import { expect, test } from 'vitest';
import { question, TimelineCache } from './cache';

const view = { from: 1_000_000, to: 2_000_000 };
const past = (state: 'live' | 'on_vehicle') => [{ camera: 'front', spans: [{ from: 0, to: 3_000_000, state }] }];

test('what lies in the past is asked for once a minute, what may change each few seconds', () => {
  const now = 10_000_000;
  for (const [state, again] of [['live', 60_000], ['on_vehicle', 3000]] as const) {
    const cache = new TimelineCache();
    expect(cache.stale(view, 100, now)).toBe(true);
    cache.add({ from: 0, to: 3_000_000 }, 100, past(state), now);
    expect(cache.stale(view, 100, now + again - 1)).toBe(false);
    expect(cache.stale(view, 100, now + again)).toBe(true);
  }
});

test('an answer that is too coarse, or does not reach, is not enough', () => {
  const cache = new TimelineCache();
  cache.add({ from: 0, to: 1_500_000 }, 100, past('live'), 10_000_000);
  expect(cache.stale(view, 100, 10_000_000)).toBe(true);
  expect(cache.shown(view)).toBeDefined();
  cache.add({ from: 0, to: 3_000_000 }, 5000, past('live'), 10_000_000);
  expect(cache.stale(view, 100, 10_000_000)).toBe(true);
  expect(cache.shown({ from: 4_000_000, to: 5_000_000 })).toBeUndefined();
});

test('a question has a margin on both sides and no more detail than pixels', () => {
  expect(question(view, 1000)).toEqual({ range: { from: 0, to: 3_000_000 }, resolution: 500 });
});
