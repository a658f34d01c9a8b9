// The vault's interface answered from memory, for work on the screens: any number of vehicles, a day of footage with every
// state. It plays no video; `DASHVAULT_URL` puts a real vault in its place.

interface Answer {
  status: number;
  type: string;
  body: string;
}

type Json = Record<string, unknown>;

const HOUR = 3_600_000;
const json = (body: unknown, status = 200): Answer => ({ status, type: 'application/json', body: JSON.stringify(body) });
const refused = (status: number, code: string, title: string, detail: string): Answer => ({
  status, type: 'application/problem+json', body: JSON.stringify({ type: `urn:dashvault:problem:${code}`, status, title, detail }),
});

export class MockVault {
  readonly #started = Date.now();
  readonly #devices: Json[];
  #who: string;
  #events: Json[] = [];
  #clips: Json[] = [];
  #retention: Json = { rules: [{ max_age_ms: 30 * 24 * HOUR }, { device: 'bus-001', max_age_ms: 90 * 24 * HOUR, max_bytes: 5e11 }], vault: { min_free_bytes: 5e10 } };

  constructor(devices: number, who: string) {
    this.#who = who;
    this.#devices = Array.from({ length: devices }, (_, index) => this.#device(index));
    if (devices > 0) {
      this.#events = [
        this.#event('e1', 'bus-001', -42 * 60_000, 30_000, 'button', 'Hard braking at the crossing', true),
        this.#event('e2', 'bus-001', -12 * 60_000, 20_000, 'manual', '', false),
        this.#event('e3', 'bus-002', -5 * HOUR, 60_000, 'g-sensor', 'Bump', true),
      ];
      this.#clips = [
        this.#clip('c1', { device: 'bus-001', camera: 'front', from: this.#started - 42 * 60_000, to: this.#started - 41 * 60_000, format: 'mp4', title: 'Crossing, for the police', evidence: true }, 'finished'),
        this.#clip('c2', { device: 'bus-002', camera: 'front', from: this.#started - 5 * HOUR, to: this.#started - 5 * HOUR + 120_000, format: 'mp4' }, 'running'),
      ];
    }
  }

  answer(method: string, url: URL, text: string): Answer {
    const path = url.pathname;
    const body = (text === '' ? {} : JSON.parse(text)) as Json;
    const key = `${method} ${path.replace('/api/v1', '')}`;
    const device = /^\/api\/v1\/devices\/([^/]+)/.exec(path)?.[1];
    if (path.endsWith('/thumbnail')) return this.#still(device ?? '', path);
    if (path.endsWith('/timeline')) return this.#timeline(device ?? '', url);
    if (device !== undefined && method === 'GET') return json(this.#devices.find((one) => one['id'] === device) ?? {});
    switch (key) {
      case 'GET /session': return json(this.#session());
      case 'POST /session': this.#who = 'signed-in'; return body['password'] === 'wrong' ? refused(401, 'unauthorized', 'name or password is wrong', 'check both; capitals matter in the password') : json(this.#session());
      case 'POST /setup': this.#who = 'signed-in'; return json(this.#session());
      case 'DELETE /session': this.#who = 'signin'; return { status: 204, type: 'text/plain', body: '' };
      case 'GET /devices': return json({ devices: this.#devices });
      case 'POST /devices': return json({ id: body['name'], token: 'dv1_2bXw0mJvXk3uQ7s1', bearer: 'x', fingerprint: 'x', command: `dashvault record --vault http://vault.example.org:8080 --srt srt://vault.example.org:8890 --device ${String(body['name'])} --token dv1_2bXw0mJvXk3uQ7s1mZ9aPq4tYc8eRfGh --spool /var/lib/dashvault --camera front=device` }, 201);
      case 'GET /events': return json({ events: this.#events.filter((event) => !url.searchParams.has('device') || event['device'] === url.searchParams.get('device')) });
      case 'POST /events': { const event = { ...body, id: `e${this.#events.length + 1}`, source: 'user', created_by: 'admin', note: '' }; this.#events.push(event); return json(event, 201); }
      case 'GET /clips': return json({ clips: this.#clips.map((clip) => this.#clipNow(clip)) });
      case 'POST /clips': { const clip = this.#clip(`c${this.#clips.length + 1}`, body, 'running'); this.#clips.unshift(clip); return json(this.#clipNow(clip), 201); }
      case 'GET /import-jobs': return json({ jobs: this.#devices.length === 0 ? [] : [
        { id: 'i1', device: 'bus-001', camera: 'main', filename: '20261122_101500.mp4', state: 'done', from: this.#started - 30 * HOUR, to: this.#started - 29 * HOUR, created: this.#started - HOUR },
        { id: 'i2', device: 'bus-002', camera: 'main', filename: 'IMG_0021.MOV', state: 'failed', error: 'there is no picture in it', created: this.#started - 2 * HOUR },
      ] });
      case 'GET /storage': return json({ bytes: this.#devices.length * 4.1e10, free_bytes: 8.2e11, cameras: this.#devices.flatMap((one, index) => (one['cameras'] as Json[]).map((camera) => ({ device: one['id'], camera: camera['name'], packs: 4000, bytes: 4.1e10 / (1 + (index % 7)), locked_packs: 3, locked_bytes: index % 3 === 0 ? 1.2e9 : 0, oldest: this.#started - 30 * 24 * HOUR, newest: this.#started }))) });
      case 'GET /retention': return json(this.#retention);
      case 'PUT /retention': this.#retention = body; return json(body);
      case 'POST /retention/preview': return json({ packs: 320, bytes: 2.4e9, by_rule: {}, cameras: [{ device: 'bus-002', camera: 'front', packs: 320, bytes: 2.4e9, from: 0, to: this.#started - 30 * 24 * HOUR }], kept_by_lock: { packs: 4, bytes: 3.1e7 }, unmet: [] });
      case 'GET /users': return json({ users: [{ name: 'admin', role: 'admin', created: 0, signed_in: this.#started - 60_000 }, { name: 'dispatch', role: 'operator', created: 0 }] });
      case 'GET /tokens': return json({ tokens: [{ id: 't1', name: 'Nightly export', scopes: ['view', 'download'], created: 0, created_by: 'admin', expires: this.#started + 300 * 24 * HOUR, last_used: this.#started - 8 * HOUR }] });
      case 'POST /tokens': return json({ secret: 'dvt_4Jx1m7Qw9Zb2Lk8Tn5Vc' });
      case 'GET /audit': return json({ entries: [{ id: 2, at: this.#started - 60_000, who: 'admin', role: 'admin', address: '10.0.0.7', action: 'sign-in' }, { id: 1, at: this.#started - 90_000, who: 'dispatch', role: 'operator', address: '10.0.0.9', action: 'view', device: 'bus-001', camera: 'front', from: this.#started - HOUR, to: this.#started }] });
    }
    return this.#one(method, path, body);
  }

  #one(method: string, path: string, body: Json): Answer {
    const [, kind, id] = /^\/api\/v1\/(events|clips)\/([^/]+)$/.exec(path) ?? [];
    const list = kind === 'events' ? this.#events : kind === 'clips' ? this.#clips : undefined;
    const found = list?.find((one) => one['id'] === id);
    if (found && method === 'GET') return json(this.#clipNow(found));
    if (found && method === 'PATCH') return json(Object.assign(found, body));
    if (found && method === 'DELETE') list?.splice(list.indexOf(found), 1);
    return method === 'GET' ? refused(404, 'not-found', 'not found', 'the mock vault has none') : { status: 204, type: 'text/plain', body: '' };
  }

  #session(): Json {
    if (this.#who === 'setup') return { kind: 'nobody', setup_needed: true };
    return this.#who === 'signed-in' ? { kind: 'user', name: 'admin', role: 'admin', csrf: 'x', setup_needed: false } : { kind: 'nobody', setup_needed: false };
  }

  #device(index: number): Json {
    const live = index % 5 !== 3;
    const names = index % 3 === 0 ? ['front', 'rear'] : ['front'];
    return {
      id: `bus-${String(index + 1).padStart(3, '0')}`, created: this.#started - 90 * 24 * HOUR, online: live,
      last_seen: live ? this.#started : this.#started - (index + 1) * 7 * 60_000, cameras: names.map((name) => ({ name, live, newest: this.#started })), status_at: this.#started,
      status: { version: '0.1.0', backlog_bytes: index % 4 === 1 ? 3.1e8 : 0, backlog_ms: index % 4 === 1 ? 600_000 : 0, spool_free_bytes: index % 6 === 4 ? 9e8 : 5.1e10, link: { rtt_ms: 40 + ((index * 37) % 400), loss_permille: (index * 7) % 40, send_bytes_per_s: 510_000 } },
    };
  }

  #event(id: string, device: string, at: number, length: number, kind: string, note: string, locked: boolean): Json {
    return { id, device, camera: null, from: this.#started + at, to: this.#started + at + length, kind, note, source: 'vehicle', created_by: device, locked };
  }

  #clip(id: string, body: Json, state: string): Json {
    return { title: '', note: '', exact: false, ...body, id, state, created_ms: Date.now(), created_by: 'admin', bytes: state === 'finished' ? 4.2e7 : undefined };
  }

  #clipNow(clip: Json): Json {
    const fraction = Math.min((Date.now() - Number(clip['created_ms'])) / 8000, 1);
    if (clip['state'] !== 'running') return clip;
    return fraction < 1 ? { ...clip, progress: { phase: 'cutting', fraction } } : { ...clip, state: 'finished', bytes: 1.1e7 };
  }

  #timeline(device: string, url: URL): Answer {
    const [from, to] = [Number(url.searchParams.get('from')), Math.min(Number(url.searchParams.get('to')), Date.now())];
    const cameras = (this.#devices.find((one) => one['id'] === device)?.['cameras'] ?? []) as Json[];
    return json({ from, to, cameras: cameras.map((camera, index) => ({ camera: camera['name'], from, to, resolution_ms: 1, spans: this.#spans(from, to, index) })) });
  }

  /** An hour's pattern, over and over, of every state. */
  #spans(from: number, to: number, shift: number): Json[] {
    const pattern: [number, string, string?][] = [[0, 'live'], [700, 'backfilled'], [860, 'live'], [1500, 'lost', 'evicted'], [1530, 'live'], [2100, 'not_recorded'], [2400, 'live'], [2900, 'on_vehicle'], [3180, 'live']];
    const spans: Json[] = [];
    for (let hour = Math.floor(from / HOUR) * HOUR; hour < to; hour += HOUR) {
      for (const [index, [start, state, cause]] of pattern.entries()) {
        const end = pattern[index + 1]?.[0] ?? 3600;
        const [a, b] = [Math.max(hour + (start + shift * 40) * 1000, from), Math.min(hour + (end + shift * 40) * 1000, to)];
        if (a < b && a > this.#started - 20 * HOUR) spans.push({ from: a, to: b, state, ...(cause !== undefined && { cause }), recordings: 1, bytes: 1 });
      }
    }
    return spans;
  }

  #still(device: string, path: string): Answer {
    const hue = [...device].reduce((sum, letter) => sum + letter.charCodeAt(0) * 47, path.includes('rear') ? 90 : 0) % 360;
    const body = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 180"><rect width="320" height="180" fill="hsl(${hue} 30% 34%)"/><rect y="95" width="320" height="85" fill="#3b3f45"/><path d="M150 95 90 180M170 95l60 85" stroke="#cfd4da" stroke-width="3"/><rect x="130" y="70" width="60" height="34" rx="6" fill="hsl(${hue} 60% 62%)"/></svg>`;
    return { status: 200, type: 'image/svg+xml', body };
  }
}
