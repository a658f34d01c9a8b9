// Plays a camera's live playlist with hls.js in real Chromium and says what a viewer sees, as JSON lines and a summary.
//
//   node scripts/live/play.mjs --vault http://127.0.0.1:8080 --camera bus/main [--token T] [--seconds 30] [--every 1000]
//        [--modules DIR with node_modules of hls.js and playwright-core] [--shot FILE.png]
//
// The page comes from a little server here that hands /live on to the vault, so that it has one origin. Latency is the wall
// clock less the playing picture's PROGRAM-DATE-TIME.
import { createServer, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: args } = parseArgs({
  options: {
    vault: { type: 'string', default: 'http://127.0.0.1:8080' },
    camera: { type: 'string', default: 'bus/main' },
    token: { type: 'string' },
    seconds: { type: 'string', default: '30' },
    every: { type: 'string', default: '1000' },
    modules: { type: 'string', default: process.cwd() },
    shot: { type: 'string' },
    defaults: { type: 'boolean', default: false },
  },
});
const require = createRequire(join(resolve(args.modules), 'x'));
const { chromium } = require('playwright-core');
const hlsjs = readFileSync(require.resolve('hls.js/dist/hls.min.js'));

const page = `<!doctype html><title>live</title><video id=v muted autoplay playsinline width=640></video>
<script src=/hls.js></script><script>
const video = document.getElementById('v');
const outlast = { errorRetry: { maxNumRetry: 100000, retryDelayMs: 500, maxRetryDelayMs: 2000 },
  timeoutRetry: { maxNumRetry: 100000, retryDelayMs: 0, maxRetryDelayMs: 0 }, maxTimeToFirstByteMs: 10000, maxLoadTimeMs: 20000 };
const options = ${args.defaults} ? {} : { maxLiveSyncPlaybackRate: 1.2, playlistLoadPolicy: { default: outlast },
  manifestLoadPolicy: { default: outlast } };
const hls = new Hls(options);
const seen = { begun: performance.now(), first: null, errors: {}, fatal: [], stalls: 0, seeks: 0, manifests: 0 };
hls.on(Hls.Events.ERROR, (_, data) => {
  seen.errors[data.details] = (seen.errors[data.details] || 0) + 1;
  if (data.fatal) { seen.fatal.push(data.details); hls.startLoad(); }
});
hls.on(Hls.Events.MANIFEST_LOADING, () => seen.manifests++);
video.addEventListener('playing', () => { seen.first ??= performance.now() - seen.begun; });
video.addEventListener('waiting', () => seen.stalls++);
video.addEventListener('seeking', () => seen.seeks++);
hls.loadSource('/live/${args.camera}/index.m3u8');
hls.attachMedia(video);
window.look = () => ({ at: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames,
  dropped: video.getVideoPlaybackQuality().droppedVideoFrames, rate: video.playbackRate, ready: video.readyState, size: [video.videoWidth, video.videoHeight],
  latency: hls.playingDate ? Date.now() - hls.playingDate.getTime() : null, hls: Math.round(hls.latency * 1000), target: hls.targetLatency, ...seen });
</script>`;

const origin = new URL(args.vault);
let requests = 0;
const server = createServer((asked, answer) => {
  if (asked.url === '/') return answer.setHeader('content-type', 'text/html').end(page);
  if (asked.url === '/hls.js') return answer.end(hlsjs);
  if (!asked.url.startsWith('/live/')) return answer.writeHead(404).end();
  requests++;
  const headers = args.token ? { authorization: `Bearer ${args.token}` } : {};
  const onward = request(new URL(asked.url, origin), { headers }, (found) => {
    answer.writeHead(found.statusCode, found.headers);
    found.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  answer.on('close', () => onward.destroy());
  onward.end();
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required'],
});
const tab = await browser.newPage();
const complaints = [];
tab.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
await tab.goto(`http://127.0.0.1:${server.address().port}/`);
const samples = [];
const until = Date.now() + Number(args.seconds) * 1000;
while (Date.now() < until) {
  await new Promise((passed) => setTimeout(passed, Number(args.every)));
  const look = await tab.evaluate(() => window.look());
  samples.push(look);
  console.log(JSON.stringify({ t: Date.now(), at: +look.at.toFixed(2), frames: look.frames, latency: look.latency, hls: look.hls, rate: look.rate, ready: look.ready, stalls: look.stalls, errors: look.errors }));
}
if (args.shot) await tab.screenshot({ path: args.shot });
const settled = samples.slice(Math.floor(samples.length / 3)).map((look) => look.latency).filter((ms) => ms !== null).sort((a, b) => a - b);
const last = samples.at(-1);
console.log(JSON.stringify({ summary: true, first_frame_ms: last.first && Math.round(last.first), latency_p50_ms: settled[settled.length >> 1], latency_p95_ms: settled[Math.floor(settled.length * 0.95)],
  target: last.target, frames: last.frames, dropped: last.dropped, stalls: last.stalls, seeks: last.seeks, manifests: last.manifests, errors: last.errors, fatal: last.fatal, console: complaints.length, requests, size: last.size }));
await browser.close();
server.closeAllConnections();
server.close();
