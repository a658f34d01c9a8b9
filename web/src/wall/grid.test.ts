import { expect, test } from 'vitest';
import { grid, players, visible } from './grid';

test('whatever the number of cameras, only some tiles are in the page', () => {
  for (const [count, width] of [[0, 1200], [1, 1200], [500, 1200], [5000, 360], [7, 0]] as const) {
    const layout = grid(count, width, 300);
    for (let top = 0; top <= layout.height; top += 777) {
      const { first, end } = visible(layout, count, top, 900);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(count);
      expect(end - first).toBeLessThan(80);
    }
  }
});

test('every tile is in the page at some place of the scroll', () => {
  const layout = grid(500, 1200, 300);
  const seen = new Set<number>();
  for (let top = 0; top <= layout.height; top += layout.rowHeight) {
    const { first, end } = visible(layout, 500, top, 600);
    for (let tile = first; tile < end; tile += 1) seen.add(tile);
  }
  expect(seen.size).toBe(500);
});

test('no more players than a browser can bear, and only for cameras that are live', () => {
  const tiles = Array.from({ length: 40 }, (_, index) => ({ key: `camera-${index}`, live: index % 2 === 0 }));
  const chosen = players(tiles, 9);
  expect(chosen.size).toBe(9);
  expect(chosen.has('camera-1')).toBe(false);
});
