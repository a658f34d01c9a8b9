import { describe, expect, test } from 'vitest';
import { extent, follow, hastened, placeOf, wallAt, windowFor, type Piece } from './wallclock';

const T = 1_000_000_000_000;
// Two segments, a hole of a minute in wall time, two more; media time has no hole.
const pieces: Piece[] = [
  { start: 10, duration: 1, programDateTime: T },
  { start: 11, duration: 1, programDateTime: T + 1000 },
  { start: 12, duration: 1.04, programDateTime: T + 62_000 },
  { start: 13.04, duration: 1, programDateTime: T + 63_040 },
];

describe('media time and wall time', () => {
  test('agree in both directions wherever there is footage', () => {
    for (const seconds of [10, 10.5, 11.999, 12, 12.7, 13.04, 14]) {
      const wall = wallAt(pieces, seconds);
      expect(wall).toBeDefined();
      if (seconds < 14 && wall !== undefined) expect(placeOf(pieces, wall)?.seconds).toBeCloseTo(seconds, 2);
    }
  });

  test('jump over a hole', () => {
    expect(wallAt(pieces, 11.99)).toBeCloseTo(T + 1990, 0);
    expect(wallAt(pieces, 12.01)).toBeCloseTo(T + 62_010, 0);
    expect(placeOf(pieces, T + 30_000)).toEqual({ seconds: 12, wall: T + 62_000 });
  });

  test('are unknown outside', () => {
    expect(wallAt(pieces, 5)).toBeUndefined();
    expect(wallAt(pieces, 99)).toBeUndefined();
    expect(wallAt([], 1)).toBeUndefined();
    expect(placeOf(pieces, T + 999_000)).toBeUndefined();
    expect(placeOf([{ start: 0, duration: 1, programDateTime: null }], T)).toBeUndefined();
  });

  test('segments that are marked as gaps are not played', () => {
    const gap = { start: 12, duration: 60, programDateTime: T + 2000, gap: true };
    expect(placeOf([...pieces.slice(0, 2), gap, { start: 72, duration: 1, programDateTime: T + 62_000 }], T + 5000)?.seconds).toBe(72);
    expect(extent([gap])).toBeUndefined();
    expect(extent(pieces)).toEqual({ from: T, to: T + 64_040 });
  });
});

test('a window has room before the second asked for, and no future', () => {
  const now = T + 7_200_000;
  const { from, to } = windowFor(T + 1_234_567, now);
  expect(from).toBeLessThanOrEqual(T + 1_234_567 - 300_000);
  expect(to - from).toBe(3_600_000);
  expect(windowFor(now - 5000, now).to).toBe(now);
});

test('live is hastened while it is late, never when little is in hand', () => {
  expect(hastened(0, 2)).toBe(1);
  expect(hastened(0.1, 1)).toBe(1.05);
  expect(hastened(0.8, 1)).toBeCloseTo(1.2);
  expect(hastened(9, 1)).toBe(1.25);
  expect(hastened(9, 0.4)).toBe(1);
});

test('a camera follows by speed when near, and jumps when far', () => {
  expect(follow(T, T + 20)).toEqual({ rate: 1 });
  expect(follow(T, T + 400).rate).toBeLessThan(1);
  expect(follow(T, T - 400).rate).toBeGreaterThan(1);
  expect(follow(T, T + 5000).jump).toBe(T);
});
