// The programs under test: a vault, a vehicle that records, a link between them that can be cut, and a browser.
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

export const ROOT = resolve(import.meta.dirname, '../..');
export const SHOTS = join(ROOT, 'target/screenshots');
const BINARY = process.env.DASHVAULT_BIN ?? join(ROOT, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/dashvault');
/** A folder whose dashboard is tried in place of the one in the binary: `E2E_DIST=dist`. */
const DIST = process.env.E2E_DIST;
const FIRST_PORT = Number(process.env.E2E_PORT ?? 0);
const ARGUMENTS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--autoplay-policy=no-user-gesture-required',
];
export const ADMIN = { name: 'owner', password: 'correct horse battery' };

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until something holds, looking often. */
export async function until(what, check, withinMs = 20_000, eachMs = 100) {
  const end = Date.now() + withinMs;
  let last;
  for (;;) {
    try {
      last = await check();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`${what} did not happen in ${withinMs / 1000} s: ${String(last)}`);
    await sleep(eachMs);
  }
}

/** A vault, whose dashboard the browser opens. */
export class Vault {
  folder = mkdtempSync(join(tmpdir(), 'dashvault-e2e-'));
  #process;
  #ports;
  #front;

  async start() {
    const [http, srt] = this.#ports ?? [FIRST_PORT, FIRST_PORT && FIRST_PORT + 1];
    const args = ['serve', '--data', join(this.folder, 'vault'), '--http', `127.0.0.1:${http}`, '--srt', `127.0.0.1:${srt}`, '--reserve', '1MiB', '--pack-length', '10s'];
    this.#process = launch(args, join(this.folder, 'vault.log'));
    const line = await firstLine(this.#process.child, 'ready ');
    const found = /http=http:\/\/127\.0\.0\.1:(\d+) srt=srt:\/\/127\.0\.0\.1:(\d+)/.exec(line);
    this.#ports = [Number(found[1]), Number(found[2])];
    if (DIST !== undefined) this.#front ??= await front(resolve(DIST), this.#ports[0]);
  }

  get url() {
    return `http://127.0.0.1:${this.#front?.address().port ?? this.#ports[0]}`;
  }

  get pid() {
    return this.#process.child.pid;
  }

  get ports() {
    return this.#ports;
  }

  get setupCode() {
    return readFileSync(join(this.folder, 'vault', 'setup.code'), 'utf8').trim();
  }

  stop(signal = 'SIGTERM') {
    return this.#process.stop(signal);
  }

  remove() {
    this.#front?.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const KINDS = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.md': 'text/plain' };

/** The files of a folder, under the policy that the vault sets for its own, and the vault for all else. */
export async function front(folder, port) {
  const policy = (await fetch(`http://127.0.0.1:${port}/`)).headers.get('content-security-policy') ?? '';
  const server = createHttpServer((asked, answer) => {
    const path = new URL(asked.url, 'http://x').pathname;
    if (!/^\/(api|live|vod|objects|healthz|metrics)(\/|$)/.test(path)) {
      const file = existsSync(join(folder, path)) && path !== '/' ? join(folder, path) : join(folder, 'index.html');
      answer.writeHead(200, { 'content-type': KINDS[extname(file)] ?? 'application/octet-stream', 'content-security-policy': policy });
      return void answer.end(readFileSync(file));
    }
    const sent = request({ port, host: '127.0.0.1', method: asked.method, path: asked.url, headers: asked.headers }, (got) => {
      answer.writeHead(got.statusCode, got.headers);
      got.pipe(answer);
      got.on('error', () => answer.destroy());
    });
    sent.on('error', () => answer.destroy());
    answer.on('close', () => sent.destroy());
    asked.pipe(sent);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A vehicle whose way to the vault goes through a link of ours. */
export class Vehicle {
  #process;

  constructor(vault, device, token, link, cameras) {
    Object.assign(this, { vault, device, token, link, cameras });
  }

  start() {
    const args = ['record', '--vault', `http://127.0.0.1:${this.link.http}`, '--srt', `srt://127.0.0.1:${this.link.srt}`, '--device', this.device, '--token', this.token,
      '--spool', join(this.vault.folder, `spool-${this.device}`), '--pack-length', '10s', '--reserve', '1MiB', '--drain', '3s', ...this.cameras.flatMap((camera) => ['--camera', camera])];
    this.#process = launch(args, join(this.vault.folder, `${this.device}.log`));
  }

  stop(signal = 'SIGINT') {
    return this.#process?.stop(signal);
  }
}

/** UDP and TCP to a vault; while it is cut, nothing gets through and connections die. */
export class Link {
  #cut = false;
  #sockets = new Set();
  #ways = new Map();

  async start([http, srt]) {
    this.#target = srt;
    this.tcp = createServer((near) => {
      if (this.#cut) return void near.destroy();
      const far = connect(http, '127.0.0.1');
      for (const [from, to] of [[near, far], [far, near]]) {
        this.#sockets.add(from);
        from.pipe(to);
        from.on('error', () => to.destroy()).on('close', () => { to.destroy(); this.#sockets.delete(from); });
      }
    });
    this.tcp.listen(0, '127.0.0.1');
    await once(this.tcp, 'listening');
    this.udp = createSocket('udp4');
    this.udp.on('message', (data, from) => this.#cut || this.#way(from).send(data, this.#target, '127.0.0.1'));
    this.udp.bind(0, '127.0.0.1');
    await once(this.udp, 'listening');
    [this.http, this.srt] = [this.tcp.address().port, this.udp.address().port];
    return this;
  }

  #target = 0;

  #way(from) {
    let way = this.#ways.get(from.port);
    if (!way) {
      way = createSocket('udp4');
      way.on('message', (data) => this.#cut || this.udp.send(data, from.port, '127.0.0.1'));
      this.#ways.set(from.port, way);
    }
    return way;
  }

  cut() {
    this.#cut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#cut = false;
  }

  stop() {
    this.cut();
    this.tcp.close();
    this.udp.close();
    for (const way of this.#ways.values()) way.close();
  }
}

/** A browser whose pages may not log an error that a test does not expect. */
export class Browser {
  errors = [];
  /** What may be logged now, while the vault or the link is away on purpose. */
  expected = undefined;

  async start() {
    mkdirSync(SHOTS, { recursive: true });
    this.chromium = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ARGUMENTS });
  }

  async open({ phone = false, dark = false, storage } = {}) {
    const context = await this.chromium.newContext({
      viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
      deviceScaleFactor: phone ? 2 : 1,
      isMobile: phone,
      hasTouch: phone,
      colorScheme: dark ? 'dark' : 'light',
      acceptDownloads: true,
      ...(storage && { storageState: storage }),
    });
    const page = await context.newPage();
    const note = (text) => this.expected?.test(text) || this.errors.push(`${page.url()}: ${text}`);
    page.on('console', (message) => message.type() === 'error' && note(`${message.text()} ${message.location().url}`));
    page.on('pageerror', (error) => note(error.message));
    return page;
  }

  shot(page, name) {
    return page.screenshot({ path: join(SHOTS, `${name}.png`) });
  }

  stop() {
    return this.chromium?.close();
  }
}

function launch(args, log) {
  const child = spawn('/bin/sh', ['-c', 'exec "$0" "$@" 2>>"$E2E_LOG"', BINARY, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, E2E_LOG: log } });
  const ended = once(child, 'exit');
  child.stdout.resume();
  return {
    child,
    async stop(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill(signal);
      const late = setTimeout(() => child.kill('SIGKILL'), 15_000);
      await ended;
      clearTimeout(late);
    },
  };
}

function firstLine(child, start) {
  return new Promise((done, failed) => {
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
      const line = text.split('\n').find((one) => one.startsWith(start));
      if (line) done(line);
    });
    child.once('exit', (code) => failed(new Error(`${BINARY} ended with ${code} before it was ready`)));
  });
}

/** JSON of the vault, as the user who is signed in on a page. */
export function api(page, method, path, body) {
  return page.evaluate(async ([method, path, body]) => {
    const who = await (await fetch('/api/v1/session')).json();
    const response = await fetch(path, {
      method,
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': who.csrf ?? '' },
      ...(body !== undefined && body !== null && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
  }, [method, path, body ?? null]);
}

/**
 * The time that the test picture's clock shows in a video (crates/recorder/src/capture/clock.rs), in Unix milliseconds, and when it was read;
 * undefined where no clock can be read.
 */
export function readClock(page, selector = '.stage video') {
  return page.evaluate((wanted) => {
    const video = document.querySelector(wanted);
    if (!video?.videoWidth) return undefined;
    const CELLS = 36;
    const cell = Math.max(Math.floor(video.videoWidth / 2 / CELLS), 4);
    const left = (video.videoWidth - cell * CELLS) / 2;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [cell * CELLS, cell];
    const pen = canvas.getContext('2d', { willReadFrequently: true });
    pen.drawImage(video, left, 0, cell * CELLS, cell, 0, 0, cell * CELLS, cell);
    const read = Date.now();
    const pixels = pen.getImageData(0, 0, cell * CELLS, cell).data;
    const lit = Array.from({ length: CELLS }, (_, index) => pixels[(Math.floor(cell / 2) * cell * CELLS + Math.floor((index + 0.5) * cell)) * 4 + 1] > 128);
    let [bit, value] = [0, 0n];
    for (const on of lit.slice(2, 34)) {
      bit ^= Number(on);
      value = value * 2n + BigInt(bit);
    }
    if (!lit[0] || lit[1] || lit[35] || Number(value & 1n) !== Number(lit[34])) return undefined;
    const now = BigInt(Math.round(read / 10));
    const turn = 1n << 32n;
    let time = (now / turn) * turn + value;
    if (time > now + turn / 2n) time -= turn;
    return { shown: Number(time) * 10, read, media: video.currentTime };
  }, selector);
}

/** Reads the clock until it can be read. */
export async function clockOf(page, selector) {
  return until('a readable clock', () => readClock(page, selector), 10_000, 60);
}
