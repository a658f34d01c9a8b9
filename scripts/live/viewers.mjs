// Watches a camera's live playlist as many players would, without decoding, and says what that costs the vault.
//
//   node scripts/live/viewers.mjs --vault http://127.0.0.1:8080 --camera bus/main --pid PID [--token T] [--viewers 20] [--seconds 20]
//
// Each viewer does what hls.js does: a blocking reload for each next part (with delta updates), then that part. CPU is the
// process's, read from /proc before and after, less that of the same time without viewers.
import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import { execSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values: args } = parseArgs({
  options: {
    vault: { type: 'string', default: 'http://127.0.0.1:8080' },
    camera: { type: 'string', default: 'bus/main' },
    pid: { type: 'string' },
    token: { type: 'string' },
    viewers: { type: 'string', default: '20' },
    seconds: { type: 'string', default: '20' },
  },
});
const hertz = Number(execSync('getconf CLK_TCK'));
const cpu = () => {
  const fields = readFileSync(`/proc/${args.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / hertz;
};
const resident = () => Number(readFileSync(`/proc/${args.pid}/statm`, 'utf8').split(' ')[1]) * 4096;
const sleep = (ms) => new Promise((passed) => setTimeout(passed, ms));

function get(agent, path) {
  return new Promise((done, failed) => {
    const headers = args.token ? { authorization: `Bearer ${args.token}` } : {};
    const sent = request(new URL(`/live/${args.camera}/${path}`, args.vault), { agent, headers }, (answer) => {
      const pieces = [];
      answer.on('data', (piece) => pieces.push(piece));
      answer.on('end', () => done({ status: answer.statusCode, body: Buffer.concat(pieces) }));
    });
    sent.on('error', failed).end();
  });
}

const totals = { playlists: 0, parts: 0, bytes: 0, text: 0, refused: 0 };
async function watch(until) {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  let query = '';
  let newest = '';
  while (Date.now() < until) {
    const { status, body } = await get(agent, `index.m3u8${query}`);
    if (status !== 200) {
      totals.refused++;
      await sleep(500);
      continue;
    }
    totals.playlists++;
    totals.text += body.length;
    const text = body.toString();
    const parts = [...text.matchAll(/#EXT-X-PART:.*URI="([^"]+)"/g)].map((found) => found[1]);
    for (const part of newest ? parts.slice(parts.indexOf(newest) + 1) : parts.slice(-1)) {
      const got = await get(agent, part);
      if (got.status === 200) totals.parts++, (totals.bytes += got.body.length);
      else totals.refused++;
    }
    newest = parts.at(-1) ?? newest;
    const [number, part] = text.match(/PRELOAD-HINT:TYPE=PART,URI="(\d+)\.(\d+)\.ts"/).slice(1);
    query = `?_HLS_msn=${number}&_HLS_part=${part}&_HLS_skip=YES`;
  }
  agent.destroy();
}

const ms = Number(args.seconds) * 1000;
const idle = cpu();
await sleep(ms);
const before = cpu();
const started = Date.now();
await Promise.all(Array.from({ length: Number(args.viewers) }, () => watch(Date.now() + ms)));
const seconds = (Date.now() - started) / 1000;
const alone = ((before - idle) / (ms / 1000)) * 100;
const watched = ((cpu() - before) / seconds) * 100;
console.log(JSON.stringify({
  viewers: Number(args.viewers), seconds, cpu_percent_without: +alone.toFixed(2), cpu_percent_with: +watched.toFixed(2),
  cpu_percent_per_viewer: +((watched - alone) / Number(args.viewers)).toFixed(3), resident_mb: +(resident() / 1e6).toFixed(1),
  playlists_per_s: +(totals.playlists / seconds).toFixed(1), parts_per_s: +(totals.parts / seconds).toFixed(1),
  playlist_bytes: Math.round(totals.text / Math.max(1, totals.playlists)), media_mbit_s: +((totals.bytes * 8) / seconds / 1e6).toFixed(2), refused: totals.refused,
}));
