import { expect, test } from 'vitest';
import { Busy, calmed } from './hls';

test('a calmed playlist has its segments and nothing that holds a request open', () => {
  const playlist = [
    '#EXTM3U', '#EXT-X-TARGETDURATION:2', '#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.05', '#EXT-X-PART-INF:PART-TARGET=0.35',
    '#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:15:00Z', '#EXT-X-PART:DURATION=0.3,URI="1.0.ts"', '#EXTINF:1.0,', '1.ts', '#EXT-X-PART:DURATION=0.3,URI="2.0.ts"',
    '#EXT-X-PRELOAD-HINT:TYPE=PART,URI="2.1.ts"', '',
  ].join('\n');
  expect(calmed(playlist).split('\n')).toEqual(['#EXTM3U', '#EXT-X-TARGETDURATION:2', '#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:15:00Z', '#EXTINF:1.0,', '1.ts', '']);
});

test('a playlist waits for the part that is being loaded, and not for ever', async () => {
  const busy = new Busy();
  await busy.over(60_000);
  busy.begin();
  busy.begin();
  let over = false;
  const waited = busy.over(60_000).then(() => (over = true));
  await Promise.resolve();
  expect(over).toBe(false);
  busy.finish();
  await waited;
  busy.begin();
  await busy.over(1);
});
