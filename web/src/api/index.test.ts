import { expect, test } from 'vitest';
import { vodPlaylist, whole } from '.';

test('a range between milliseconds is asked for whole, and loses nothing', () => {
  expect(whole({ from: 1795971892401.67, to: 1795971897497.2 })).toEqual({ from: 1795971892401, to: 1795971897498 });
  expect(vodPlaylist('bus', 'front', { from: 1.5, to: 2.5 })).toBe('/vod/bus/front/index.m3u8?from=1&to=3');
});
