// From what the vault answers to the types of this dashboard. Everything from outside passes through here, so a field that
// is missing (an older vault) never breaks a screen.
import type * as t from './types';

type Json = Record<string, unknown>;

const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const text = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);
const number = (value: unknown): number | undefined => (typeof value === 'number' && Number.isFinite(value) ? value : undefined);
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Drops what is undefined, so that optional fields are absent. */
function some<T extends object>(value: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

/** A list, whatever its field is called, and where it goes on. */
export function page<T>(value: unknown, item: (value: unknown) => T): t.Page<T> {
  const answer = object(value);
  const items = Array.isArray(value) ? value : list(Object.values(answer).find((field) => Array.isArray(field)));
  const next = answer['next'];
  return some({ items: items.map(item), next: text(next) ?? (number(next) === undefined ? undefined : String(next)) });
}

function role(value: unknown): t.Role {
  return value === 'admin' || value === 'operator' ? value : 'viewer';
}

/** Who asks: somebody who may see something, nobody yet, or nobody at all so far (first run). */
export function who(value: unknown): t.Session | 'nobody' | 'first-run' {
  const answer = object(value);
  const known = text(answer['role']) !== undefined;
  if (answer['setup_needed'] === true && answer['kind'] !== 'user') return 'first-run';
  if (!known) return 'nobody';
  const anonymous = answer['kind'] === 'anonymous';
  return some({ anonymous, name: text(answer['name']) ?? 'anybody', role: role(answer['role']), csrf: text(answer['csrf']) });
}

export function device(value: unknown): t.Device {
  const answer = object(value);
  const status = answer['status'] === null ? undefined : (answer['status'] as t.DeviceStatus | undefined);
  const cameras = list(answer['cameras']).map((camera): t.CameraInfo => {
    if (typeof camera === 'string') return { name: camera, live: false };
    const fields = object(camera);
    return some({ name: text(fields['name']) ?? '', live: fields['live'] === true, newest: number(fields['newest']) });
  });
  return some({
    id: text(answer['id']) ?? text(answer['device']) ?? '',
    cameras,
    created: number(answer['created']),
    last_seen: number(answer['last_seen']),
    revoked: answer['revoked'] === true || number(answer['revoked']) !== undefined,
    online: answer['online'] === true || cameras.some((camera) => camera.live),
    status,
    status_at: number(answer['status_at']),
  });
}

export function newDevice(value: unknown): t.NewDevice {
  const answer = object(value);
  return { id: text(answer['id']) ?? '', token: text(answer['token']) ?? '', command: text(answer['command']) ?? '' };
}

const STATES = new Set<string>(['live', 'backfilled', 'on_vehicle', 'lost', 'not_recorded']);

function span(value: unknown): t.Span {
  const answer = object(value);
  const state = String(answer['state']);
  return some({
    from: number(answer['from']) ?? 0,
    to: number(answer['to']) ?? 0,
    state: (STATES.has(state) ? state : 'not_recorded') as t.SpanState,
    cause: text(answer['cause']),
    partly: answer['partly'] === true || undefined,
    deleted: answer['deleted'] === true || undefined,
  });
}

export function timelines(value: unknown): t.CameraTimeline[] {
  return list(object(value)['cameras']).map((item) => {
    const answer = object(item);
    return { camera: text(answer['camera']) ?? text(answer['name']) ?? '', spans: list(answer['spans']).map(span) };
  });
}

export function event(value: unknown): t.VehicleEvent {
  const answer = object(value);
  return some({
    id: text(answer['id']) ?? '',
    device: text(answer['device']) ?? '',
    camera: text(answer['camera']),
    from: number(answer['from']) ?? 0,
    to: number(answer['to']) ?? 0,
    kind: text(answer['kind']) ?? 'mark',
    note: text(answer['note']),
    source: text(answer['source']),
    created_by: text(answer['created_by']),
    locked: answer['locked'] === true,
  });
}

const JOB_STATES: Record<string, t.ClipState> = {
  queued: 'waiting', running: 'running',
  done: 'done', finished: 'done', duplicate: 'done',
  receiving: 'running',
  failed: 'failed',
};

function jobState(value: unknown): t.ClipState {
  return JOB_STATES[String(value)] ?? 'waiting';
}

function progress(answer: Json, state: t.ClipState): number {
  const value = number(answer['progress']) ?? number(object(answer['progress'])['fraction']);
  return state === 'done' ? 1 : Math.min(Math.max(value ?? 0, 0), 1);
}

export function clip(value: unknown): t.Clip {
  const answer = object(value);
  const summary = object(answer['summary']);
  const state = jobState(answer['state']);
  return some({
    id: text(answer['id']) ?? '',
    device: text(answer['device']) ?? '',
    camera: text(answer['camera']) ?? '',
    from: number(answer['from']) ?? 0,
    to: number(answer['to']) ?? 0,
    format: answer['format'] === 'ts' ? 'ts' : 'mp4',
    evidence: answer['evidence'] === true,
    title: text(answer['title']),
    state,
    progress: progress(answer, state),
    bytes: number(answer['bytes']),
    estimated_bytes: number(summary['estimated_bytes']),
    covered_ms: number(summary['covered_ms']),
    missing_ms: list(summary['missing']).reduce<number>((sum, item) => sum + length(object(item)), 0),
    error: reason(answer),
    created: number(answer['created_ms']) ?? number(answer['created']),
    created_by: text(answer['created_by']),
  });
}

const length = (range: Json): number => Math.max(0, (number(range['to']) ?? 0) - (number(range['from']) ?? 0));

/** Why a job failed. */
function reason(answer: Json): string | undefined {
  return text(answer['error']) ?? text(object(answer['error'])['detail']) ?? text(object(answer['problem'])['detail']);
}

export function importJob(value: unknown): t.ImportJob {
  const answer = object(value);
  const state = jobState(answer['state']);
  return some({
    id: text(answer['id']) ?? '',
    device: text(answer['device']) ?? '',
    camera: text(answer['camera']) ?? '',
    filename: text(answer['filename']) ?? '',
    state,
    progress: progress(answer, state),
    from: number(answer['from']),
    to: number(answer['to']),
    duplicate: answer['state'] === 'duplicate' || undefined,
    error: reason(answer),
    created: number(answer['created_ms']) ?? number(answer['created']),
  });
}

export function storage(value: unknown): t.Storage {
  const answer = object(value);
  const cameras = list(answer['cameras']).map((item): t.StorageUse => {
    const use = object(item);
    return some({
      device: text(use['device']) ?? '',
      camera: text(use['camera']) ?? '',
      bytes: number(use['bytes']) ?? 0,
      locked_bytes: number(use['locked_bytes']) ?? 0,
      packs: number(use['packs']),
      oldest: number(use['oldest']),
      newest: number(use['newest']),
    });
  });
  return some({ bytes: number(answer['bytes']) ?? 0, free_bytes: number(answer['free_bytes']), cameras });
}

export function retention(value: unknown): t.Retention {
  const answer = object(value);
  const vault = object(answer['vault']);
  const rules = list(answer['rules']).map((item) => {
    const rule = object(item);
    return some<t.RetentionRule>({
      device: text(rule['device']),
      camera: text(rule['camera']),
      max_age_ms: number(rule['max_age_ms']),
      max_bytes: number(rule['max_bytes']),
    });
  });
  return {
    rules,
    vault: some({ max_bytes: number(vault['max_bytes']), min_free_bytes: number(vault['min_free_bytes']), live_max_age_ms: number(vault['live_max_age_ms']) }),
  };
}

export function preview(value: unknown): t.RetentionPreview {
  const answer = object(value);
  const kept = object(answer['kept_by_lock']);
  const cameras = list(answer['cameras']).map((item) => {
    const camera = object(item);
    return some<t.RetentionPreview['cameras'][number]>({
      device: text(camera['device']) ?? '',
      camera: text(camera['camera']) ?? '',
      packs: number(camera['packs']) ?? 0,
      bytes: number(camera['bytes']) ?? 0,
      to: number(camera['to']),
    });
  });
  return {
    packs: number(answer['packs']) ?? 0,
    bytes: number(answer['bytes']) ?? 0,
    kept_by_lock: { packs: number(kept['packs']) ?? 0, bytes: number(kept['bytes']) ?? 0 },
    unmet: list(answer['unmet']).length,
    cameras,
  };
}

export function user(value: unknown): t.User {
  const answer = object(value);
  return some({
    name: text(answer['name']) ?? '',
    role: role(answer['role']),
    created: number(answer['created']),
    signed_in: number(answer['signed_in']),
  });
}

export function token(value: unknown): t.ApiToken {
  const answer = object(value);
  const scopes = answer['scopes'];
  return some({
    id: text(answer['id']) ?? '',
    name: text(answer['name']) ?? '',
    scopes: Array.isArray(scopes) ? scopes.map(String) : (text(scopes) ?? '').split(/[ ,]+/).filter(Boolean),
    device: text(answer['device']),
    created: number(answer['created']),
    created_by: text(answer['created_by']),
    expires: number(answer['expires']),
    last_used: number(answer['last_used']),
  });
}

export function auditEntry(value: unknown): t.AuditEntry {
  const answer = object(value);
  return some({
    id: String(answer['id'] ?? ''),
    at: number(answer['at']) ?? 0,
    who: text(answer['who']) ?? '',
    role: text(answer['role']),
    address: text(answer['address']),
    action: text(answer['action']) ?? '',
    device: text(answer['device']),
    camera: text(answer['camera']),
    from: number(answer['from']),
    to: number(answer['to']),
    detail: text(answer['detail']),
  });
}
