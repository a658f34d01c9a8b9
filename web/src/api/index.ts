// Every endpoint that the dashboard uses, one function each. What the vault answers becomes a type of `types.ts` here.
import { address, pathOf, request } from './client';
import * as read from './read';
import type * as t from './types';

const V1 = '/api/v1';
const device = (id: string) => `${V1}/devices${pathOf(id)}`;
const camera = (id: string, name: string) => `${device(id)}/cameras${pathOf(name)}`;

// Who is here

export type Who = ReturnType<typeof read.who>;

export const setUp = async (body: { code: string; name: string; password: string }): Promise<Who> =>
  read.who(await request('POST', `${V1}/setup`, { body, quiet401: true }));

export const signIn = async (body: { name: string; password: string }): Promise<Who> =>
  read.who(await request('POST', `${V1}/session`, { body, quiet401: true }));

export const signOut = (): Promise<void> => request('DELETE', `${V1}/session`);

export const whoAmI = async (): Promise<Who> => read.who(await request('GET', `${V1}/session`, { quiet401: true }));

export const changePassword = async (body: { current: string; new: string }): Promise<Who> =>
  read.who(await request('POST', `${V1}/account/password`, { body, quiet401: true }));

// Devices

/** All devices, page after page. */
export async function devices(signal?: AbortSignal): Promise<t.Device[]> {
  const all: t.Device[] = [];
  let after: string | undefined;
  do {
    const page = read.page(await request('GET', `${V1}/devices`, { query: { after, limit: 500 }, ...(signal && { signal }) }), read.device);
    all.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return all;
}

export const deviceOf = async (id: string, signal?: AbortSignal): Promise<t.Device> =>
  read.device(await request('GET', device(id), signal ? { signal } : {}));

export const addDevice = async (name: string): Promise<t.NewDevice> =>
  read.newDevice(await request('POST', `${V1}/devices`, { body: { name } }));

export const revokeDevice = (id: string): Promise<void> => request('DELETE', device(id));

// Footage

export interface Range {
  from: number;
  to: number;
}

/** The vault takes whole milliseconds; a player's time lies between them. */
export const whole = ({ from, to }: Range): Range => ({ from: Math.floor(from), to: Math.ceil(to) });

export async function timeline(id: string, range: Range, resolutionMs: number, signal?: AbortSignal): Promise<t.CameraTimeline[]> {
  const query = { ...whole(range), resolution_ms: resolutionMs };
  return read.timelines(await request('GET', `${device(id)}/timeline`, { query, ...(signal && { signal }) }));
}

export const fetchNow = (id: string, name: string, range: Range): Promise<unknown> =>
  request('POST', `${camera(id, name)}/fetch`, { body: whole(range) });

export const deleteFootage = (id: string, name: string, range: Range): Promise<unknown> =>
  request('DELETE', `${camera(id, name)}/footage`, { query: { ...whole(range) } });

export const thumbnail = (id: string, name: string, query: { at?: number; width: number; stamp?: number }): string =>
  address(`${camera(id, name)}/thumbnail`, query);

export const livePlaylist = (id: string, name: string): string => `/live${pathOf(id, name)}/index.m3u8`;

export const vodPlaylist = (id: string, name: string, range: Range): string =>
  address(`/vod${pathOf(id, name)}/index.m3u8`, { ...whole(range) });

// Events

export async function events(query: { device?: string; camera?: string; from?: number; to?: number; after?: string; limit?: number }, signal?: AbortSignal): Promise<t.Page<t.VehicleEvent>> {
  return read.page(await request('GET', `${V1}/events`, { query, ...(signal && { signal }) }), read.event);
}

export const mark = async (body: { device: string; camera?: string; from: number; to: number; kind: string; note?: string; locked: boolean }): Promise<t.VehicleEvent> =>
  read.event(await request('POST', `${V1}/events`, { body: { ...body, ...whole(body) } }));

export const changeEvent = async (id: string, body: { locked?: boolean; note?: string }): Promise<void> => {
  await request('PATCH', `${V1}/events${pathOf(id)}`, { body });
};

export const forgetEvent = (id: string): Promise<void> => request('DELETE', `${V1}/events${pathOf(id)}`);

// Clips

export interface ClipOrder extends Range {
  device: string;
  camera: string;
  format: 'mp4' | 'ts';
  evidence: boolean;
  title?: string;
}

export const makeClip = async (body: ClipOrder): Promise<t.Clip> => read.clip(await request('POST', `${V1}/clips`, { body: { ...body, ...whole(body) } }));

export const clips = async (query: { after?: string; limit?: number }, signal?: AbortSignal): Promise<t.Page<t.Clip>> =>
  read.page(await request('GET', `${V1}/clips`, { query, ...(signal && { signal }) }), read.clip);

export const clip = async (id: string): Promise<t.Clip> => read.clip(await request('GET', `${V1}/clips${pathOf(id)}`));

export const removeClip = (id: string): Promise<void> => request('DELETE', `${V1}/clips${pathOf(id)}`);

export const clipFile = (id: string): string => `${V1}/clips${pathOf(id)}/file`;

// Imports

export const IMPORTS = `${V1}/imports`;

export const importJobs = async (query: { after?: string; limit?: number }, signal?: AbortSignal): Promise<t.Page<t.ImportJob>> =>
  read.page(await request('GET', `${V1}/import-jobs`, { query, ...(signal && { signal }) }), read.importJob);

export const removeImportJob = (id: string): Promise<void> => request('DELETE', `${V1}/import-jobs${pathOf(id)}`);

// Storage and retention

export const storage = async (signal?: AbortSignal): Promise<t.Storage> =>
  read.storage(await request('GET', `${V1}/storage`, signal ? { signal } : {}));

export const retention = async (): Promise<t.Retention> => read.retention(await request('GET', `${V1}/retention`));

export const setRetention = async (body: t.Retention): Promise<t.Retention> =>
  read.retention(await request('PUT', `${V1}/retention`, { body }));

export const previewRetention = async (body: t.Retention): Promise<t.RetentionPreview> =>
  read.preview(await request('POST', `${V1}/retention/preview`, { body }));

// People and programs

export const users = async (): Promise<t.User[]> => read.page(await request('GET', `${V1}/users`, { query: { limit: 500 } }), read.user).items;

export const addUser = async (body: { name: string; password: string; role: t.Role }): Promise<void> => {
  await request('POST', `${V1}/users`, { body });
};

export const changeUser = async (name: string, body: { role?: t.Role; password?: string }): Promise<void> => {
  await request('PATCH', `${V1}/users${pathOf(name)}`, { body });
};

export const removeUser = (name: string): Promise<void> => request('DELETE', `${V1}/users${pathOf(name)}`);

export const tokens = async (): Promise<t.ApiToken[]> =>
  read.page(await request('GET', `${V1}/tokens`, { query: { limit: 500 } }), read.token).items;

export const addToken = async (body: { name: string; scopes: string[]; device?: string; expires?: string }): Promise<{ secret: string }> =>
  request('POST', `${V1}/tokens`, { body });

export const removeToken = (id: string): Promise<void> => request('DELETE', `${V1}/tokens${pathOf(id)}`);

export const audit = async (query: { after?: string; limit?: number }): Promise<t.Page<t.AuditEntry>> =>
  read.page(await request('GET', `${V1}/audit`, { query }), read.auditEntry);
