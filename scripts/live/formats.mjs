// Plays the same footage as MPEG-TS and as fMP4 (CMAF) and says what each costs: bytes, remuxing at a server, CPU of a browser.
//
//   node scripts/live/formats.mjs [--seconds 40] [--rounds 2] [--footage 60]
//
// The formats take turns, so that noise of the machine falls on both. Nothing is claimed of players that are not tried here.
import { execSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const number = (value) => ({ type: 'string', default: value });
const { values } = parseArgs({ options: { seconds: number('40'), rounds: number('2'), footage: number('60') } });
const [seconds, rounds, footage] = [values.seconds, values.rounds, values.footage].map(Number);
const web = createRequire(resolve(import.meta.dirname, '../../web/x'));
const { chromium } = web('playwright-core');
const scripts = { '/hls.js': web.resolve('hls.js/dist/hls.light.min.js'), '/worker.js': web.resolve('hls.js/dist/hls.worker.js') };
const folder = mkdtempSync(join(tmpdir(), 'dashvault-formats-'));
let child; // The one program, but for a browser, that runs at a time.
process.on('exit', () => (child?.kill('SIGKILL'), rmSync(folder, { recursive: true, force: true })));
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));
const sleep = (ms) => new Promise((passed) => setTimeout(passed, ms));
const percent = (one, other) => `${(100 * (one / other - 1)).toFixed(2)} %`;
const median = (list, sorted = [...list].sort((a, b) => a - b)) => (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
function run(program, words, uid) {
  return new Promise((done, failed) => {
    child = spawn(program, words, { cwd: folder, uid, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const pipe of [child.stdout, child.stderr]) pipe.on('data', (data) => (said += data));
    child.on('error', failed).on('close', (code) => (code === 0 ? done(said) : failed(new Error(`${program} ${words.join(' ')}: ${said.slice(-2000)}`))));
  });
}
/** Runs ffmpeg, and gives the CPU seconds (user and system) that it says its work took, without those to start and to probe. */
async function ffmpeg(words) {
  const said = await run('ffmpeg', ['-nostdin', '-nostats', '-benchmark', '-y', ...words.split(/\s+/)]);
  return Number(/utime=([\d.]+)/.exec(said)[1]) + Number(/stime=([\d.]+)/.exec(said)[1]);
}
// As the recorder writes it (crates/recorder/src/capture/command.rs).
const TS = '-muxdelay 0 -muxpreload 0 -pat_period 1 -sdt_period 5 -f mpegts';
const fragments = (microseconds) => `-bsf:a aac_adtstoasc -movflags +frag_keyframe+empty_moov+default_base_moof -frag_duration ${microseconds} -f mp4`;
async function make() {
  await ffmpeg(`-f lavfi -i testsrc2=s=1280x720:r=30,scroll=h=0.002,noise=alls=16:allf=t -f lavfi -i anoisesrc=c=pink:a=0.3:r=48000 -t ${footage} -pix_fmt yuv420p
    -c:v libx264 -preset veryfast -tune zerolatency -g 30 -sc_threshold 0 -b:v 2M -maxrate 2M -bufsize 2M -c:a aac -ac 2 -b:a 128k ${TS} all.ts`);
  for (const kind of ['ts', 'cmaf']) mkdirSync(join(folder, kind));
  const hls = '-i all.ts -c copy -muxdelay 0 -muxpreload 0 -f hls -hls_time 1 -hls_playlist_type vod';
  await ffmpeg(`${hls} -hls_segment_options pat_period=1:sdt_period=5 -hls_segment_filename ts/%d.ts ts/index.m3u8`);
  await ffmpeg(`${hls} -bsf:a aac_adtstoasc -hls_segment_type fmp4 -hls_fmp4_init_filename init.mp4 -hls_segment_filename cmaf/%d.m4s cmaf/index.m3u8`);
  for (const [name, of] of [['parts', '0'], ['video', '0:v'], ['audio', '0:a']]) await ffmpeg(`-i all.ts -map ${of} -c copy ${fragments(333333)} ${name}.mp4`);
}
function bytes() {
  const size = (name) => statSync(join(folder, name)).size;
  const set = (kind) => readdirSync(join(folder, kind)).filter((name) => !name.endsWith('.m3u8')).reduce((sum, name) => sum + size(`${kind}/${name}`), 0);
  const [ts, cmaf, all, parts] = [set('ts'), set('cmaf'), size('all.ts'), size('parts.mp4')];
  const each = (readFileSync(join(folder, 'parts.mp4')).toString('latin1').split('moof').length - 1) / footage;
  const row = (what, count) => console.log(`  ${what.padEnd(54)} ${String(count).padStart(10)}  ${percent(count, cmaf).padStart(7)}`);
  console.log(`bytes of ${footage} s (${((all * 8) / footage / 1e6).toFixed(2)} Mbit/s as TS), and over fMP4 in segments of 1 s`);
  row('fMP4, segments of 1 s, init', cmaf);
  row(`fMP4, ${each.toFixed(2)} parts a second, audio and video together`, parts);
  row('fMP4, such parts, audio and video apart', size('video.mp4') + size('audio.mp4'));
  row('TS, segments of 1 s', ts);
  row('TS as recorded (a part is a slice of it)', all);
  console.log(`  TS over fMP4: segments of 1 s ${percent(ts, cmaf)}, parts ${percent(all, parts)}`);
}
async function remux() {
  console.log('CPU seconds of ffmpeg for a minute of footage that comes as TS (median of 5)');
  for (const [what, to] of [['to fMP4 in parts', fragments(333333)], ['to fMP4 in fragments of a GOP', fragments(1000000)], ['to TS', TS], ['only read', '-f null']]) {
    const took = [];
    while (took.length < 5) took.push(((await ffmpeg(`-stream_loop 9 -i all.ts -c copy ${to} /dev/null`)) * 60) / (10 * footage));
    console.log(`  ${what.padEnd(30)} ${median(took).toFixed(4)} s: ${((median(took) / 60) * 100).toFixed(3)} % of a core a camera`);
  }
}

// What matters of web/src/player/hls.ts; the buffer is that of live, so that footage is read as it plays.
const SETTINGS = { enableWorker: true, workerPath: '/worker.js', lowLatencyMode: false, maxLiveSyncPlaybackRate: 1, backBufferLength: 60, maxBufferLength: 10, maxMaxBufferLength: 60 };
const page = `<!doctype html><title>formats</title><video id=v muted playsinline width=1280></video><script src=/hls.js></script><script>
const video = document.getElementById('v'), seen = { first: null, errors: [] };
window.play = (url, alone) => {
  const begun = performance.now(), hls = new Hls(${JSON.stringify(SETTINGS)});
  video.requestVideoFrameCallback(() => (seen.first = performance.now() - begun));
  hls.on(Hls.Events.ERROR, (_, data) => seen.errors.push(data.details));
  alone ? (video.src = url) : (hls.loadSource(url), hls.attachMedia(video));
  video.play().catch((error) => seen.errors.push(error.name));
};
window.look = () => ({ ...seen, at: video.currentTime, frames: video.getVideoPlaybackQuality().totalVideoFrames, dropped: video.getVideoPlaybackQuality().droppedVideoFrames });
</script>`;
const KINDS = { js: 'text/javascript', m3u8: 'application/vnd.apple.mpegurl', ts: 'video/mp2t', m4s: 'video/mp4', mp4: 'video/mp4' };
const server = createServer((asked, answer) => {
  if (asked.url === '/') return answer.setHeader('content-type', 'text/html').end(page);
  const path = scripts[asked.url] ?? join(folder, new URL(asked.url, 'http://x').pathname);
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return answer.writeHead(404).end();
  answer.setHeader('content-type', KINDS[path.split('.').at(-1)]).end(readFileSync(path));
});
const url = (kind) => `http://127.0.0.1:${server.address().port}/${kind && `${kind}/index.m3u8`}`;

const hertz = Number(execSync('getconf CLK_TCK'));
/** Processes in /proc, or threads in /proc/PID/task; one that ends meanwhile is left out. */
const running = (path) => readdirSync(path).filter((name) => /^\d+$/.test(name)).flatMap((id) => {
  try {
    const [, name, parent, user, system] = /\((.*)\) \S (\d+)(?: \S+){9} (\d+) (\d+)/s.exec(readFileSync(`${path}/${id}/stat`, 'latin1'));
    return [{ id, name, parent, seconds: (Number(user) + Number(system)) / hertz }];
  } catch { return []; }
});
/** CPU seconds so far of a process and all below it, and of their worker threads, where hls.js reads segments. */
function cpu(root) {
  const all = running('/proc');
  const tree = all.filter((one) => one.id === String(root));
  for (const one of tree) tree.push(...all.filter((child) => child.parent === one.id));
  const workers = tree.flatMap((one) => running(`/proc/${one.id}/task`)).filter((thread) => thread.name.startsWith('DedicatedWorker'));
  return [tree, workers].map((list) => list.reduce((sum, one) => sum + one.seconds, 0));
}
/** Plays in a browser of its own, so that nothing of the play before is in the figures. */
async function play(kind, forSeconds, alone = false) {
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-sync', '--autoplay-policy=no-user-gesture-required'];
  const browsers = await chromium.launchServer({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args });
  try {
    const tab = await (await chromium.connect(browsers.wsEndpoint())).newPage({ viewport: { width: 1280, height: 800 } });
    await tab.goto(url(''));
    await sleep(2000); // Starting the browser is not playing.
    const before = cpu(browsers.process().pid);
    await tab.evaluate(([path, alone]) => window.play(path, alone), [`/${kind}/index.m3u8`, alone]);
    await sleep(forSeconds * 1000);
    const [all, worker] = cpu(browsers.process().pid).map((now, at) => ((now - before[at]) / forSeconds) * 100);
    const seen = await tab.evaluate(() => window.look());
    return { kind, all, worker, ...seen, text: `CPU ${all.toFixed(1)}, workers ${worker.toFixed(2)}; first frame ${seen.first?.toFixed()} ms, dropped ${seen.dropped} of ${seen.frames}; ${seen.errors.join(' ') || 'no errors'}` };
  } finally { await browsers.close(); }
}
async function compare() {
  console.log(`hls.js in headless Chromium, ${seconds} s from the call to play; CPU in % of a core, of all its processes`);
  const plays = [];
  for (const kind of Array(rounds).fill(['ts', 'cmaf']).flat()) console.log(`  ${kind.padEnd(5)} ${plays[plays.push(await play(kind, seconds)) - 1].text}`);
  for (const [what, key] of [['CPU', 'all'], ['CPU of workers', 'worker'], ['first frame, ms', 'first'], ['frames dropped', 'dropped']]) {
    const [ts, cmaf] = ['ts', 'cmaf'].map((kind) => median(plays.filter((one) => one.kind === kind).map((one) => one[key])));
    console.log(`  median ${what.padEnd(16)} TS ${ts.toFixed(2).padStart(7)}  CMAF ${cmaf.toFixed(2).padStart(7)}  TS/CMAF ${cmaf ? (ts / cmaf).toFixed(3) : '-'}`);
  }
}
async function players() {
  console.log('who plays what, as tried here (Chromium with hls.js: above)');
  const row = async (who, test) => console.log(`  ${who.padEnd(20)} TS: ${await test('ts')}\n${' '.repeat(20)} CMAF: ${await test('cmaf')}`);
  await row('ffprobe', async (kind) => (await run('ffprobe', ['-v', 'error', '-show_entries', 'stream=codec_name', '-of', 'csv=p=0', url(kind)])).trim().split(/\s+/).slice(0, 2).join(' '));
  await row('ffmpeg, decoding', async (kind) => (await run('ffmpeg', ['-nostdin', '-i', url(kind), '-f', 'null', '-'])).match(/frame= *\d+/g).at(-1));
  await row('Chromium alone, 5 s', async (kind) => (await play(kind, 5, true)).text);
  const vlc = (kind) => run('vlc', [...'-I dummy -V dummy -A dummy -vv --run-time 4 --play-and-exit'.split(' '), url(kind)], process.getuid() || 65534); // Not as root.
  await row('VLC', (kind) => vlc(kind).then((said) => (/Received first picture/.test(said) ? 'plays' : 'shows nothing'), (error) => error.code ?? 'fails'));
}

await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
for (const step of [make, bytes, remux, compare, players]) await step();
process.exit();
